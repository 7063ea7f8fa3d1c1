/*
 * test_link.c - a link and the subscriptions on it, against a Redis that is only pretended.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_redis.h"
#include "redis/pubsub.h"

struct subject {
	struct pubsub_subject remote; /* first: found from it */
	const char *name;
};

static struct pubsub *pubsub;
static struct subject a = {.name = "a"}, b = {.name = "b"}, p = {.name = "p*"};

static const char *
name_of(struct pubsub_subject *remote)
{
	return ((struct subject *)(void *)remote)->name;
}

static void
on_message(void *ctx, struct pubsub_subject *remote, const struct pubsub_message *msg)
{
	(void)ctx;
	note("message %s:%.*s=%.*s", name_of(remote), (int)msg->channel_len, msg->channel,
	     (int)msg->data_len, msg->data);
}

static void
on_confirmed(void *ctx, struct pubsub_subject *remote)
{
	(void)ctx;
	note("confirmed %s", name_of(remote));
}

static void
on_refused(void *ctx, struct pubsub_subject *remote, const char *why)
{
	(void)ctx;
	note("refused %s: %s", name_of(remote), why);
}

static void
on_lost(void *ctx)
{
	(void)ctx;
	note("lost");
}

static const struct pubsub_ops pubsub_ops = {
    .on_message = on_message,
    .on_confirmed = on_confirmed,
    .on_refused = on_refused,
    .on_lost = on_lost,
};

static void
open_pubsub(void)
{
	assert_int_equal(pubsub_new(&pubsub, &loop, servers(), &pubsub_ops, NULL), 0);
}

static void
subscribe(struct subject *subject)
{
	enum subject_kind kind = subject == &p ? SUBJECT_PATTERN : SUBJECT_CHANNEL;

	assert_int_equal(
	    pubsub_subscribe(pubsub, &subject->remote, kind, subject->name, strlen(subject->name)),
	    0);
}

static void
unsubscribe(struct subject *subject)
{
	pubsub_unsubscribe(pubsub, &subject->remote);
}

/* Connected, a confirmed, nothing noted. */
static void
begin(void)
{
	add_url_of_redis("", "");
	open_pubsub();
	subscribe(&a);
	RUN_UNTIL(has_seen("confirmed a|"));
	buf_truncate(&seen_events, 0);
	buf_truncate(&heard_commands, 0);
}

static int
setup(void **state)
{
	(void)state;
	fake_start();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pubsub_free(pubsub);
	pubsub = NULL;
	fake_stop();
	return 0;
}

static void
again(void)
{
	teardown(NULL);
	setup(NULL);
}

/* Coming up */

