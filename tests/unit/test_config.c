#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "config/keys.h"
#include "route/handlers.h"
#include "source/kinds.h"

#define ROUTE "[route x]\npath = /x/{id}\nchannels = x:{id}\n"
#define BOM   "\xef\xbb\xbf"

static char folder[] = "/tmp/sluice-config-XXXXXX";

static char *
write_file(const char *name, const char *text, size_t len)
{
	char *path;
	int fd;

	assert_true(asprintf(&path, "%s/%s", folder, name) > 0);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
	return path;
}

/* What config_load() says of the file, each "FOLDER/" left out; NULL if it is fine. */
static char *
load(struct config **cfg, const char *path)
{
	char *said = NULL, *at;
	size_t len, folder_len = strlen(folder) + 1;
	FILE *f = open_memstream(&said, &len);
	int rc;

	assert_non_null(f);
	*cfg = NULL;
	rc = config_load(cfg, path, f);
	fclose(f);
	if (rc == 0) {
		assert_string_equal(said, "");
		assert_non_null(*cfg);
		free(said);
		if ((*cfg)->notes == NULL)
			return NULL;
		said = strdup((*cfg)->notes);
		assert_non_null(said);
	} else {
		assert_int_equal(rc, -EINVAL);
		assert_null(*cfg);
	}
	while ((at = strstr(said, folder)) != NULL)
		memmove(at, at + folder_len, strlen(at + folder_len) + 1);
	return said;
}

static void
expect(const char *name, const char *text, size_t len, const char *want)
{
	char *path = write_file("f", text, len), *got;
	struct config *cfg;

	print_message("%s\n", name);
	got = load(&cfg, path);
	if (want == NULL)
		assert_string_equal(got != NULL ? got : "fine", "fine");
	else
		assert_string_equal(got != NULL ? got : "fine", want);
	config_free(cfg);
	free(got);
	free(path);
}

struct text_case {
	const char *name, *text, *want; /* NULL: fine */
};

static void
run(const struct text_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect(cases[i].name, cases[i].text, strlen(cases[i].text), cases[i].want);
}

#define RUN(cases) run(cases, sizeof(cases) / sizeof((cases)[0]))

#define EMPTY      "the value is empty; leave the key out, or put a \"#\" before the line\n"
#define CUT        "iniparser cuts a value at \";\" and \"#\"; put the whole value in quotes\n"

static void
lines(void **state)
{
	static const struct text_case cases[] = {
	    {"good", ROUTE, NULL},
	    {"no line end", "[route x]\npath = /x\nchannels = x", NULL},
	    {"CRLF", "[route x]\r\npath = /x\r\nchannels = x\r\n", NULL},
	    {"tabs", "\t[route x]\t\n\tpath\t=\t/x\t\nchannels=x\n", NULL},
	    {"upper case", "[ROUTE x]\nPATH = /x\nChannels = x\n[Server]\nBASE = /y\n", NULL},
	    {"comments", "# a\n; b\n[route x]\npath = /x ; c\nchannels = x\t# d\n", NULL},
	    {"quotes", "[route x]\npath = '/x'\nchannels = \"a;b#c\" ; d\n", NULL},
	    {"quote in a value", "[route x]\npath = /x\nchannels = it's a\"b\n", NULL},
	    {"empty value", ROUTE "heartbeat_event = \"\"\nheartbeat_data =\n", NULL},
	    {"empty base and prefix", "[server]\nbase =\n[redis]\nprefix = ''\n" ROUTE, NULL},
	    {"cut to nothing", ROUTE "allow = #user > 30\n", "f:4: [route x] allow: " CUT},
	    {"cut to nothing at ;", ROUTE "event = ;x\n", "f:4: [route x] event: " CUT},
	    {"a comment for a value", ROUTE "heartbeat_data = # none\n",
	     "f:4: [route x] heartbeat_data: " CUT},
	    {"cut in [auth]", "[auth]\njwt_issuer = #https://x\n" ROUTE,
	     "f:2: [auth] jwt_issuer: " CUT},
	    {"empty in [auth]", "[auth]\njwt_audience =\n" ROUTE,
	     "f:2: [auth] jwt_audience: " EMPTY},
	    {"empty list", "[route x]\npath = /x\nchannels = \"\"\n",
	     "f:3: [route x] channels: " EMPTY
	     "f:1: [route x] has neither channels nor patterns nor streams to relay\n"},
	    {"empty of a family", ROUTE "add.x =\n", "f:4: [route x] add.x: " EMPTY},
	    {"nothing", "", "f: the file is empty\n"},
	    {"no route", "[server]\n",
	     "f: there is no [route NAME] section, so nothing to serve\n"},
	    {"byte order mark", BOM ROUTE,
	     "f:1: the file begins with a byte order mark; save it as UTF-8 without one\n"},
	    {"CR alone", "[route x]\rpath = /x\r",
	     "f:1: lines end with a carriage return alone; LF or CRLF ends a line\n"},
	    {"CR in a line", ROUTE "retry = 1s\r2s\n", "f:4: a carriage return within the line\n"},
	    {"control byte", ROUTE "retry = \x1b[m\n", "f:4: a control byte\n"},
	    {"word alone", ROUTE "retry\n",
	     "f:4: \"retry\" has no \"=\": [SECTION], KEY = VALUE or a comment behind # or ;\n"},
	    {"no key", ROUTE "= v\n", "f:4: no key stands before the \"=\"\n"},
	    {"before a section", "retry = 1s\n" ROUTE,
	     "f:1: \"retry\" stands before the first section\n"},
	    {"open quote", ROUTE "event = \"a\n", "f:4: [route x] event: the quote has no end\n"},
	    {"open quote '", ROUTE "event = 'a\"\n",
	     "f:4: [route x] event: the quote has no end\n"},
	    {"behind a quote", ROUTE "event = \"a\" b\n",
	     "f:4: [route x] event: iniparser drops what stands behind the quote's end\n"},
	    {"backslash in quotes", ROUTE "param.id = \"a\\.b\"\n",
	     "f:4: [route x] param.id: a \"\\\" in quotes is read otherwise by other versions of "
	     "iniparser; [.] does in an expression what \\. does\n"},
	    {"backslash", ROUTE "param.id = a\\.b\n", NULL},
	    {"value cut at ;", ROUTE "event = a;b\n",
	     "f:4: [route x] event: iniparser cuts a value at \";\" and \"#\"; put the whole value "
	     "in quotes\n"},
	    {"value cut at #", ROUTE "event = a#b\n",
	     "f:4: [route x] event: iniparser cuts a value at \";\" and \"#\"; put the whole value "
	     "in quotes\n"},
	    {"continuation", ROUTE "# a comment \\\n",
	     "f:4: a \"\\\" at the end joins the next line to this one, comment or not; a list may "
	     "be as long as the line\n"},
	    {"backslash at the end of the file", ROUTE "event = a\\",
	     "f:4: a \"\\\" at the end joins the next line to this one, comment or not; a list may "
	     "be as long as the line\n"},
	    {"duplicate key", ROUTE "Path = /y\n",
	     "f:4: [route x] \"Path\" is there already, on line 2\n"},
	    {"duplicate section", ROUTE "[Route X]\nretry = 1s\n",
	     "f:4: [Route X] is there already, on line 1\n"},
	};

	(void)state;
	RUN(cases);
}

