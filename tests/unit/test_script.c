/*
 * test_script.c - what a script sends, what it keeps, and what it may not.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "logic/library.h"
#include "logic/message.h"
#include "logic/script.h"

static const struct template_value params[] = {{"room", "r1"}, {NULL, NULL}};

struct fixture {
	struct sandbox *sb;
	struct script *sc;
	struct rendering r;
	char why[512];
	char text[4096];
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(sandbox_new(&f->sb, library_open), 0);
	rendering_init(&f->r);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	script_free(f->sc);
	rendering_fini(&f->r);
	sandbox_free(f->sb);
	free(f);
	return 0;
}

static void
load(struct fixture *f, const char *text)
{
	if (script_new(&f->sc, f->sb, "s.lua", text, f->why, sizeof(f->why)) < 0)
		fail_msg("%s", f->why);
}

static int
open_feed(struct fixture *f, uint64_t *after_ms)
{
	const struct template_scope scope = {.params = params, .channel = "", .now = 1};
	uint64_t ms;
	int callback;

	if (script_open(f->sc, &scope, &callback, &ms, f->why, sizeof(f->why)) < 0)
		fail_msg("%s", f->why);
	if (after_ms != NULL)
		*after_ms = ms;
	return callback;
}

/* All that one call sends: "[name]data" each, and "END" or "AFTER ms"; or why it fails. */
static const char *
call(struct fixture *f, int callback, const char *json)
{
	struct message msg;
	struct template_scope scope = {
	    .params = params, .channel = "c", .channel_len = 1, .now = 1700000000};
	size_t at = 0;
	int rc;

	message_init(&msg, "c", 1, json, json != NULL ? strlen(json) : 0);
	scope.msg = json != NULL ? &msg : NULL;
	rendering_clear(&f->r);
	rc = script_run(f->sc, callback, &scope, &f->r, f->why, sizeof(f->why));
	message_fini(&msg);
	f->text[0] = '\0';
	if (rc < 0) {
		assert_int_equal(f->r.n, 0);
		return f->why;
	}
	for (size_t i = 0; i < f->r.n; i++) {
		const struct rendered *one = &f->r.v[i];
		const char *bytes = f->r.bytes.p;

		at += (size_t)snprintf(f->text + at, sizeof(f->text) - at, "[%.*s]%.*s",
				       (int)one->type_len, bytes + one->type_at, (int)one->len,
				       bytes + one->at);
	}
	if (f->r.ends)
		at += (size_t)snprintf(f->text + at, sizeof(f->text) - at, "END");
	if (f->r.after_ms > 0)
		snprintf(f->text + at, sizeof(f->text) - at, "AFTER %llu",
			 (unsigned long long)f->r.after_ms);
	return f->text;
}

static void
a_feed_has_its_own_locals_and_globals(void **state)
{
	struct fixture *f = *state;
	int a, b;

	load(f, "local n = 0 total = 0 return function() n = n + 1 total = total + n "
		"return {n, total} end");
	a = open_feed(f, NULL);
	b = open_feed(f, NULL);
	assert_string_equal(call(f, a, "1"), "[][1,1]");
	assert_string_equal(call(f, a, "1"), "[][2,3]");
	assert_string_equal(call(f, b, "1"), "[][1,1]");
	script_close(f->sc, a);
	assert_string_equal(call(f, b, "1"), "[][2,3]");
	script_close(f->sc, b);
}

static void
what_it_is_given(void **state)
{
	struct fixture *f = *state;
	int callback;

	load(f,
	     "local opened = now return function(c, m, e) return {c, m.x, channel, message.x, now, "
	     "opened, params.room, id == nil} end");
	callback = open_feed(f, NULL);
	assert_string_equal(call(f, callback, "{\"x\":5}"),
			    "[][\"c\",5,\"c\",5,1700000000,1,\"r1\",true]");
	script_close(f->sc, callback);
}

