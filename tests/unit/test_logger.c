#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <json.h>

#include "base/logger.h"

static char folder[] = "/tmp/sluice-logger-XXXXXX";
static char path[64], old_path[64];

/* Standard error while a test looks at what is written to it. */
static int kept_stderr;
static int reading = -1;

static void
capture(void)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	kept_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	assert_true(kept_stderr >= 0);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	reading = ends[0];
	fcntl(reading, F_SETFL, O_NONBLOCK);
}

/* All that the pipe holds now, as one string. */
static const char *
captured(void)
{
	static char text[1 << 17];
	ssize_t n;
	size_t len = 0;

	while ((n = read(reading, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return text;
}

static void
release(void)
{
	if (reading < 0)
		return;
	dup2(kept_stderr, STDERR_FILENO);
	close(kept_stderr);
	close(reading);
	reading = -1;
}

static const char *
contents(const char *name)
{
	static char text[8192];
	FILE *f = fopen(name, "r");
	size_t len;

	assert_non_null(f);
	len = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[len] = '\0';
	return text;
}

/* What stands behind the time and the process, if these are as they must be. */
static const char *
message_of(const char *line)
{
	struct tm tm = {0};
	const char *end = strptime(line, "%Y-%m-%dT%H:%M:%SZ ", &tm);
	char *rest;

	assert_non_null(end);
	assert_in_range(timegm(&tm), time(NULL) - 60, time(NULL));
	assert_int_equal(strtol(end, &rest, 10), getpid());
	assert_int_equal(*rest, ' ');
	return rest + 1;
}

static void
levels(void **state)
{
	static const char *const want[] = {"error e\n", "warn w\n", "info i\n", "debug d\n"};

	(void)state;
	capture();
	for (int level = LOGGER_ERROR; level <= LOGGER_DEBUG; level++) {
		const char *p;

		assert_int_equal(logger_open("stderr", (enum logger_level)level, LOGGER_TEXT), 0);
		logger_error("%s", "e");
		logger_warn("%s", "w");
		logger_info("%s", "i");
		logger_debug("%s", "d");
		p = captured();
		for (int i = 0; i <= level; i++) {
			p = message_of(p);
			assert_int_equal(strncmp(p, want[i], strlen(want[i])), 0);
			p += strlen(want[i]);
		}
		assert_string_equal(p, "");
	}
}

/* Whatever came from outside, it is one line of printable ASCII. */
static void
nothing_forges_a_line(void **state)
{
	char text[256], line[4096];
	size_t len;

	(void)state;
	for (int c = 1; c < 256; c++)
		text[c - 1] = (char)(unsigned char)c;
	text[255] = '\0';
	capture();
	logger_error("%s", text);
	snprintf(line, sizeof(line), "%s", captured());
	release();
	len = strlen(line);
	assert_true(len > 255 && line[len - 1] == '\n');
	for (size_t i = 0; i + 1 < len; i++)
		assert_in_range(line[i], 0x20, 0x7E);
	assert_non_null(strstr(line, "error \\x01\\x02"));
	assert_non_null(strstr(line, "\\x09\\x0a\\x0b\\x0c\\x0d"));
	assert_non_null(strstr(line, "\\x1f !\"#"));
	assert_non_null(strstr(line, "}~\\x7f\\x80"));
	assert_non_null(strstr(line, "\\xfe\\xff\n"));
}

static void
long_lines_are_cut(void **state)
{
	static const struct {
		const char *name;
		char c;
		enum logger_format format;
	} cases[] = {
	    {"plain", 'x', LOGGER_TEXT},        {"escaped", '\n', LOGGER_TEXT},
	    {"JSON", 'x', LOGGER_JSON},         {"JSON, escaped", '\xFF', LOGGER_JSON},
	    {"JSON, quotes", '"', LOGGER_JSON}, {"JSON, backslashes", '\\', LOGGER_JSON},
	};
	static char text[5001];

	(void)state;
	capture();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *line;
		struct json_object *json;

		print_message("%s\n", cases[i].name);
		memset(text, cases[i].c, sizeof(text) - 1);
		assert_int_equal(logger_open("stderr", LOGGER_INFO, cases[i].format), 0);
		logger_error("%s", text);
		line = captured();
		assert_in_range(strlen(line), 1000, 4096); /* PIPE_BUF: a pipe takes it whole */
		assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
		if (cases[i].format == LOGGER_JSON) {
			assert_non_null(json = json_tokener_parse(line));
			json_object_put(json);
		}
	}
}

static const char *
member(struct json_object *json, const char *name)
{
	return json_object_get_string(json_object_object_get(json, name));
}

static void
json_lines(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
	    {"plain", "plain"},
	    {"", ""},
	    {"a \"quote\"", "a \"quote\""},
	    {"back\\slash\\n", "back\\slash\\n"},
	    {"line\nend\r\t", "line\\x0aend\\x0d\\x09"},
	    {"\xC3\xA4\xFF", "\\xc3\\xa4\\xff"},
	    {"\",\"level\":\"info", "\",\"level\":\"info"},
	    {"\x7F", "\\x7f"},
	};

	(void)state;
	capture();
	assert_int_equal(logger_open("stderr", LOGGER_WARN, LOGGER_JSON), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_object *json;
		struct tm tm;

		print_message("%s\n", cases[i].want);
		logger_warn("%s", cases[i].text);
		assert_non_null(json = json_tokener_parse(captured()));
		assert_int_equal(json_object_object_length(json), 4);
		assert_string_equal(member(json, "message"), cases[i].want);
		assert_string_equal(member(json, "level"), "warn");
		assert_int_equal(json_object_get_int(json_object_object_get(json, "pid")),
				 getpid());
		assert_string_equal(strptime(member(json, "time"), "%Y-%m-%dT%H:%M:%SZ", &tm), "");
		json_object_put(json);
	}
}

/* The journal knows the time; it reads the level as sd-daemon(3) says. */
static void
journal(void **state)
{
	struct stat st;
	char stream[64];

	(void)state;
	capture();
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	assert_int_equal(logger_open("stderr", LOGGER_DEBUG, LOGGER_TEXT), 0);
	logger_error("a\n<0>b");
	logger_warn("w");
	logger_info("i");
	logger_debug("d");
	assert_string_equal(captured(), "<3>a\\x0a<0>b\n<4>w\n<6>i\n<7>d\n");

	/* Inherited from a service whose standard error it was: ours is another. */
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino + 1);
	setenv("JOURNAL_STREAM", stream, 1);
	assert_int_equal(logger_open("stderr", LOGGER_INFO, LOGGER_TEXT), 0);
	logger_info("i");
	assert_string_equal(message_of(captured()), "info i\n");
	unsetenv("JOURNAL_STREAM");
}