static void
long_lines(void **state)
{
	char *text;

	(void)state;
	assert_true(asprintf(&text, ROUTE "# %01020d\n", 0) > 0); /* 1,022 bytes and its end */
	expect("as long as may be", text, strlen(text), NULL);
	free(text);
	assert_true(asprintf(&text, ROUTE "# %01020d", 0) > 0);
	expect("the same without an end", text, strlen(text), NULL);
	free(text);
	assert_true(asprintf(&text, ROUTE "# %01021d\n", 0) > 0);
	expect("one more", text, strlen(text),
	       "f:4: the line has 1023 bytes; iniparser reads at most 1,024, its end included\n");
	free(text);
	expect("NUL", ROUTE "event = a\0b\n", sizeof(ROUTE "event = a\0b\n") - 1,
	       "f:4: a NUL byte\n");
}

static void
sections(void **state)
{
	static const struct text_case cases[] = {
	    {"empty", ROUTE "[]\n", "f:4: [] is no section's name\n"},
	    {"open", ROUTE "[server\n", "f:4: a section has no \"]\" at its end: \"[server\"\n"},
	    {"text behind", ROUTE "[server] # a\n",
	     "f:4: nothing may stand behind the \"]\" of a section: \"[server] # a\"\n"},
	    {"colon", ROUTE "[route:y]\npath = /y\n",
	     "f:4: [route:y]: iniparser loses a section with a \":\" in its name; write [route "
	     "NAME]\n"},
	    {"route without a name", ROUTE "[route]\npath = /y\n",
	     "f:4: [route] has no name: [route NAME]\n"},
	    {"route without a blank", ROUTE "[routey]\npath = /y\n",
	     "f:4: unknown section [routey]; did you mean [route y]?\n"},
	    {"two names", ROUTE "[route y z]\n",
	     "f:4: [route y z]: a route's name has at most 64 letters, digits, \"_\", \".\", "
	     "\"-\"\n"},
	    {"misspelt route", ROUTE "[rout y]\npath = /y\n",
	     "f:4: unknown section [rout y]; did you mean [route y]?\n"},
	    {"misspelt", ROUTE "[sever]\n",
	     "f:4: unknown section [sever]; did you mean [server]?\n"},
	    {"strange", ROUTE "[authentication]\n",
	     "f:4: unknown section [authentication]; there are [server], [redis], [auth], "
	     "[defaults] and "
	     "[route NAME]\n"},
	};

	(void)state;
	RUN(cases);
}

static void
keys(void **state)
{
	static const struct text_case cases[] = {
	    {"misspelt", ROUTE "chanel = a\n",
	     "f:4: [route x] unknown key \"chanel\"; did you mean \"channels\"?\n"},
	    {"of another section", ROUTE "[redis]\nworkers = 1\n",
	     "f:5: [redis] unknown key \"workers\"; it belongs in [server]\n"},
	    {"of a route", ROUTE "[server]\nRetry = 1s\n",
	     "f:5: [server] unknown key \"Retry\"; it belongs in [route NAME]\n"},
	    {"strange", ROUTE "zzzzzzzz = 1s\n",
	     "f:4: [route x] unknown key \"zzzzzzzz\"; sluice.ini(5) lists them all\n"},
	    {"path of all", ROUTE "[defaults]\npath = /y\n",
	     "f:5: [defaults] path: each route has a path of its own\n"},
	    {"all of them", "[server]\nlisen = x\n[redis]\nurll = y\n[route x]\npath = z\n",
	     "f:2: [server] unknown key \"lisen\"; did you mean \"listen\"?\n"
	     "f:4: [redis] unknown key \"urll\"; did you mean \"url\"?\n"
	     "f:6: [route x] path: it must begin with /\n"
	     "f:5: [route x] has neither channels nor patterns nor streams to relay\n"},
	};

	(void)state;
	RUN(cases);
}

#define DURATION(range) "is no duration " range ", as in 250ms, 5s, 30m, 2h\n"

static void
values(void **state)
{
	static const struct text_case cases[] = {
	    {"duration without a unit", ROUTE "heartbeat = 15\n",
	     "f:4: [route x] heartbeat: \"15\" " DURATION("of 0, or from 10ms to 1h")},
	    {"0", ROUTE "heartbeat = 0\n", NULL},
	    {"least", ROUTE "heartbeat = 10ms\n", NULL},
	    {"below", ROUTE "heartbeat = 9ms\n",
	     "f:4: [route x] heartbeat: \"9ms\" " DURATION("of 0, or from 10ms to 1h")},
	    {"most", ROUTE "lease = 1h\nhandler = presence\n", NULL},
	    {"above", ROUTE "heartbeat = 3601s\n",
	     "f:4: [route x] heartbeat: \"3601s\" " DURATION("of 0, or from 10ms to 1h")},
	    {"0 where none may be", ROUTE "retry = 0\n",
	     "f:4: [route x] retry: \"0\" " DURATION("from 10ms to 1h")},
	    {"decimal", ROUTE "retry = 1.5s\n",
	     "f:4: [route x] retry: \"1.5s\" " DURATION("from 10ms to 1h")},
	    {"size", ROUTE "queue = 64K\n",
	     "f:4: [route x] queue: \"64K\" is no size from 1k to 1024m, as in 65536, 64k, 1m\n"},
	    {"number", ROUTE "max_events = -1\n",
	     "f:4: [route x] max_events: \"-1\" is no number from 0 to 4294967295\n"},
	    {"word", ROUTE "overflow = drop_newest\n",
	     "f:4: [route x] overflow: \"drop_newest\" is none of: disconnect drop_oldest "
	     "latest\n"},
	    {"part of a word", ROUTE "overflow = late\n",
	     "f:4: [route x] overflow: \"late\" is none of: disconnect drop_oldest latest\n"},
	    {"yes or no", ROUTE "announce = true\n",
	     "f:4: [route x] announce: \"true\" is neither yes nor no\n"},
	    {"workers", "[server]\nworkers = 257\n" ROUTE,
	     "f:2: [server] workers: \"257\" is neither auto nor a number from 1 to 256\n"},
	    {"mode", "[server]\nsocket_mode = 0668\n" ROUTE,
	     "f:2: [server] socket_mode: \"0668\" is no octal mode from 0 to 0777, as in 0660\n"},
	    {"user", "[server]\nuser = no-such-user\n" ROUTE,
	     "f:2: [server] user: there is no user \"no-such-user\"\n"},
	    {"group", "[server]\nsocket_group = no-such-group\n" ROUTE,
	     "f:2: [server] socket_group: there is no group \"no-such-group\"\n"},
	    {"base", "[server]\nbase = events/\n" ROUTE,
	     "f:2: [server] base: \"events/\" is no path prefix, as in /events: it begins with "
	     "\"/\" and does not end with one\n"},
	    {"log", "[server]\nlog = sterr\n" ROUTE,
	     "f:2: [server] log: \"sterr\" is neither stderr, syslog nor a path with a \"/\" in "
	     "it\n"},
	    {"password, never told", "[redis]\nurl = redis://u:secret@h:99999\n" ROUTE,
	     "f:2: [redis] url: a port is a number from 1 to 65535\n"},
	    {"second url", "[redis]\nurl = redis://h, redis://h:0\n" ROUTE,
	     "f:2: [redis] url: a port is a number from 1 to 65535\n"},
	    {"no url", "[redis]\nurl = ,\n" ROUTE,
	     "f:2: [redis] url: no URL: redis://HOST:PORT or unix:///PATH, one or several\n"},
	    {"password file", "[redis]\npassword_file = /nonexistent/p\n" ROUTE,
	     "f:2: [redis] password_file: /nonexistent/p: No such file or directory\n"},
	    {"handler", ROUTE "handler = reley\n",
	     "f:4: [route x] handler: there is no handler \"reley\"; did you mean \"relay\"?\n"},
	    {"ours", ROUTE "event = stream-{id}\n",
	     "f:4: [route x] event: \"stream-{id}\": names that begin with \"stream-\" are "
	     "Sluice's own\n"},
	    {"our heartbeat", ROUTE "heartbeat_event = stream-open\n",
	     "f:4: [route x] heartbeat_event: \"stream-open\": names that begin with \"stream-\" "
	     "are Sluice's own\n"},
	    {"of [defaults], used by none", "[defaults]\nretry = 1\n" ROUTE "retry = 1s\n",
	     "f:2: [defaults] retry: \"1\" " DURATION("from 10ms to 1h")},
	    {"of [defaults], used by two",
	     "[defaults]\nretry = 1\n" ROUTE "[route y]\npath = /y\nchannels = y\n",
	     "f:2: [defaults] retry: \"1\" " DURATION("from 10ms to 1h")},
	};

	(void)state;
	RUN(cases);
}