static void
what_it_sends(void **state)
{
	static const struct {
		const char *name, *body, *want;
	} cases[] = {
	    {"nil", "return nil", ""},
	    {"nothing", "", ""},
	    {"false", "return false", "END"},
	    {"true", "return true", "[]true"},
	    {"text", "return 'a\\nb'", "[]a\nb"},
	    {"number", "return 1 / 4", "[]0.25"},
	    {"table", "return {a = {}}", "[]{\"a\":{}}"},
	    {"more", "event:message('x') event:message({1}, 'two') return 3", "[]x[two][1][]3"},
	    {"end with more", "event:message('x') return false", "[]xEND"},
	    {"terminate", "event:terminate() return 'last'", "[]lastEND"},
	    {"after", "event:after(250)", "AFTER 250"},
	    {"message(nil)", "event:message(nil)", "[]null"},
	    {"no time", "event:after(0)", "event:after takes 1 to 86400000 milliseconds"},
	    {"no value", "event:message()", "bad argument #1 to 'message' (value expected)"},
	    {"too many", "for i = 1, 1001 do event:message(i) end",
	     "more than 1000 events for one message"},
	    {"failing", "event:message('x') return message.a.b",
	     "s.lua:1: attempt to index a nil value (field 'a')"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512];
		const char *got;
		int callback;

		snprintf(text, sizeof(text), "return function(channel, message, event) %s end",
			 cases[i].body);
		load(f, text);
		callback = open_feed(f, NULL);
		got = call(f, callback, "{}");
		if (strstr(got, cases[i].want) == NULL ||
		    (cases[i].want[0] == '\0' && got[0] != '\0'))
			fail_msg("%s: \"%s\" instead of \"%s\"", cases[i].name, got, cases[i].want);
		script_close(f->sc, callback);
		script_free(f->sc);
		f->sc = NULL;
	}
}

static void
messages_come_out_as_they_went_in(void **state)
{
	static const char *const messages[] = {
	    "{\"z\":1,\"a\":null,\"m\":{\"b\":null,\"a\":[]},\"l\":[null,[],{},[[null]]]}",
	    "[]",
	    "{}",
	    "null",
	    "[null]",
	    "\"text\"",
	    "5",
	    "true",
	    "[18446744073709551615,18446744073709551616,-9223372036854775809,0.1,9007199254740993]",
	    "{\"\":1,\"1\":2,\"a b\":3}",
	};
	struct fixture *f = *state;
	int callback;

	load(f, "return function(channel, message) return {message, 0} end");
	callback = open_feed(f, NULL);
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		char want[512];

		snprintf(want, sizeof(want), "[][%s,0]", messages[i]);
		assert_string_equal(call(f, callback, messages[i]), want);
	}
	script_close(f->sc, callback);
}

static void
a_message_can_be_changed(void **state)
{
	static const struct {
		const char *body, *want;
	} cases[] = {
	    {"m.new = 1", "{\"b\":1,\"n\":null,\"l\":[1,2],\"new\":1}"},
	    {"m.b = nil", "{\"n\":null,\"l\":[1,2]}"},
	    {"m.n = 5", "{\"b\":1,\"n\":5,\"l\":[1,2]}"},
	    {"m.n = nil", "{\"b\":1,\"l\":[1,2]}"},
	    {"m.n = nil m.n = null", "{\"b\":1,\"n\":null,\"l\":[1,2]}"},
	    {"m.n = 5 m.n = nil", "{\"b\":1,\"l\":[1,2]}"},
	    {"m.b = null", "{\"b\":null,\"n\":null,\"l\":[1,2]}"},
	    {"table.insert(m.l, 3)", "{\"b\":1,\"n\":null,\"l\":[1,2,3]}"},
	    {"table.remove(m.l) table.remove(m.l)", "{\"b\":1,\"n\":null,\"l\":[]}"},
	    {"m.l.x = 1", "{\"b\":1,\"n\":null,\"l\":{\"1\":1,\"2\":2,\"x\":1}}"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512], want[512];
		int callback;

		snprintf(text, sizeof(text), "return function(channel, m) %s return m end",
			 cases[i].body);
		snprintf(want, sizeof(want), "[]%s", cases[i].want);
		load(f, text);
		callback = open_feed(f, NULL);
		print_message("%s\n", cases[i].body);
		assert_string_equal(call(f, callback, "{\"b\":1,\"n\":null,\"l\":[1,2]}"), want);
		script_close(f->sc, callback);
		script_free(f->sc);
		f->sc = NULL;
	}
}