static void
test_greeting(void **state)
{
	static const struct {
		const char *name, *login, *rest, *file, *want;
	} cases[] = {
	    {"nothing", "", "", NULL, "CLIENT SETNAME sluice|ROLE|"},
	    {"password", ":pw@", "", NULL, "AUTH pw|CLIENT SETNAME sluice|ROLE|"},
	    {"user", "u:pw@", "", NULL, "AUTH u pw|CLIENT SETNAME sluice|ROLE|"},
	    {"database", "", "?db=3", NULL, "SELECT 3|CLIENT SETNAME sluice|ROLE|"},
	    {"database 0", "", "?db=0", NULL, "CLIENT SETNAME sluice|ROLE|"},
	    {"all", "u:pw@", "?db=9", NULL, "AUTH u pw|SELECT 9|CLIENT SETNAME sluice|ROLE|"},
	    {"file", "", "", "secret\n", "AUTH secret|CLIENT SETNAME sluice|ROLE|"},
	    {"file of DOS", "", "", "secret\r\n", "AUTH secret|CLIENT SETNAME sluice|ROLE|"},
	    {"file without newline", "", "", "a b", "AUTH a b|CLIENT SETNAME sluice|ROLE|"},
	    {"user, and file", "u@", "", "secret\n", "AUTH u secret|CLIENT SETNAME sluice|ROLE|"},
	    {"password before file", ":pw@", "", "other\n", "AUTH pw|CLIENT SETNAME sluice|ROLE|"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < N(cases); i++) {
		char path[64];
		FILE *f;

		snprintf(path, sizeof(path), "%s/password", folder);
		if (cases[i].file != NULL) {
			assert_non_null(f = fopen(path, "w"));
			fputs(cases[i].file, f);
			fclose(f);
			settings.password_file = strdup(path);
		}
		add_url_of_redis(cases[i].login, cases[i].rest);
		open_pubsub();
		RUN_UNTIL(pubsub_is_up(pubsub));
		if (strcmp(heard(), cases[i].want) != 0)
			fail_msg("%s: wanted %s, got %s", cases[i].name, cases[i].want, heard());
		again();
	}
	snprintf(redis.path, sizeof(redis.path), "%s/password", folder);
	unlink(redis.path);
}

/* Never up, and tried again. */
static void
test_greeting_refused(void **state)
{
	static const struct {
		const char *name, *command, *reply;
	} cases[] = {
	    {"wrong password", "AUTH", "-WRONGPASS invalid username-password pair\r\n"},
	    {"no password set", "AUTH", "-ERR Client sent AUTH, but no password is set\r\n"},
	    {"no such database", "SELECT", "-ERR DB index is out of range\r\n"},
	    {"password wanted", "CLIENT", "-NOAUTH Authentication required.\r\n"},
	    {"full", "CLIENT", "-ERR max number of clients reached\r\n"},
	    {"protected", "CLIENT", "-DENIED Redis is running in protected mode\r\n"},
	    {"a number", "SELECT", ":1\r\n"},
	    {"an array", "AUTH", "*0\r\n"},
	    {"nil", "AUTH", "$-1\r\n"},
	    {"HTTP", "AUTH", "HTTP/1.1 400 Bad Request\r\n\r\n"},
	    {"a push", "AUTH", "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < N(cases); i++) {
		add_rule(cases[i].command, cases[i].reply, strlen(cases[i].reply), 0);
		add_url_of_redis("u:pw@", "?db=1");
		open_pubsub();
		subscribe(&a);
		while (redis.n_accepted < 3) {
			uv_run(&loop, UV_RUN_ONCE);
			if (pubsub_is_up(pubsub))
				fail_msg("%s: up", cases[i].name);
		}
		assert_string_equal(seen(), "");
		again();
	}
}

static void
test_name_refused(void **state)
{
	static const char *const errors[] = {"-NOPERM no permissions\r\n",
					     "-ERR unknown command 'CLIENT'\r\n",
					     "-BUSY Redis is busy running a script\r\n"};
	size_t i;

	(void)state;
	for (i = 0; i < N(errors); i++) {
		add_rule("CLIENT", errors[i], strlen(errors[i]), 0);
		begin();
		again();
	}
}

static void
test_user_without_password(void **state)
{
	(void)state;
	add_url_of_redis("u@", "");
	open_pubsub();
	RUN_UNTIL(redis.n_accepted >= 2);
	assert_string_equal(heard(), "");
}

/* It is read again at each try, as it may have been wrong or not there. */
static void
test_password_file_comes_later(void **state)
{
	char path[64];
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/later", folder);
	settings.password_file = strdup(path);
	add_url_of_redis("", "");
	open_pubsub();
	RUN_UNTIL(redis.n_accepted >= 2);
	assert_false(pubsub_is_up(pubsub));
	assert_non_null(f = fopen(path, "w"));
	fputs("later\n", f);
	fclose(f);
	RUN_UNTIL(pubsub_is_up(pubsub));
	assert_string_equal(heard(), "AUTH later|CLIENT SETNAME sluice|ROLE|");
	unlink(path);
}

static void
test_host_name(void **state)
{
	char url[64];

	(void)state;
	uv_close((uv_handle_t *)&redis.at, NULL);
	uv_run(&loop, UV_RUN_ONCE);
	listen_tcp();
	snprintf(url, sizeof(url), "redis://localhost:%d", redis.port);
	add_url(url);
	open_pubsub();
	RUN_UNTIL(pubsub_is_up(pubsub));
}

static void
test_name_unknown(void **state)
{
	(void)state;
	add_url("redis://nothing.invalid");
	add_url_of_redis("", "");
	open_pubsub();
	RUN_UNTIL(pubsub_is_up(pubsub));
}

static void
test_freed_while_resolving(void **state)
{
	(void)state;
	add_url("redis://nothing.invalid");
	open_pubsub();
	uv_run(&loop, UV_RUN_NOWAIT);
}

static void
test_urls_in_turn(void **state)
{
	(void)state;
	add_url("unix:///nonexistent/r");
	add_url("redis://127.0.0.1:1");
	add_url_of_redis("", "");
	open_pubsub();
	subscribe(&a);
	RUN_UNTIL(has_seen("confirmed a|"));
	assert_int_equal(redis.n_accepted, 1);
}

static void
test_connect_timeout(void **state)
{
	(void)state;
	settings.connect_timeout_ms = 20;
	redis.is_deaf = true;
	add_url_of_redis("", "");
	open_pubsub();
	RUN_UNTIL(redis.n_accepted >= 3);
	assert_false(pubsub_is_up(pubsub));
	settings.connect_timeout_ms = 2000;
	redis.is_deaf = false;
	RUN_UNTIL(pubsub_is_up(pubsub));
}

/* Pauses: 100 ms, 200, 400, ... 5 s, each +-50 %: about 8 tries in 10 s. */
static void
test_back_off(void **state)
{
	unsigned n;

	(void)state;
	redis.hangs_up = true;
	add_url_of_redis("", "");
	open_pubsub();
	run_for(10000 / HASTE);
	n = redis.n_accepted;
	if (n < 3 || n > 14)
		fail_msg("%u tries", n);
}

/* It lets in, and breaks at once: no reason to come back faster. */
static void
test_flapping(void **state)
{
	unsigned n;

	(void)state;
	add_rule("SUBSCRIBE", SAY("!"), 0);
	add_url_of_redis("", "");
	open_pubsub();
	subscribe(&a);
	run_for(10000 / HASTE);
	n = redis.n_accepted;
	if (n < 3 || n > 14)
		fail_msg("%u tries", n);
	assert_int_equal(count(seen(), "lost|"), count(heard(), "SUBSCRIBE a|"));
}

/* After it was up for 5 s the first pause is short again: it is back within a few milliseconds. */
static void
test_steady_link_returns_soon(void **state)
{
	uint64_t start;

	(void)state;
	redis.hangs_up = true;
	add_url_of_redis("", "");
	open_pubsub();
	run_for(10000 / HASTE);
	redis.hangs_up = false;
	RUN_UNTIL(pubsub_is_up(pubsub));
	run_for(7000 / HASTE);
	assert_true(pubsub_is_up(pubsub));
	hang_up(latest());
	RUN_UNTIL(!pubsub_is_up(pubsub));
	start = now_ms();
	RUN_UNTIL(pubsub_is_up(pubsub));
	assert_true(now_ms() - start < 1500 / HASTE);
}

/* One line for each reason, however often it is tried; and none of them tells the password. */
static void
test_log_lines(void **state)
{
	char path[64], text[4096];
	size_t len;
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/log", folder);
	assert_int_equal(logger_open(path, LOGGER_INFO, LOGGER_TEXT), 0);
	add_url("unix:///nonexistent/r");
	add_url_of_redis("u:secret@", "");
	open_pubsub();
	RUN_UNTIL(pubsub_is_up(pubsub));
	add_rule("AUTH", SAY("-WRONGPASS invalid username-password pair\r\n"), 5);
	hang_up(latest());
	add_rule("AUTH", SAY("-ERR no password is set\r\n"), 0);
	RUN_UNTIL(redis.n_accepted == 9);
	logger_open("/dev/null", LOGGER_ERROR, LOGGER_TEXT);
	assert_non_null(f = fopen(path, "r"));
	len = fread(text, 1, sizeof(text) - 1, f);
	text[len] = '\0';
	fclose(f);
	unlink(path);
	assert_int_equal(count(text, "): connected\n"), 1);
	assert_int_equal(count(text, "/r): AUTH is refused: WRONGPASS"), 1);
	assert_int_equal(count(text, "/nonexistent/r): No such file or directory\n"), 2);
	assert_int_equal(count(text, "/r): it closed the connection\n"), 1);
	assert_int_equal(count(text, "/r): AUTH is refused: ERR no password is set\n"), 1);
	assert_int_equal(count(text, "\n"), 6);
	assert_int_equal(count(text, "secret"), 0);
}

/* Subscriptions */

static void
test_messages(void **state)
{
	(void)state;
	begin();
	subscribe(&p);
	RUN_UNTIL(has_seen("confirmed p*|"));
	push_text(latest(), "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n"
			    "*3\r\n$7\r\nmessage\r\n$2\r\np*\r\n$3\r\nnot\r\n"
			    "*3\r\n$7\r\nmessage\r\n$4\r\nelse\r\n$3\r\nnot\r\n"
			    "*4\r\n$8\r\npmessage\r\n$2\r\np*\r\n$2\r\np1\r\n$0\r\n\r\n"
			    "*4\r\n$8\r\npmessage\r\n$1\r\na\r\n$1\r\na\r\n$3\r\nnot\r\n"
			    "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\ny\r\n");
	RUN_UNTIL(has_seen("=y|"));
	assert_string_equal(seen(), "confirmed p*|message a:a=x|message p*:p1=|message a:a=y|");
}

static void
test_names_are_as_in_redis(void **state)
{
	struct subject prefixed = {.name = "app:c"};

	(void)state;
	free(settings.prefix);
	settings.prefix = strdup("app:");
	begin();
	subscribe(&prefixed);
	RUN_UNTIL(has_seen("confirmed app:c|"));
	push_text(latest(), "*3\r\n$7\r\nmessage\r\n$5\r\napp:c\r\n$1\r\nx\r\n");
	RUN_UNTIL(has_seen("message app:c:app:c=x|"));
	unsubscribe(&prefixed);
}

static size_t got_len;
static char got_data[256];

static void
keep_message(void *ctx, struct pubsub_subject *remote, const struct pubsub_message *msg)
{
	(void)ctx;
	(void)remote;
	assert_true(msg->data_len <= sizeof(got_data));
	memcpy(got_data, msg->data, got_len = msg->data_len);
}

static void
test_every_byte_value(void **state)
{
	static const struct pubsub_ops ops = {.on_message = keep_message,
					      .on_confirmed = on_confirmed};
	static const char name[] = "a\0b\r\n";
	struct subject subject = {.name = "odd"};
	char data[256];
	struct buf out;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(data); i++)
		data[i] = (char)i;
	add_url_of_redis("", "");
	assert_int_equal(pubsub_new(&pubsub, &loop, servers(), &ops, NULL), 0);
	assert_int_equal(
	    pubsub_subscribe(pubsub, &subject.remote, SUBJECT_CHANNEL, name, sizeof(name) - 1), 0);
	RUN_UNTIL(has_seen("confirmed odd|"));
	buf_init(&out, MIB);
	buf_puts(&out, "*3\r\n$7\r\nmessage\r\n");
	put_bulk(&out, name, sizeof(name) - 1);
	put_bulk(&out, data, sizeof(data));
	push(latest(), out.p, out.len);
	got_len = 0;
	RUN_UNTIL(got_len > 0);
	assert_int_equal(got_len, sizeof(data));
	assert_memory_equal(got_data, data, sizeof(data));
	buf_fini(&out);
	unsubscribe(&subject);
}

static const char two_messages[] = "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$3\r\nx\r\n\r\n"
				   "*4\r\n$8\r\npmessage\r\n$2\r\np*\r\n$2\r\np1\r\n$1\r\ny\r\n";

static void
test_split_at_every_byte(void **state)
{
	size_t i, len = sizeof(two_messages) - 1;

	(void)state;
	begin();
	subscribe(&p);
	RUN_UNTIL(has_seen("confirmed p*|"));
	for (i = 1; i < len; i++) {
		buf_truncate(&seen_events, 0);
		push(latest(), two_messages, i);
		run_for(1);
		push(latest(), two_messages + i, len - i);
		RUN_UNTIL(has_seen("=y|"));
		if (strcmp(seen(), "message a:a=x\r\n|message p*:p1=y|") != 0)
			fail_msg("split at %zu: got %s", i, seen());
	}
	assert_int_equal(redis.n_accepted, 1);
}

static void
test_byte_by_byte(void **state)
{
	size_t i;

	(void)state;
	begin();
	subscribe(&p);
	RUN_UNTIL(has_seen("confirmed p*|"));
	for (i = 0; i < sizeof(two_messages) - 1; i++) {
		push(latest(), two_messages + i, 1);
		uv_run(&loop, UV_RUN_ONCE);
	}
	RUN_UNTIL(has_seen("message p*:p1=y|"));
	assert_int_equal(redis.n_accepted, 1);
}

/* Only what is whole is delivered, and then the link comes back. */
static void
test_ends_at_every_byte(void **state)
{
	size_t i, first = strcspn(two_messages + 1, "*") + 1;

	(void)state;
	for (i = 1; i < sizeof(two_messages) - 1; i++) {
		const char *want =
		    i < first ? "lost|confirmed a|" : "message a:a=x\r\n|lost|confirmed a|";

		begin();
		push(latest(), two_messages, i);
		run_for(1);
		hang_up(latest());
		RUN_UNTIL(has_seen("confirmed a|"));
		if (strcmp(seen(), want) != 0)
			fail_msg("end at %zu: got %s", i, seen());
		again();
	}
}

static void
test_many_at_once(void **state)
{
	struct buf out;
	int i;

	(void)state;
	begin();
	buf_init(&out, 64 * MIB);
	for (i = 0; i < 20000; i++)
		buf_printf(&out, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\n%05d\r\n", i);
	push(latest(), out.p, out.len);
	RUN_UNTIL(has_seen("=19999|"));
	assert_int_equal(count(seen(), "message"), 20000);
	assert_true(strncmp(seen(), "message a:a=00000|message a:a=00001|", 36) == 0);
	buf_fini(&out);
}

static void
test_message_of_a_megabyte(void **state)
{
	size_t len = 1000000;
	char *data = malloc(len);
	struct buf out;

	(void)state;
	assert_non_null(data);
	memset(data, 'x', len);
	begin();
	buf_init(&out, 2 * len);
	buf_puts(&out, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n");
	put_bulk(&out, data, len);
	push(latest(), out.p, out.len);
	RUN_UNTIL(has_seen("message a:a=xxx"));
	assert_int_equal(redis.n_accepted, 1);
	buf_fini(&out);
	free(data);
}

static void
test_quick_changes_confirm_once(void **state)
{
	(void)state;
	begin();
	subscribe(&b);
	unsubscribe(&b);
	subscribe(&b);
	unsubscribe(&b);
	subscribe(&b);
	RUN_UNTIL(count(heard(), "SUBSCRIBE b|") == 5);
	run_for(5);
	assert_string_equal(heard(),
			    "SUBSCRIBE b|UNSUBSCRIBE b|SUBSCRIBE b|UNSUBSCRIBE b|SUBSCRIBE b|");
	assert_string_equal(seen(), "confirmed b|");
}

static void
test_last_one_unsubscribed(void **state)
{
	(void)state;
	begin();
	unsubscribe(&a);
	RUN_UNTIL(count(heard(), "PING|") >= 2);
	assert_true(pubsub_is_up(pubsub));
	assert_string_equal(seen(), "");
	subscribe(&a);
	RUN_UNTIL(has_seen("confirmed a|"));
	assert_int_equal(redis.n_accepted, 1);
}

static void
test_gone_while_away(void **state)
{
	(void)state;
	begin();
	subscribe(&b);
	RUN_UNTIL(has_seen("confirmed b|"));
	redis.hangs_up = true;
	hang_up(latest());
	RUN_UNTIL(has_seen("lost|"));
	unsubscribe(&a);
	subscribe(&p);
	buf_truncate(&heard_commands, 0);
	redis.hangs_up = false;
	RUN_UNTIL(has_seen("confirmed p*|"));
	assert_string_equal(heard(), "CLIENT SETNAME sluice|ROLE|SUBSCRIBE b|PSUBSCRIBE p*|");
	assert_string_equal(seen(), "confirmed b|lost|confirmed b|confirmed p*|");
}

static void
test_acl_refuses_one(void **state)
{
	(void)state;
	add_rule("SUBSCRIBE b", SAY("-NOPERM this user has no permissions\r\n"), 0);
	add_url_of_redis("", "");
	open_pubsub();
	subscribe(&a);
	subscribe(&b);
	subscribe(&p);
	RUN_UNTIL(count(seen(), "|") == 3);
	assert_true(has_seen("refused b: NOPERM this user has no permissions|"));
	assert_true(has_seen("confirmed a|") && has_seen("confirmed p*|"));
	run_for(1000 / HASTE);
	assert_int_equal(count(heard(), "SUBSCRIBE b|"), 1);
	assert_int_equal(redis.n_accepted, 1);
	hang_up(latest());
	RUN_UNTIL(count(seen(), "refused b") == 2);
}

/* A script that runs for too long is nobody's loss: all is said again when it has ended. */
static void
test_busy(void **state)
{
	static const char busy[] = "-BUSY Redis is busy running a script\r\n";

	(void)state;
	begin();
	add_rule("SUBSCRIBE b", SAY(busy), 2);
	add_rule("UNSUBSCRIBE a", SAY(busy), 1);
	add_rule("PSUBSCRIBE p*", SAY(busy), 1);
	subscribe(&b);
	unsubscribe(&a);
	subscribe(&p);
	RUN_UNTIL(count(heard(), busy + 36) == 0 && count(heard(), "p*|") == 1);
	unsubscribe(&p);
	RUN_UNTIL(has_seen("confirmed b|"));
	assert_int_equal(count(heard(), "PSUBSCRIBE p*|"), 1);
	assert_int_equal(count(heard(), "UNSUBSCRIBE a|"), 2);
	assert_string_equal(seen(), "confirmed b|");
	assert_int_equal(redis.n_accepted, 1);
}

/* The refused UNSUBSCRIBE is not said again over the head of who subscribed since. */
static void
test_busy_and_wanted_again(void **state)
{
	(void)state;
	begin();
	add_rule("UNSUBSCRIBE a", SAY("-BUSY Redis is busy running a script\r\n"), 0);
	unsubscribe(&a);
	subscribe(&a);
	RUN_UNTIL(has_seen("confirmed a|"));
	run_for(700);
	assert_int_equal(count(heard(), "UNSUBSCRIBE a|"), 1);
}

static void
test_lost_while_busy(void **state)
{
	(void)state;
	begin();
	add_rule("SUBSCRIBE b", SAY("-BUSY Redis is busy running a script\r\n"), 1);
	subscribe(&b);
	RUN_UNTIL(count(heard(), "SUBSCRIBE b|") == 1);
	run_for(5);
	hang_up(latest());
	RUN_UNTIL(has_seen("confirmed b|"));
	run_for(700);
	assert_int_equal(count(heard(), "SUBSCRIBE b|"), 2);
}

static void
test_counts(void **state)
{
	uint64_t sum[COUNTER_MAX];
	struct pubsub *other;

	(void)state;
	counters_sum(sum);
	assert_int_equal(sum[COUNTER_SUBJECTS], 0);
	assert_int_equal(sum[COUNTER_REDIS_UP], 0);
	begin();
	subscribe(&p);
	counters_sum(sum);
	assert_int_equal(sum[COUNTER_SUBJECTS], 2);
	assert_int_equal(sum[COUNTER_REDIS_UP], 1);

	/* New settings: another link takes the subjects over. */
	assert_int_equal(pubsub_new(&other, &loop, servers(), &pubsub_ops, NULL), 0);
	pubsub_adopt(other, pubsub);
	pubsub_free(pubsub);
	pubsub = other;
	RUN_UNTIL(has_seen("confirmed a|") && count(seen(), "confirmed p*|") == 1);
	assert_ptr_equal(pubsub_find(pubsub, SUBJECT_CHANNEL, "a", 1), &a.remote);
	assert_null(pubsub_find(pubsub, SUBJECT_PATTERN, "a", 1));
	counters_sum(sum);
	assert_int_equal(sum[COUNTER_SUBJECTS], 2);
	assert_int_equal(sum[COUNTER_REDIS_UP], 1);
	unsubscribe(&p);
	counters_sum(sum);
	assert_int_equal(sum[COUNTER_SUBJECTS], 1);
}

/* What is called may do anything */

static void
free_pubsub_at(const char *event)
{
	(void)event;
	in_callback = NULL;
	pubsub_free(pubsub);
	pubsub = NULL;
}

static void
test_freed_in_a_callback(void **state)
{
	static const char *const pushes[] = {
	    "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1"
	    "\r\ny\r\n",
	    "*0\r\n",
	};
	size_t i;

	(void)state;
	for (i = 0; i < N(pushes); i++) {
		begin();
		in_callback = free_pubsub_at;
		push_text(latest(), pushes[i]);
		RUN_UNTIL(pubsub == NULL);
		run_for(2);
		assert_int_equal(count(seen(), "|"), 1);
		again();
	}
	begin();
	in_callback = free_pubsub_at;
	subscribe(&b);
	RUN_UNTIL(pubsub == NULL);
	again();
	begin();
	add_rule("SUBSCRIBE b", SAY("-NOPERM no\r\n"), 0);
	in_callback = free_pubsub_at;
	subscribe(&b);
	RUN_UNTIL(pubsub == NULL);
	again();
	begin();
	in_callback = free_pubsub_at;
	hang_up(latest());
	RUN_UNTIL(pubsub == NULL);
}

static void
change_at(const char *event)
{
	if (strcmp(event, "message a:a=x") != 0)
		return;
	unsubscribe(&a);
	subscribe(&b);
	unsubscribe(&b);
	subscribe(&a);
}

static void
test_changed_in_a_callback(void **state)
{
	(void)state;
	begin();
	in_callback = change_at;
	push_text(latest(), "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n"
			    "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\ny\r\n");
	RUN_UNTIL(has_seen("confirmed a|"));
	assert_string_equal(seen(), "message a:a=x|message a:a=y|confirmed a|");
	assert_int_equal(redis.n_accepted, 1);
}

/* Silence */

static void
test_ping_when_quiet(void **state)
{
	(void)state;
	begin();
	RUN_UNTIL(count(heard(), "PING|") >= 3);
	assert_int_equal(redis.n_accepted, 1);
}

static void
test_error_is_an_answer(void **state)
{
	(void)state;
	begin();
	add_rule("PING", SAY("-BUSY Redis is busy running a script\r\n"), 0);
	RUN_UNTIL(count(heard(), "PING|") >= 3);
	assert_string_equal(seen(), "");
	assert_int_equal(redis.n_accepted, 1);
}

static void
test_no_answer(void **state)
{
	uint64_t start = now_ms();

	(void)state;
	begin();
	redis.is_deaf = true;
	RUN_UNTIL(has_seen("lost|"));
	assert_true(now_ms() - start >= 6000 / HASTE);
	assert_int_equal(count(heard(), "PING|"), 1);
	redis.is_deaf = false;
	RUN_UNTIL(has_seen("confirmed a|"));
}

/* One tick of the loop's clock has gone, however long it took: Redis had no chance to be heard. */
static void
test_stopped_process(void **state)
{
	(void)state;
	begin();
	usleep(10000 * 1000 / HASTE);
	run_for(50);
	assert_string_equal(seen(), "");
	assert_int_equal(redis.n_accepted, 1);
}

/* A false or broken Redis */

static void
test_nonsense(void **state)
{
	static const struct {
		const char *name, *bytes;
	} cases[] = {
	    {"HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n"},
	    {"full", "-ERR max number of clients reached\r\n"},
	    {"array of none", "*0\r\n"},
	    {"array of nil", "*-1\r\n"},
	    {"array of one", "*1\r\n$7\r\nmessage\r\n"},
	    {"array of numbers", "*3\r\n:1\r\n:2\r\n:3\r\n"},
	    {"message of two", "*2\r\n$7\r\nmessage\r\n$1\r\na\r\n"},
	    {"message of four", "*4\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n$1\r\ny\r\n"},
	    {"number as data", "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n:1\r\n"},
	    {"nil as data", "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$-1\r\n"},
	    {"array as data", "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n*0\r\n"},
	    {"nil as channel", "*3\r\n$7\r\nmessage\r\n$-1\r\n$1\r\nx\r\n"},
	    {"nil as pattern", "*4\r\n$8\r\npmessage\r\n$-1\r\n$1\r\na\r\n$1\r\nx\r\n"},
	    {"array as kind", "*3\r\n*0\r\n$1\r\na\r\n$1\r\nx\r\n"},
	    {"nil as kind", "*3\r\n$-1\r\n$1\r\na\r\n$1\r\nx\r\n"},
	    {"unknown kind", "*3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$1\r\nx\r\n"},
	    {"number", ":1\r\n"},
	    {"string", "$1\r\nx\r\n"},
	    {"nil", "$-1\r\n"},
	    {"pong nobody asked for", "*2\r\n$4\r\npong\r\n$0\r\n\r\n"},
	    {"status nobody asked for", "+PONG\r\n"},
	    {"error nobody asked for", "-ERR x\r\n"},
	    {"second confirmation", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"},
	    {"unsubscribed by itself", "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n"},
	    {"unsubscribed from nil", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"},
	    {"array of 10,000,000", "*10000000\r\n"},
	    {"array of 2^31 - 1", "*2147483647\r\n"},
	    {"array of 2^32 + 1", "*4294967297\r\n"},
	    {"array of -2", "*-2\r\n"},
	    {"arrays in arrays", "*1000000\r\n*1000000\r\n"},
	    {"string of -2", "$-2\r\n"},
	    {"string too long for its end", "$1\r\nxyz\r\n:1\r\n:2\r\n"},
	    {"nested 20 deep", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"
			       "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"},
	    {"RESP3 push", ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n"},
	    {"RESP3 map", "%1\r\n$1\r\na\r\n$1\r\nb\r\n"},
	    {"RESP3 null", "_\r\n"},
	    {"binary", "\xff\xfe\x01"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < N(cases); i++) {
		begin();
		push_text(latest(), cases[i].bytes);
		RUN_UNTIL(has_seen("confirmed a|"));
		if (strcmp(seen(), "lost|confirmed a|") != 0)
			fail_msg("%s: got %s", cases[i].name, seen());
		again();
	}
}

/* Instead of a confirmation. */
static void
test_nonsense_as_an_answer(void **state)
{
	static const struct {
		const char *name, *bytes;
	} cases[] = {
	    {"of another name", "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n"},
	    {"of a longer name", "*3\r\n$9\r\nsubscribe\r\n$2\r\nbb\r\n:1\r\n"},
	    {"of nil", "*3\r\n$9\r\nsubscribe\r\n$-1\r\n:1\r\n"},
	    {"of another command", "*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:1\r\n"},
	    {"a status", "+OK\r\n"},
	    {"a pong", "*2\r\n$4\r\npong\r\n$0\r\n\r\n"},
	    {"an error of the server", "-ERR internal\r\n"},
	    {"twice", "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:1\r\n"
		      "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:1\r\n"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < N(cases); i++) {
		begin();
		add_rule("SUBSCRIBE b", cases[i].bytes, strlen(cases[i].bytes), 1);
		subscribe(&b);
		RUN_UNTIL(has_seen("lost|") && has_seen("confirmed a|"));
		if (redis.n_accepted != 2)
			fail_msg("%s: %u connections", cases[i].name, redis.n_accepted);
		again();
	}
}

static void
flood(const char *head, const char *piece, size_t total)
{
	size_t len = strlen(piece), n = MIB, sent;
	char *chunk = malloc(n);

	assert_non_null(chunk);
	for (sent = 0; sent < n; sent++)
		chunk[sent] = piece[sent % len];
	n -= n % len;
	begin();
	push_text(latest(), head);
	for (sent = 0; sent < total && !has_seen("lost|"); sent += n) {
		struct peer *peer = latest();

		push(peer, chunk, n);
		RUN_UNTIL(has_seen("lost|") || peer->at.stream.write_queue_size == 0);
	}
	free(chunk);
	if (!has_seen("lost|"))
		fail_msg("%s: took %zu bytes", head, total);
	RUN_UNTIL(has_seen("confirmed a|"));
	again();
}

static void
test_endless(void **state)
{
	(void)state;
	flood("+", "x", 2 * MIB);
	flood("*", "9", 2 * MIB);
	flood("$", "9", 2 * MIB);
	flood("*3\r\n$7\r\nmessage\r\n+", "x", 2 * MIB);
	flood("+\r", "x", 2 * MIB);
	flood("*1048576\r\n", "*1\r\n", 8 * MIB);
	flood("$9223372036854775807\r\n", "x", 66 * MIB);
}

/* The same bytes each time, so that what once failed fails again. */
static void
test_random_bytes(void **state)
{
	static const char alphabet[] = "*$+-:0123456789\r\n\r\n\r\nmessage";
	unsigned seed = 1;
	char bytes[256];
	size_t i, j;

	(void)state;
	begin();
	for (i = 0; i < 100; i++) {
		struct peer *peer = latest();

		for (j = 0; j < sizeof(bytes); j++) {
			seed = seed * 1103515245 + 12345;
			if (i % 2 == 0)
				bytes[j] = (char)(seed >> 16);
			else
				bytes[j] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
		}
		push(peer, bytes, sizeof(bytes));
		run_for(1);
		if (peer == latest())
			hang_up(peer);
		again();
		begin();
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_greeting),
	    TEST(test_greeting_refused),
	    TEST(test_name_refused),
	    TEST(test_user_without_password),
	    TEST(test_password_file_comes_later),
	    TEST(test_host_name),
	    TEST(test_name_unknown),
	    TEST(test_freed_while_resolving),
	    TEST(test_urls_in_turn),
	    TEST(test_connect_timeout),
	    TEST(test_back_off),
	    TEST(test_flapping),
	    TEST(test_steady_link_returns_soon),
	    TEST(test_log_lines),
	    TEST(test_messages),
	    TEST(test_names_are_as_in_redis),
	    TEST(test_every_byte_value),
	    TEST(test_split_at_every_byte),
	    TEST(test_byte_by_byte),
	    TEST(test_ends_at_every_byte),
	    TEST(test_many_at_once),
	    TEST(test_message_of_a_megabyte),
	    TEST(test_quick_changes_confirm_once),
	    TEST(test_last_one_unsubscribed),
	    TEST(test_gone_while_away),
	    TEST(test_acl_refuses_one),
	    TEST(test_busy),
	    TEST(test_busy_and_wanted_again),
	    TEST(test_lost_while_busy),
	    TEST(test_counts),
	    TEST(test_freed_in_a_callback),
	    TEST(test_changed_in_a_callback),
	    TEST(test_ping_when_quiet),
	    TEST(test_error_is_an_answer),
	    TEST(test_no_answer),
	    TEST(test_stopped_process),
	    TEST(test_nonsense),
	    TEST(test_nonsense_as_an_answer),
	    TEST(test_endless),
	    TEST(test_random_bytes),
	};

	return cmocka_run_group_tests(tests, fake_prepare, fake_clean);
}