static void
carried_routes(void **state)
{
#define MUX "[route m]\npath = /m\nhandler = mux\n"
	static const struct text_case cases[] = {
	    {"none named", ROUTE MUX,
	     "f:4: [route m] does not say what it carries: routes = NAME NAME, or * for every "
	     "route that streams\n"},
	    {"all", ROUTE MUX "routes = *\n", NULL},
	    {"one", ROUTE MUX "routes = x\n", NULL},
	    {"of [defaults]", "[defaults]\nroutes = x\n" ROUTE MUX, NULL},
	    {"one that is not there",
	     "[route orders]\npath = /o\nchannels = o\n" MUX "routes = ordes\n",
	     "f:7: [route m] routes: there is no route \"ordes\"; did you mean \"orders\"?\n"},
	    {"itself", ROUTE MUX "routes = x m\n",
	     "f:7: [route m] routes: [route m] cannot be carried: a mux carries streams, no other "
	     "mux, and a queue with ack = client\n"},
	    {"a short answer", MUX "routes = h\n[route h]\npath = /h\nhandler = health\n",
	     "f:4: [route m] routes: [route h] cannot be carried: a mux carries streams, no other "
	     "mux, and a queue with ack = client\n"},
	    {"of another handler", ROUTE "routes = x\n",
	     "f:4: [route x] routes: only handler = mux has one\n"},
	};

	(void)state;
	RUN(cases);
}

/* The handler's file has them, and says what it misses; the table of keys knows none of them. */
static void
keys_of_handlers(void **state)
{
#define WORK "[route q]\npath = /q\nhandler = queue\n"
	static const struct text_case cases[] = {
	    {"all of a queue",
	     WORK "streams = s\ngroup = g:{id}\nack = client\nclaim_after = 1s\n"
		  "prefetch = 5\ndead_letter = d\nmax_deliveries = 3\n",
	     NULL},
	    {"neither stream nor group", WORK,
	     "f:1: [route q] has neither channels nor patterns nor streams to relay\n"
	     "f:1: [route q] needs a consumer group: group = workers\n"
	     "f:1: [route q] needs one stream: streams = jobs\n"},
	    {"two streams", WORK "streams = a b\ngroup = g\n",
	     "f:1: [route q] needs one stream: streams = jobs\n"},
	    {"no such word", WORK "streams = s\ngroup = g\nack = clients\n",
	     "f:6: [route q] ack: \"clients\" is none of: auto client\n"},
	    {"without what it is for", WORK "streams = s\ngroup = g\nmax_deliveries = 3\n",
	     "f:6: [route q] max_deliveries: there is no dead_letter stream for what was delivered "
	     "so often\n"},
	    {"the same of [defaults] says nothing",
	     "[defaults]\nmax_deliveries = 3\n" WORK "streams = s\ngroup = g\n", NULL},
	    {"a template of the message", WORK "streams = s\ngroup = {.x}\n",
	     "f:5: [route q] group: no such name may stand here: {.x}; allowed here: "
	     "{parameter}\n"},
	    {"out of range", "[route w]\npath = /w\nchannels = c\nhandler = wait\ntimeout = 2h\n",
	     "f:5: [route w] timeout: \"2h\" is no duration from 10ms to 1h, as in 250ms, 5s, 30m, "
	     "2h\n"},
	    {"of [defaults], where no route has it", "[defaults]\ntimeout = 2h\n" ROUTE,
	     "f:2: [defaults] timeout: \"2h\" is no duration from 10ms to 1h, as in 250ms, 5s, "
	     "30m, 2h\n"},
	    {"nothing to poll", "[route p]\npath = /p\nhandler = poll\n",
	     "f:1: [route p] has neither command nor script to poll: command = GET key\n"},
	    {"an open quote", "[route p]\npath = /p\nhandler = poll\ncommand = GET 'a\n",
	     "f:4: [route p] command: a quote or a backslash ends nowhere: words are a shell's\n"},
	    {"of another handler", ROUTE "group = g\ncommand = GET x\n",
	     "f:4: [route x] group: only handler = queue has one\n"
	     "f:5: [route x] command: only handler = poll has one\n"},
	    {"with an interval, which relay has no use for", ROUTE "interval = 1s\n",
	     "f:4: [route x] interval: relay asks Redis nothing; handler = poll does\n"},
	    {"which [defaults] may have", "[defaults]\ninterval = 1s\n" ROUTE, NULL},
	    {"misspelt", WORK "streams = s\ngroup = g\nprefech = 5\n",
	     "f:6: [route q] unknown key \"prefech\"; did you mean \"prefetch\"?\n"},
	};

	(void)state;
	RUN(cases);
}

static void
listen_addresses(void **state)
{
	static const struct {
		const char *address;
		bool is_good;
	} cases[] = {
	    {"unix:/run/sluice.sock", true},
	    {"unix:sluice.sock", true},
	    {"unix:", false},
	    {"127.0.0.1:9000", true},
	    {"localhost:65535", true},
	    {"[::1]:9000", true},
	    {"::1:9000", false},
	    {"[::1]", false},
	    {"127.0.0.1:0", false},
	    {"127.0.0.1:65536", false},
	    {"127.0.0.1:", false},
	    {":9000", false},
	    {"9000", false},
	    {"example.org:9000", false},
	    {"inherit", true},
	    {"Inherit", false},
	    {"", false},
	};
	char text[512], *path, *said;
	struct config *cfg;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), "[server]\nlisten = %s\n" ROUTE, cases[i].address);
		print_message("%s\n", cases[i].address);
		path = write_file("f", text, strlen(text));
		said = load(&cfg, path);
		assert_int_equal(said == NULL, cases[i].is_good);
		config_free(cfg);
		free(said);
		free(path);
	}
	snprintf(text, sizeof(text), "[server]\nlisten = unix:/%0106d\n" ROUTE, 0);
	expect("107 bytes", text, strlen(text), NULL);
	snprintf(text, sizeof(text), "[server]\nlisten = unix:/%0107d\n" ROUTE, 0);
	path = write_file("f", text, strlen(text));
	said = load(&cfg, path);
	assert_non_null(strstr(said, "at most 107 bytes"));
	free(said);
	free(path);
}