static void
without_a_message(void **state)
{
	struct fixture *f = *state;
	uint64_t after_ms;
	int callback;

	load(f, "event:after(40) return function(channel, message) "
		"return {channel == nil, message == nil} end");
	callback = open_feed(f, &after_ms);
	assert_int_equal(after_ms, 40);
	assert_string_equal(call(f, callback, NULL), "[][true,true]");
	script_close(f->sc, callback);
}

static void
what_is_no_script(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
	    {"", "the file must return function(channel, message, event), not a nil"},
	    {"return 5", "not a number"},
	    {"return function(", "s.lua:1: "},
	    {"\n\nreturn nil + 1", "s.lua:3: attempt to perform arithmetic on a nil value"},
	    {"return function()\nprint(1) end", "line 2: there is no \"print\""},
	    {"return function() return mesage end", "did you mean \"message\"?"},
	    {"while true do end", "it takes too "}, /* many steps; or long, under load */
	    {"event:message(1) return function() end", "only the function can send"},
	    {"\x1bLua", "s.lua:1: "},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc = script_new(&f->sc, f->sb, "s.lua", cases[i].text, f->why, sizeof(f->why));

		assert_int_equal(rc, -EINVAL);
		if (strstr(f->why, cases[i].want) == NULL)
			fail_msg("%s: %s", cases[i].text, f->why);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* What is kept fills the memory: every other call would fail, too, until the feed is closed. */
static void
a_full_state_is_known(void **state)
{
	struct fixture *f = *state;
	int callback;

	load(f, "local seen = {} return function(channel, message) "
		"for i = 1, message do seen[#seen + 1] = i end return #seen end");
	callback = open_feed(f, NULL);
	for (int i = 0; i < 400 && !sandbox_is_full(f->sb); i++) {
		(void)call(f, callback, "100000");
		while (sandbox_is_paused(f->sb))
			; /* on a loaded machine its time may be over before its work is done */
	}
	assert_true(sandbox_is_full(f->sb));
	script_close(f->sc, callback);
	assert_false(sandbox_is_crowded(f->sb));
	while (sandbox_is_paused(f->sb))
		;
	callback = open_feed(f, NULL);
	assert_string_equal(call(f, callback, "5"), "[]5");
	assert_false(sandbox_is_full(f->sb));
	script_close(f->sc, callback);
}

/* One message that asks for too much says nothing of the next. */
static void
a_large_call_is_no_full_state(void **state)
{
	struct fixture *f = *state;
	int callback;

	load(f, "return function(channel, message) local t = {} "
		"for i = 1, message do t[i] = string.rep('x', 1000000) .. i end return #t end");
	callback = open_feed(f, NULL);
	(void)call(f, callback, "100");
	assert_false(sandbox_is_full(f->sb));
	while (sandbox_is_paused(f->sb))
		;
	assert_string_equal(call(f, callback, "1"), "[]1");
	script_close(f->sc, callback);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_feed_has_its_own_locals_and_globals),
	    TEST(what_it_is_given),
	    TEST(what_it_sends),
	    TEST(messages_come_out_as_they_went_in),
	    TEST(a_message_can_be_changed),
	    TEST(a_full_state_is_known),
	    TEST(a_large_call_is_no_full_state),
	    TEST(without_a_message),
	    TEST(what_is_no_script),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