static void
files(void **state)
{
	struct stat st;
	mode_t before = umask(0);

	(void)state;
	assert_int_equal(logger_open(path, LOGGER_INFO, LOGGER_TEXT), 0);
	umask(before);
	logger_info("one");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_string_equal(message_of(contents(path)), "info one\n");

	/* logrotate's way: rename, then SIGUSR1. */
	assert_int_equal(rename(path, old_path), 0);
	logger_info("two");
	assert_int_equal(logger_reopen(), 0);
	logger_info("three");
	assert_non_null(strstr(contents(old_path), "info two\n"));
	assert_string_equal(message_of(contents(path)), "info three\n");

	/* It is appended to, not begun anew. */
	assert_int_equal(logger_open("stderr", LOGGER_INFO, LOGGER_TEXT), 0);
	assert_int_equal(logger_reopen(), 0);
	assert_int_equal(logger_open(path, LOGGER_INFO, LOGGER_TEXT), 0);
	logger_info("four");
	assert_non_null(strstr(contents(path), "info three\n"));
	assert_non_null(strstr(contents(path), "info four\n"));
	unlink(old_path);
}

/* What cannot be opened leaves the logger as it was: path, level and format. */
static void
failed_open(void **state)
{
	(void)state;
	assert_int_equal(logger_open(path, LOGGER_INFO, LOGGER_TEXT), 0);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(logger_open("/nonexistent/log", LOGGER_DEBUG, LOGGER_JSON), -ENOENT);
	assert_int_equal(logger_open(folder, LOGGER_DEBUG, LOGGER_JSON), -EISDIR);
	logger_debug("hidden");
	logger_info("seen");
	assert_string_equal(message_of(contents(path)), "info seen\n");

	assert_int_equal(rename(path, old_path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(logger_reopen(), -EISDIR);
	logger_info("old file");
	assert_non_null(strstr(contents(old_path), "info old file\n"));
	assert_int_equal(rmdir(path), 0);
	unlink(old_path);
	assert_int_equal(logger_open("stderr", LOGGER_INFO, LOGGER_TEXT), 0);
}

/* A pipe that nobody reads takes what it can hold; the rest is counted exactly, and told once. */
static void
full_pipe(void **state)
{
	enum { SAID = 3000 };
	unsigned n_written = 0;
	const char *p;
	char want[64];

	(void)state;
	capture();
	assert_int_equal(logger_open("stderr", LOGGER_INFO, LOGGER_TEXT), 0);
	alarm(20); /* a write that blocks ends the test */
	for (int i = 0; i < SAID; i++)
		logger_info("line %d of those that fill the pipe", i);
	for (p = captured(); *p != '\0'; p = strchr(p, '\n') + 1) {
		snprintf(want, sizeof(want), "info line %u of those that fill the pipe\n",
			 n_written++);
		assert_int_equal(strncmp(message_of(p), want, strlen(want)), 0);
	}
	assert_in_range(n_written, 100, SAID - 1);
	logger_info("goes on");
	p = message_of(captured());
	snprintf(want, sizeof(want), "warn %u lines of this log could not be written\n",
		 SAID - n_written);
	assert_int_equal(strncmp(p, want, strlen(want)), 0);
	assert_string_equal(message_of(strchr(p, '\n') + 1), "info goes on\n");
	logger_info("once");
	assert_string_equal(message_of(captured()), "info once\n");
	alarm(0);
}

/* In a child, for it may be killed: returns how it ended. */
static int
run_in_child(void (*run)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		signal(SIGXFSZ, SIG_DFL);
		run();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
say_into_closed_pipe(void)
{
	capture();
	close(reading);
	if (logger_open("stderr", LOGGER_INFO, LOGGER_TEXT) < 0)
		_exit(1);
	logger_error("nobody hears this");
	logger_error("nor this");
}

static void
say_into_full_file(void)
{
	struct rlimit limit = {.rlim_cur = 100, .rlim_max = 100};

	if (logger_open(path, LOGGER_INFO, LOGGER_TEXT) < 0 || setrlimit(RLIMIT_FSIZE, &limit) < 0)
		_exit(1);
	for (int i = 0; i < 10; i++)
		logger_error("no more than the limit fits");
}

static void
say_on_full_disk(void)
{
	if (logger_open("/dev/full", LOGGER_INFO, LOGGER_TEXT) < 0)
		_exit(1);
	logger_error("no room");
	logger_error("still none");
}

static void
nothing_kills(void **state)
{
	(void)state;
	assert_int_equal(run_in_child(say_into_closed_pipe), 0);
	assert_int_equal(run_in_child(say_into_full_file), 0);
	assert_int_equal(run_in_child(say_on_full_disk), 0);
}

static void
pauses(void **state)
{
	static const struct {
		uint64_t now_ms;
		bool may;
		unsigned n_reported;
	} steps[] = {
	    {0, true, 0},    {1, false, 0},   {999, false, 0},  {1001, true, 2}, {1002, false, 2},
	    {2001, true, 1}, {5000, true, 0}, {5999, false, 0}, {6000, true, 1},
	};
	struct logger_pause pause = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		print_message("%ju ms\n", (uintmax_t)steps[i].now_ms);
		assert_int_equal(logger_may(&pause, steps[i].now_ms, 1000), steps[i].may);
		assert_int_equal(pause.n_reported, steps[i].n_reported);
	}
}

/* After each test: if it failed, its captured standard error is where the failure must be told. */
static int
restore(void **state)
{
	(void)state;
	release();
	return logger_open("stderr", LOGGER_INFO, LOGGER_TEXT);
}

static int
make_folder(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/log", folder);
	snprintf(old_path, sizeof(old_path), "%s/log.1", folder);
	return 0;
}

static int
remove_folder(void **state)
{
	(void)state;
	unlink(path);
	unlink(old_path);
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(levels, restore),
	    cmocka_unit_test_teardown(nothing_forges_a_line, restore),
	    cmocka_unit_test_teardown(long_lines_are_cut, restore),
	    cmocka_unit_test_teardown(json_lines, restore),
	    cmocka_unit_test_teardown(journal, restore),
	    cmocka_unit_test_teardown(files, restore),
	    cmocka_unit_test_teardown(failed_open, restore),
	    cmocka_unit_test_teardown(full_pipe, restore),
	    cmocka_unit_test_teardown(nothing_kills, restore),
	    cmocka_unit_test_teardown(pauses, restore),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