static void
templates(void **state)
{
	static const struct text_case cases[] = {
	    {"of the message", ROUTE "[route y]\npath = /y\nchannels = a:{channel}\n",
	     "f:6: [route y] channels: no such name may stand here: {channel}; allowed here: "
	     "{parameter}\n"},
	    {"from the query", "[route x]\npath = /x\nchannels = a:{id}\n", NULL},
	    {"two with : between", "[route x]\npath = /{a}/{b}\nchannels = {a}:{b}\n", NULL},
	    {"nothing between", "[route x]\npath = /{a}/{b}\nchannels = ok {a}{b}\n",
	     "f:3: [route x] channels: nothing stands between {a} and {b}: two pairs give one "
	     "name\n"},
	    {"a - between", "[route x]\npath = /{a}/{b}\nchannels = {a}-{b}\n",
	     "f:3: [route x] channels: the rule of {a} allows what stands between it and {b}, so "
	     "that two pairs give one name; set another separator or param.a\n"},
	    {"a - between, which the rule excludes",
	     "[route x]\npath = /{a}/{b}\nchannels = {a}-{b}\nparam.a = [0-9]+\n", NULL},
	    {"a : between, which the rule allows",
	     "[route x]\npath = /{a}/{b}\nchannels = {a}:{b}\nparam.a = [0-9:]+\n",
	     "f:3: [route x] channels: the rule of {a} allows what stands between it and {b}, so "
	     "that two pairs give one name; set another separator or param.a\n"},
	    {"a : between, which the last rule allows",
	     "[route x]\npath = /{a}/{b}\nchannels = {a}:{b}\nparam.b = [0-9:]+\n", NULL},
	    {"pattern", "[route x]\npath = /{a}\npatterns = {a}:*\n", NULL},
	    {"any byte in a pattern", "[route x]\npath = /{a}\npatterns = {a}:*\nparam.a = .+\n",
	     "f:3: [route x] patterns: the rule of {a} allows *, ?, [ or \\, with which a client "
	     "would choose the pattern\n"},
	    {"any byte in a key", "[route x]\npath = /{a}\nkeyspace = k:{a}\nparam.a = .+\n",
	     "f:3: [route x] keyspace: the rule of {a} allows *, ?, [ or \\, with which a client "
	     "would choose the pattern\n"},
	    {"keys", "[route x]\npath = /{a}\nkeyspace = k:{a}, j:*:{a}\n", NULL},
	    {"any byte in a channel", "[route x]\npath = /{a}\nchannels = {a}:*\nparam.a = .+\n",
	     NULL},
	};

	(void)state;
	RUN(cases);
}

static void
rules(void **state)
{
	static const struct text_case cases[] = {
	    {"unused", ROUTE "param.iid = [0-9]+\n",
	     "f:4: [route x] param.iid: no path and no template names {iid}; did you mean "
	     "\"param.id\"?\n"},
	    {"any case", ROUTE "param.ID = [0-9]+\n", NULL},
	    {"unused default", "[defaults]\nparam.y = [0-9]+\n" ROUTE,
	     "f:2: [defaults] param.y: no path and no template of any route names this "
	     "parameter\n"},
	    {"used default", "[defaults]\nparam.id = [0-9]+\n" ROUTE, NULL},
	    {"empty", ROUTE "param.id =\n", "f:4: [route x] param.id: " EMPTY},
	    {"no end", ROUTE "param.id = [a\n", "f:4: [route x] param.id: a \"[\" has no \"]\"\n"},
	    {"both anchors escaped", ROUTE "param.id = a)|(b\n",
	     "f:4: [route x] param.id: a \")\" has no \"(\"\n"},
	    {"open group", ROUTE "param.id = (a\n",
	     "f:4: [route x] param.id: a \"(\" has no \")\"\n"},
	    {"back-reference", ROUTE "param.id = (a)\\1\n",
	     "f:4: [route x] param.id: back-references are not allowed\n"},
	    {"255 times", ROUTE "param.id = a{1,255}\n", NULL},
	    {"256 times", ROUTE "param.id = a{256}\n",
	     "f:4: [route x] param.id: it repeats more than 255 times, counts that stand one in "
	     "another multiplied\n"},
	    {"256 times or fewer", ROUTE "param.id = a{,256}\n",
	     "f:4: [route x] param.id: it repeats more than 255 times, counts that stand one in "
	     "another multiplied\n"},
	    {"nested", ROUTE "param.id = ((a{1,16}){1,16})+\n",
	     "f:4: [route x] param.id: it repeats more than 255 times, counts that stand one in "
	     "another multiplied\n"},
	    {"nested in two ways", ROUTE "param.id = a{16}{16}\n",
	     "f:4: [route x] param.id: it repeats more than 255 times, counts that stand one in "
	     "another multiplied\n"},
	    {"large all in all", ROUTE "param.id = (aaaaaaaaaaaaaaaaa){255}\n",
	     "f:4: [route x] param.id: its repetitions written out come to more than 4,096 "
	     "characters\n"},
	    {"minutes to compile", ROUTE "param.id = ((a*)*){1,99}\n",
	     "f:4: [route x] param.id: it repeats what may be empty\n"},
	    {"from none on", ROUTE "param.id = (a{,3}){1,9}\n",
	     "f:4: [route x] param.id: it repeats what may be empty\n"},
	};

	(void)state;
	RUN(cases);
}

static void
routes(void **state)
{
	static const struct text_case cases[] = {
	    {"no path", "[route x]\nchannels = x\n",
	     "f:1: [route x] has no path: path = /events/{id}\n"},
	    {"nothing to relay", "[route x]\npath = /x\n",
	     "f:1: [route x] has neither channels nor patterns nor streams to relay\n"},
	    {"empty lists", "[route x]\npath = /x\nchannels = ,\n",
	     "f:1: [route x] has an empty list of channels, patterns or streams\n"},
	    {"same path", ROUTE "[route y]\npath = /x/{name}\nchannels = y:{name}\n",
	     "f:5: [route y] path: /x/{name} is never reached: [route x] serves /x/{id} and stands "
	     "before it\n"},
	    {"literal behind a parameter", ROUTE "[route y]\npath = /x/y\nchannels = y\n",
	     "f:5: [route y] path: /x/y is never reached: [route x] serves /x/{id} and stands "
	     "before it\n"},
	    {"literal before a parameter", "[route y]\npath = /x/y\nchannels = y\n" ROUTE, NULL},
	    {"overlapping, but not all",
	     "[route x]\npath = /{a}/b\nchannels = y\n[route y]\npath = /a/{b}\nchannels = y\n",
	     NULL},
	    {"other length", ROUTE "[route y]\npath = /x\nchannels = y\n", NULL},
	    {"anybody with cookies", ROUTE "cors_origins = *\ncors_credentials = yes\n",
	     "f:4: [route x] cors_origins: any site (*) with credentials would read what is the "
	     "user's own; name the sites\n"},
	    {"anybody", ROUTE "cors_origins = *\n", NULL},
	    {"anybody and somebody", ROUTE "cors_origins = https://a.example *\n",
	     "f:4: [route x] cors_origins: \"*\" stands alone\n"},
	    {"origins", ROUTE "cors_origins = https://a.example, http://[::1]:8080\n", NULL},
	    {"origin with a path", ROUTE "cors_origins = https://a.example/\n",
	     "f:4: [route x] cors_origins: \"https://a.example/\" is not scheme://host[:port]: "
	     "nothing stands behind the host or port\n"},
	    {"origin without a scheme", ROUTE "cors_origins = a.example\n",
	     "f:4: [route x] cors_origins: \"a.example\" is not scheme://host[:port], as in "
	     "https://example.org\n"},
	    {"origin in capitals", ROUTE "cors_origins = https://A.example\n",
	     "f:4: [route x] cors_origins: \"https://A.example\" is not scheme://host[:port] in "
	     "lower case\n"},
	    {"origin with the scheme's port", ROUTE "cors_origins = https://a.example:443\n",
	     "f:4: [route x] cors_origins: \"https://a.example:443\" names the scheme's own port, "
	     "which browsers leave out\n"},
	    {"stream of an answer", "[route h]\npath = /h\nhandler = health\nretry = 1s\n",
	     "f:4: [route h] retry: handler \"health\" gives a short answer: it has no stream to "
	     "which this could apply\n"},
	    {"stream of [defaults]",
	     "[defaults]\nretry = 1s\n[route h]\npath = /h\nhandler = health\n", NULL},
	};

	(void)state;
	RUN(cases);
}

#define NAMES \
	"there are message, text, channel, id, params, user, claims, now, math, string, table, " \
	"tostring, tonumber, type, pairs, ipairs, has, null, array, unique\n"
#define LIMIT "is no number of 1 to 1000000 in a time of 1ms to 1h, as in 10/s or 1/5s\n"

static void
logic(void **state)
{
	static const struct text_case cases[] = {
	    {"expression", ROUTE "filter = message.a >= 5 and params.id ~= channel\n", NULL},
	    {"no end", ROUTE "filter = message.a ==\n",
	     "f:4: [route x] filter: unexpected symbol near <eof>\n"},
	    {"a statement", ROUTE "transform = message.a = 5\n",
	     "f:4: [route x] transform: <eof> expected near '='; did you mean \"==\"?\n"},
	    {"misspelt", ROUTE "until = mesage.done\n",
	     "f:4: [route x] until: there is no \"mesage\"; did you mean \"message\"?\n"},
	    {"out of reach", ROUTE "filter = os.exit()\n",
	     "f:4: [route x] filter: there is no \"os\"; did you mean \"now\"?\n"},
	    {"another language", ROUTE "filter = message.a != 1\n",
	     "f:4: [route x] filter: there is no operator \"!=\"; did you mean \"~=\"?\n"},
	    {"not in the library", ROUTE "until = math.flor(1)\n",
	     "f:4: [route x] until: there is no \"math.flor\"; did you mean \"math.floor\"?\n"},
	    {"a local of its own", ROUTE "filter = (function(xyz) return xyz end)(1)\n", NULL},
	    {"in [defaults]", "[defaults]\nfilter = x.y\n" ROUTE,
	     "f:2: [defaults] filter: there is no \"x\"; " NAMES},
	    {"taken back", "[defaults]\nfilter = false\n" ROUTE "filter = true\n", NULL},
	    {"fields and add", ROUTE "fields = a, b\nadd.c = {now}\nadd.D = {id}{.x}\n", NULL},
	    {"add without a name", ROUTE "add. = 1\n",
	     "f:4: [route x] add.: a name is missing: add.server_time = {now}\n"},
	    {"add with a wrong template", ROUTE "add.a = {x\n",
	     "f:4: [route x] add.a: a lone {; a name stands in {braces}, and {{ is one brace\n"},
	    {"nearest name", ROUTE "ad.a = 1\n",
	     "f:4: [route x] unknown key \"ad.a\"; did you mean \"add.a\"?\n"},
	    {"two makers", ROUTE "transform = 1\nfields = a\nadd.b = 1\n",
	     "f:5: [route x] fields: transform makes the data, so this has no use\n"
	     "f:6: [route x] add.b: transform makes the data, so this has no use\n"},
	    {"no script", ROUTE "script = gone.lua\n",
	     "f:4: [route x] script: gone.lua: No such file or directory\n"},
	    {"rate", ROUTE "rate = 10/s\nrate_mode = latest\nrate_by = {.a}\nbatch = 2/500ms\n",
	     NULL},
	    {"rate of none", ROUTE "rate = 0/s\n", "f:4: [route x] rate: \"0/s\" " LIMIT},
	    {"rate without a time", ROUTE "rate = 10\n", "f:4: [route x] rate: \"10\" " LIMIT},
	    {"rate in no time", ROUTE "rate = 1/0s\n", "f:4: [route x] rate: \"1/0s\" " LIMIT},
	    {"batch of too many", ROUTE "batch = 1000001/s\n",
	     "f:4: [route x] batch: \"1000001/s\" " LIMIT},
	    {"mode without a rate", ROUTE "rate_mode = latest\n",
	     "f:4: [route x] rate_mode: there is no rate to which it could apply\n"},
	    {"by without a rate", ROUTE "rate_by = {.a}\n",
	     "f:4: [route x] rate_by: there is no rate that it could divide\n"},
	    {"of a short answer", "[route x]\npath = /x\nhandler = health\nadd.x = 1\n",
	     "f:4: [route x] add.x: the handler gives a short answer: it has no messages\n"},
	    {"id", ROUTE "id = {.a}-{unique}\n", NULL},
	    {"reserved in a path", "[route x]\npath = /x/{channel}\nchannels = x\n",
	     "f:2: [route x] path: {channel} is reserved: in a template it stands for something of "
	     "Sluice's own; did you mean \"{channel_name}\"?\n"},
	    {"unique in a channel", "[route x]\npath = /x\nchannels = {unique}\n",
	     "f:3: [route x] channels: no such name may stand here: {unique}; allowed here: "
	     "{parameter}\n"},
	    {"rule of a parameter that an expression names",
	     ROUTE "filter = params.q == 'x'\nparam.q = [a-z]+\n", NULL},
	};

	(void)state;
	RUN(cases);
}

/* What a route's feeds depend on. */
static void
keys_of_feeds(void **state)
{
	static const struct {
		const char *name, *lines, *key;
	} cases[] = {
	    {"nothing", "channels = c\n", ""},
	    {"a channel", "channels = c:{id}\n", "id"},
	    {"an expression", "channels = c\nfilter = params.id == 1\n", "id"},
	    {"of the query", "channels = c\ntransform = params['q']\n", "q"},
	    {"which cannot be told", "channels = c\nfilter = params[message.x]\n", "id"},
	    {"templates",
	     "channels = c\nadd.a = {a}\nevent = {b}\nid = {c}\nrate = 1/s\n"
	     "rate_by = {d}\nheartbeat_data = {e}\n",
	     "bceda"},
	    {"a handler of its own", "handler = job\n", "id"},
	    {"a command", "handler = poll\ncommand = GET {a}:{b}\n", "idab"},
	    {"a group", "handler = queue\nstreams = s\ngroup = {g}\n", "g"},
	};
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512], key[64] = "", *faults;
		const char *name;
		struct config *cfg;
		char *path;

		snprintf(text, sizeof(text), "[route x]\npath = /x/{id}\n%s", cases[i].lines);
		path = write_file("f", text, strlen(text));
		if ((faults = load(&cfg, path)) != NULL && strstr(faults, ": note: ") == NULL)
			fail_msg("%s: %s", cases[i].name, faults);
		free(faults);
		for (n = 0; (name = route_key_param(cfg->routes[0], n)) != NULL; n++)
			strcat(key, name);
		if (strcmp(key, cases[i].key) != 0)
			fail_msg("%s: \"%s\" instead of \"%s\"", cases[i].name, key, cases[i].key);
		config_free(cfg);
		free(path);
	}
}

static void
odd_files(void **state)
{
	char *link, *fifo, *said, *missing;
	struct config *cfg;

	(void)state;
	assert_true(asprintf(&link, "%s/loop", folder) > 0);
	assert_true(asprintf(&fifo, "%s/fifo", folder) > 0);
	assert_true(asprintf(&missing, "%s/missing", folder) > 0);
	assert_int_equal(symlink(link, link), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_string_equal(said = load(&cfg, link), "loop: Too many levels of symbolic links\n");
	free(said);
	assert_string_equal(said = load(&cfg, fifo), "fifo: not a regular file\n");
	free(said);
	assert_string_equal(said = load(&cfg, missing), "missing: No such file or directory\n");
	free(said);
	assert_string_equal(said = load(&cfg, "/dev/null"), "/dev/null: not a regular file\n");
	free(said);
	assert_string_equal(said = load(&cfg, "/"), "/: not a regular file\n");
	free(said);
	unlink(link);
	unlink(fifo);
	free(link);
	free(fifo);
	free(missing);
}

static void
defaults(void **state)
{
	char *path = write_file("f", ROUTE, strlen(ROUTE));
	const struct route *rt;
	struct config *cfg;

	(void)state;
	assert_null(load(&cfg, path));
	assert_null(cfg->server.listen);
	assert_int_equal(cfg->server.socket_mode, 0660);
	assert_null(cfg->server.socket_user);
	assert_null(cfg->server.socket_group);
	assert_string_equal(cfg->server.base, "");
	assert_in_range(cfg->server.workers, 1, 256);
	assert_null(cfg->server.user);
	assert_null(cfg->server.group);
	assert_int_equal(cfg->server.drain_ms, 10000);
	assert_string_equal(cfg->server.log, "stderr");
	assert_int_equal(cfg->server.log_level, LOGGER_INFO);
	assert_int_equal(cfg->server.log_format, LOGGER_TEXT);
	assert_int_equal(cfg->redis.n_urls, 1);
	assert_string_equal(cfg->redis.urls[0].host, "127.0.0.1");
	assert_int_equal(cfg->redis.urls[0].port, 6379);
	assert_string_equal(cfg->redis.prefix, "");
	assert_null(cfg->redis.password_file);
	assert_int_equal(cfg->redis.connect_timeout_ms, 2000);
	assert_int_equal(cfg->n_routes, 1);
	rt = cfg->routes[0];
	assert_string_equal(rt->name, "x");
	assert_ptr_equal(rt->handler, handlers_find("relay"));
	assert_null(rt->subjects[SUBJECT_PATTERN]);
	assert_null(rt->stream.event);
	assert_string_equal(rt->stream.heartbeat_event, "keep-alive");
	assert_non_null(rt->stream.heartbeat_data);
	assert_int_equal(rt->stream.heartbeat_ms, 15000);
	assert_int_equal(rt->stream.lifetime_ms, 0);
	assert_int_equal(rt->stream.idle_ms, 0);
	assert_int_equal(rt->stream.max_events, 0);
	assert_int_equal(rt->stream.open_wait_ms, 2000);
	assert_int_equal(rt->stream.retry_ms, 3000);
	assert_int_equal(rt->stream.queue, 256 * 1024);
	assert_int_equal(rt->stream.overflow, OVERFLOW_DISCONNECT);
	assert_true(rt->stream.announce);
	assert_null(rt->cors_origins);
	assert_false(rt->cors_credentials);
	config_free(cfg);
	free(path);
}

static void
effective(void **state)
{
	static const char text[] =
	    "[defaults]\nheartbeat = 5s\nparam.ID = [0-9]+\nannounce = no\n" ROUTE
	    "heartbeat = 1s\noverflow = latest\nevent = \"a;b\"\n"
	    "[server]\nlog_level = debug\nworkers = 3\n"
	    "[route h]\nhandler = health\npath = /h\n";
	char *path = write_file("f", text, strlen(text));
	const struct route *rt;
	struct config *cfg;

	(void)state;
	assert_null(load(&cfg, path));
	assert_int_equal(cfg->server.log_level, LOGGER_DEBUG);
	assert_int_equal(cfg->server.workers, 3);
	assert_int_equal(cfg->n_routes, 2);
	rt = cfg->routes[0];
	assert_int_equal(rt->stream.heartbeat_ms, 1000);
	assert_false(rt->stream.announce);
	assert_int_equal(rt->stream.overflow, OVERFLOW_LATEST);
	assert_int_equal(rt->n_rules, 1);
	assert_string_equal(rt->rules[0].name, "id");
	assert_true(route_param_ok(rt, "id", "12"));
	assert_false(route_param_ok(rt, "id", "12a"));
	assert_false(route_param_ok(rt, "id", "12\n"));
	assert_string_equal(
	    rt->source,
	    "path = /x/{id}\nhandler = relay\nchannels = x:{id}\n"
	    "keyspace_value = no\nrecord = 0\nstart = $\nhistory = 1000\ninterval = 1s\nevent = "
	    "\"a;b\"\nrate_mode = drop\n"
	    "heartbeat = 1s\n"
	    "heartbeat_event = \"\"\nheartbeat_data = {{}}\nlifetime = 0\nidle = 0\nabandoned = 0\n"
	    "max_events = 0\nretry = 3s\nopen_wait = 2s\nannounce = no\n"
	    "queue = 256k\noverflow = latest\npublish_max = 64k\n"
	    "publish_maxlen = 0\nauth = none\nmax_subscribers = 0\n"
	    "max_per_user = 0\nmax_per_ip = 0\ncors_credentials = no\n"
	    "param.id = [0-9]+\n");
	assert_string_equal(cfg->routes[1]->source,
			    "path = /h\nhandler = health\nauth = none\ncors_credentials = no\n");
	config_free(cfg);
	free(path);
}

static void
environment(void **state)
{
	static const char text[] = "[server]\nworkers = 0\n[redis]\nprefix = a:\n" ROUTE;
	char *path = write_file("f", text, strlen(text)), *said;
	struct config *cfg;

	(void)state;
	setenv("SLUICE_SERVER_WORKERS", "7", 1);
	setenv("SLUICE_REDIS_URL", "unix:///tmp/x.sock", 1);
	setenv("SLUICE_HARMLESS", "1", 1);
	assert_null(load(&cfg, path));
	assert_int_equal(cfg->server.workers, 7);
	assert_string_equal(cfg->redis.urls[0].path, "/tmp/x.sock");
	assert_string_equal(cfg->redis.prefix, "a:");
	config_free(cfg);
	setenv("SLUICE_SERVER_WORKERS", "x", 1);
	setenv("SLUICE_SERVER_LISEN", "x", 1);
	setenv("SLUICE_REDIS_ZZZZZZZZ", "x", 1);
	said = load(&cfg, path);
	assert_string_equal(
	    said,
	    "environment: SLUICE_REDIS_ZZZZZZZZ: there is no such key\n"
	    "environment: SLUICE_SERVER_LISEN: there is no such key; did you mean "
	    "SLUICE_SERVER_LISTEN?\n"
	    "environment: SLUICE_SERVER_WORKERS: \"x\" is neither auto nor a number from 1 to "
	    "256\n");
	free(said);
	free(path);
	unsetenv("SLUICE_SERVER_WORKERS");
	unsetenv("SLUICE_REDIS_URL");
	unsetenv("SLUICE_HARMLESS");
	unsetenv("SLUICE_SERVER_LISEN");
	unsetenv("SLUICE_REDIS_ZZZZZZZZ");
}

static void
includes(void **state)
{
	static const char text[] = "[server]\ninclude = [i]*.ini\n" ROUTE;
	static const char first[] = "[route y]\npath = /y\nchannels = y\n";
	static const char second[] =
	    "[route x]\nretry = 1\n[server]\ninclude = other\n[redis]\nurll = x\n";
	char *path = write_file("f", text, strlen(text)), *said;
	char *one = write_file("i1.ini", first, strlen(first)), *two;
	struct config *cfg;

	(void)state;
	assert_null(load(&cfg, path));
	assert_int_equal(cfg->n_routes, 2);
	assert_string_equal(cfg->routes[1]->name, "y");
	config_free(cfg);
	two = write_file("i2.ini", second, strlen(second));
	said = load(&cfg, path);
	assert_string_equal(said,
			    "i2.ini:1: [route x] is there already, in f:3\n"
			    "i2.ini:3: [server] is there already, in f:1\n"
			    "i2.ini:6: [redis] unknown key \"urll\"; did you mean \"url\"?\n");
	free(said);
	unlink(one);
	unlink(two);
	assert_null(load(&cfg, path)); /* a folder without files is fine */
	config_free(cfg);
	free(path);
	free(one);
	free(two);
	path = write_file("f", "[server]\ninclude = none.ini\n" ROUTE,
			  strlen("[server]\ninclude = none.ini\n" ROUTE));
	said = load(&cfg, path);
	assert_string_equal(said, "f:2: [server] include: there is no none.ini\n");
	free(said);
	free(path);
}

/* A decimal comma or a Turkish i must change nothing. */
static void
other_locales(void **state)
{
	static const char *const names[] = {"de_DE.UTF-8", "tr_TR.UTF-8", "C.UTF-8"};

	for (size_t i = 0; i < 3; i++) {
		if (setlocale(LC_ALL, names[i]) == NULL)
			print_message("%s is not installed\n", names[i]);
		values(state);
		keys(state);
	}
	setlocale(LC_ALL, "C");
}

static int
make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
remove_folder(void **state)
{
	char *path;

	(void)state;
	if (asprintf(&path, "%s/f", folder) > 0) {
		unlink(path);
		free(path);
	}
	return rmdir(folder);
}

#define QUEUE(name, stream, dead) \
	"[route " name "]\npath = /" name "\nhandler = queue\ngroup = g\nstreams = " stream \
	"\ndead_letter = " dead "\n"
#define BACK \
	"dead_letter: it leads back to the queue's own stream: entries that nobody can handle " \
	"would be copied without end; name a stream that no such queue reads\n"
#define NO_PAST \
	"there is no past that could be sent: the route has no streams and records no channels; " \
	"did you mean \"record = 1000\"?\n"

/* What an operator gets wrong, beside the above: the line, what is wrong, and the nearest right
 * thing. */
static void
slips(void **state)
{
	static const struct text_case cases[] = {
	    {"the cause first", "[route x]\npath = /x\nchanels = x\n",
	     "f:3: [route x] unknown key \"chanels\"; did you mean \"channels\"?\n"
	     "f:1: [route x] has neither channels nor patterns nor streams to relay\n"},
	    {"each section's own",
	     "[route x]\npath = /x\nchanels = x\n[route y]\npath = /y\n"
	     "chanels = y\n",
	     "f:3: [route x] unknown key \"chanels\"; did you mean \"channels\"?\n"
	     "f:1: [route x] has neither channels nor patterns nor streams to relay\n"
	     "f:6: [route y] unknown key \"chanels\"; did you mean \"channels\"?\n"
	     "f:4: [route y] has neither channels nor patterns nor streams to relay\n"},
	    {"nearly a parameter", "[route x]\npath = /d/{shop}\nchannels = d:{shp}\n",
	     "f:3: note: [route x] channels: {shp} does not stand in /d/{shop}, so each request "
	     "must have it in its query; did you mean {shop}?\n"},
	    {"nearly one in an expression",
	     "[route x]\npath = /d/{shop}\nchannels = d:{shop}\n"
	     "filter = message.a == params.shpo\n",
	     "f:4: note: [route x] filter: {shpo} does not stand in /d/{shop}, so each request "
	     "must have it in its query; did you mean {shop}?\n"},
	    {"one of the query", "[route x]\npath = /d/{shop}\nchannels = d:{shop}:{kind}\n", NULL},
	    {"start without a past", ROUTE "start = 0\n", "f:4: [route x] start: " NO_PAST},
	    {"history without a past", ROUTE "history = 10\n", "f:4: [route x] history: " NO_PAST},
	    {"start with one", ROUTE "record = 10\nstart = 0\nhistory = 5\n", NULL},
	    {"start in [defaults]", "[defaults]\nstart = 0\n" ROUTE, NULL},
	    {"base in a path",
	     "[server]\nbase = /events\n[route x]\npath = /events/x\nchannels = x\n",
	     "f:4: [route x] path: /events/x begins with base = /events, which is taken off first, "
	     "so it would be served at /events/events/x; did you mean \"/x\"?\n"},
	    {"the base itself", "[server]\nbase = /e\n[route x]\npath = /e\nchannels = x\n",
	     "f:4: [route x] path: /e begins with base = /e, which is taken off first, so it would "
	     "be served at /e/e; did you mean \"/\"?\n"},
	    {"no segment of its own",
	     "[server]\nbase = /e\n[route x]\npath = /eggs\nchannels = x\n", NULL},
	    {"a number for a user", "[server]\nsocket_user = 1000\nsocket_group = 54321\n" ROUTE,
	     NULL},
	    {"a user without an account", "[server]\nuser = 54321\n" ROUTE,
	     "f:2: [server] user: there is no user \"54321\"\n"},
	    {"a missing folder", "[server]\nlog = /nowhere/at/all/sluice.log\n" ROUTE,
	     "f:2: [server] log: /nowhere/at/all/sluice.log: there is no folder "
	     "/nowhere/at/all/\n"},
	    {"a log that cannot be opened anew",
	     "[server]\nuser = nobody\nlog = /etc/sluice.log\n" ROUTE,
	     "f:3: note: [server] log: user = nobody may not write /etc/: a file that is moved "
	     "away cannot be opened anew at USR1; give the user a folder of its own, as "
	     "/var/log/sluice/, or log to syslog\n"},
	    {"no modules", "[server]\nmodules = /nowhere/*.so\n" ROUTE,
	     "f:2: [server] modules: nothing matches /nowhere/*.so; were the modules built, and "
	     "are they installed there?\n"},
	    {"an abstract socket", "[server]\nlisten = unix:@sluice\n" ROUTE,
	     "f:2: [server] listen: unix:@ is no path: anybody may connect to an abstract socket; "
	     "did you mean unix:/run/sluice?\n"},
	    {"a heartbeat above the usual time-outs", ROUTE "heartbeat = 2m\n",
	     "f:4: note: [route x] heartbeat: most web servers and proxies cut a connection that "
	     "is "
	     "silent for 60s; did you mean \"15s\"?\n"},
	    {"a queue smaller than a message",
	     ROUTE "publish = x:{id}\npublish_auth = none\nqueue = 4k\n",
	     "f:6: note: [route x] queue: a message of publish_max = 64k is larger than what may "
	     "wait for a client: each would end whoever does not read it at once; queue = 256k, or "
	     "a smaller publish_max\n"},
	    {"too few words", ROUTE "snapshot = GET\n",
	     "f:4: [route x] snapshot: GET has too few words: GET KEY\n"},
	    {"too many", ROUTE "snapshot = get a b\n",
	     "f:4: [route x] snapshot: GET has too many words: GET KEY\n"},
	    {"the server's own", ROUTE "snapshot = FLUSHALL\n",
	     "f:4: [route x] snapshot: FLUSHALL is for whoever runs the server; a route reads: GET "
	     "KEY\n"},
	    {"one of its own", ROUTE "allow_command = CONFIG SET a b\n",
	     "f:4: [route x] allow_command: CONFIG is for whoever runs the server; a route reads: "
	     "GET KEY\n"},
	    {"one that reads", ROUTE "snapshot = CONFIG GET maxmemory\n", NULL},
	    {"one that writes", "[route x]\npath = /x\nhandler = poll\ncommand = incr a\n",
	     "f:4: note: [route x] command: incr writes, and is said as often as there is somebody "
	     "to read; what reads is GET, HGETALL, LRANGE and the like\n"},
	    {"a route that needs a key which is none",
	     "[auth]\njwt_key = short\n" ROUTE "auth = jwt\n",
	     "f:2: [auth] jwt_key: the secret has fewer than 32 bytes: openssl rand -hex 32 makes "
	     "one\n"},
	    {"a route that needs a key whose name is none",
	     "[auth]\njwt_kye = x\n" ROUTE "auth = jwt\n",
	     "f:2: [auth] unknown key \"jwt_kye\"; did you mean \"jwt_key\"?\n"},
	    {"a cookie whose key is wrong", "[auth]\nsession_cookie = s\nsession_key = x\n" ROUTE,
	     "f:3: [auth] session_key: the cookie's value, and nothing else, must stand in it: "
	     "PHPREDIS_SESSION:{cookie}\n"},
	    {"an algorithm that is none",
	     "[auth]\njwt_key = 0123456789abcdef0123456789abcdef\njwt_algorithms = none\n" ROUTE,
	     "f:3: [auth] jwt_algorithms: \"none\" is none of HS256 HS384 HS512 RS256 RS384 RS512 "
	     "ES256 ES384 ES512 EdDSA\n"},
	    {"what is of use only with publish", ROUTE "publish_auth = none\npublish_rate = 1/s\n",
	     "f:4: note: [route x] publish_auth: nobody can publish here: publish = CHANNEL, or "
	     "publish_stream = STREAM, is missing\n"
	     "f:5: note: [route x] publish_rate: nobody can publish here: publish = CHANNEL, or "
	     "publish_stream = STREAM, is missing\n"},
	    {"allow, and a message", ROUTE "allow = message.user == user\n",
	     "f:4: [route x] allow: there is no \"message\" when it is asked; there are user, "
	     "claims, params\n"},
	    {"allow, and an id", ROUTE "allow = params.id == id\n",
	     "f:4: [route x] allow: there is no \"id\" when it is asked; there are user, claims, "
	     "params\n"},
	    {"an id that is ours", ROUTE "id = {id}.end\n",
	     "f:4: [route x] id: ids that end in \".end\" are Sluice's own\n"},
	    {"an id that cannot be sent", ROUTE "id = a:b\n",
	     "f:4: [route x] id: no event could be sent: its id holds a control byte or one of "
	     "\"():<>?@[\\]{}\n"},
	    {"a name that cannot be sent",
	     ROUTE "event = "
		   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
	     "f:4: [route x] event: no event could be sent: its name is longer than 128 bytes\n"},
	    {"a field without its dot", ROUTE "event = {kind}\n",
	     "f:4: note: [route x] event: {kind} does not stand in /x/{id}, so each request must "
	     "have it in its query; a field of the message is {.kind}\n"},
	    {"fields and parameters", ROUTE "event = {id}{.kind}{channel}\nid = {unique}\n", NULL},
	    {"snapshot_from beside keys",
	     "[route x]\npath = /x\nchannels = x\nkeyspace = k\nrecord = 5\nsnapshot = GET k\n"
	     "snapshot_from = {.at}\n",
	     "f:5: [route x] record: channels are recorded, and they alone: a pattern has no log, "
	     "and a stream is one\n"},
	    {"values without keys", ROUTE "keyspace_value = yes\n",
	     "f:4: [route x] keyspace_value: there is no key whose value it could be: keyspace = "
	     "KEY\n"},
	    {"never reached",
	     "[route x]\npath = /{a}\nchannels = x\n[route y]\npath = /y\n"
	     "channels = y\n",
	     "f:5: [route y] path: /y is never reached: [route x] serves /{a} and stands before "
	     "it\n"},
	    {"dead letters of its own", QUEUE("a", "jobs", "jobs"), "f:6: [route a] " BACK},
	    {"of its own by a parameter",
	     "[route a]\npath = /a/{q}\nhandler = queue\ngroup = g\nstreams = jobs:{q}\n"
	     "dead_letter = jobs:dead\n",
	     "f:6: [route a] " BACK},
	    {"not by its rule",
	     "[route a]\npath = /a/{q}\nhandler = queue\ngroup = g\nstreams = jobs:{q}\n"
	     "dead_letter = jobs:dead:all\n",
	     NULL},
	    {"a circle of two", QUEUE("a", "jobs", "dead") QUEUE("b", "dead", "jobs"),
	     "f:6: [route a] " BACK "f:12: [route b] " BACK},
	    {"a circle of three", QUEUE("a", "x", "y") QUEUE("b", "y", "z") QUEUE("c", "z", "x"),
	     "f:6: [route a] " BACK "f:12: [route b] " BACK "f:18: [route c] " BACK},
	    {"a way into nothing", QUEUE("a", "x", "y") QUEUE("b", "y", "z"), NULL},
	    {"a way into a circle", QUEUE("a", "x", "y") QUEUE("b", "y", "y"),
	     "f:12: [route b] " BACK},
	    {"not Lua's", ROUTE "filter = message.a === 1 && !message.b\n",
	     "f:4: [route x] filter: there is no operator \"===\"; did you mean \"==\"?\n"},
	    {"a method that strings lack", ROUTE "filter = message.a:match('x')\n",
	     "f:4: note: [route x] filter: there is no \"string.match\"; did you mean "
	     "\"string.find\"?\n"},
	    {"not in the library", ROUTE "filter = string.match(message.a, 'x')\n",
	     "f:4: [route x] filter: there is no \"string.match\"; did you mean "
	     "\"string.find\"?\n"},
	};

	(void)state;
	RUN(cases);
}

static void
files_that_include_themselves(void **state)
{
	static const char again[] = "[server]\ninclude = f\n" ROUTE;
	char *other = write_file("other.ini",
				 "[server]\ninclude = f\n[route y]\npath = /y\n"
				 "channels = y\n",
				 sizeof("[server]\ninclude = f\n[route y]\npath = /y\n"
					"channels = y\n") -
				     1);

	(void)state;
	expect("itself", again, sizeof(again) - 1,
	       "f:2: [server] include: f has been read already: a file cannot include itself, nor "
	       "one that was included\n");
	assert_int_equal(unlink(other), 0);
	free(other);
}

/* Each kind is told by its key, has its own place in a route, and something to follow it by. */
static void
kinds_of_subjects(void **state)
{
	const struct feed_settings plain = {0};
	const struct feed_kind *live = feed_kind_of(handlers_find("relay"), &plain);

	(void)state;
	for (size_t i = 0; i < N_SUBJECT_KINDS; i++) {
		const struct config_key *key = config_key_find(CONFIG_ROUTE, subject_traits[i].key);

		assert_non_null(key);
		assert_int_equal(key->offset,
				 offsetof(struct route, subjects) + i * sizeof(struct template **));
		assert_non_null(subject_traits[i].title);
		assert_non_null(live->follows[i]);
		assert_int_equal(live->follows[i]->is_resumable, subject_traits[i].is_resumable);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lines),
	    cmocka_unit_test(long_lines),
	    cmocka_unit_test(sections),
	    cmocka_unit_test(keys),
	    cmocka_unit_test(values),
	    cmocka_unit_test(carried_routes),
	    cmocka_unit_test(kinds_of_subjects),
	    cmocka_unit_test(keys_of_handlers),
	    cmocka_unit_test(listen_addresses),
	    cmocka_unit_test(templates),
	    cmocka_unit_test(rules),
	    cmocka_unit_test(routes),
	    cmocka_unit_test(logic),
	    cmocka_unit_test(slips),
	    cmocka_unit_test(files_that_include_themselves),
	    cmocka_unit_test(keys_of_feeds),
	    cmocka_unit_test(odd_files),
	    cmocka_unit_test(defaults),
	    cmocka_unit_test(effective),
	    cmocka_unit_test(environment),
	    cmocka_unit_test(includes),
	    cmocka_unit_test(other_locales),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
