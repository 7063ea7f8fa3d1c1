/*
 * test_expression.c - what expressions give, byte for byte, what they may not, and where they are
 * stopped.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "logic/expression.h"
#include "logic/library.h"
#include "logic/message.h"

static const char json[] =
    "{\"id\":7,\"name\":\"Zo\\u00eb/\\n\",\"none\":null,\"list\":[1,null,[],{}],"
    "\"wide\":18446744073709551617,\"u\":18446744073709551615,\"neg\":-9223372036854775809,"
    "\"f\":0.1,\"big\":9007199254740993,\"obj\":{\"z\":1,\"a\":true}}";

static const struct template_value params[] = {{"room", "r1"}, {NULL, NULL}};

struct fixture {
	struct sandbox *sb;
	struct message msg;
	struct template_scope scope;
	struct buf out;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(sandbox_new(&f->sb, library_open), 0);
	message_init(&f->msg, "c:1", 3, json, sizeof(json) - 1);
	f->scope = (struct template_scope){.params = params,
					   .msg = &f->msg,
					   .channel = "c:1",
					   .channel_len = 3,
					   .now = 1700000000};
	buf_init(&f->out, 64 << 20);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	message_fini(&f->msg);
	buf_fini(&f->out);
	sandbox_free(f->sb);
	free(f);
	return 0;
}

/* What the expression gives, or why it fails; "nothing" for nil and false. Until the next call. */
static const char *
result(struct fixture *f, const char *text)
{
	static char why[512];
	struct expression *ex;
	bool is_some;
	int rc;

	if (expression_new(&ex, f->sb, text, why, sizeof(why)) < 0)
		return why;
	buf_truncate(&f->out, 0);
	rc = expression_render(ex, &f->scope, &f->out, &is_some, why, sizeof(why));
	expression_free(ex);
	if (rc < 0)
		return why;
	if (!is_some)
		return "nothing";
	assert_int_equal(buf_putc(&f->out, '\0'), 0);
	return f->out.p;
}

struct pair {
	const char *text, *want;
};

static void
expect(struct fixture *f, const struct pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *got = result(f, pairs[i].text);

		if (strcmp(got, pairs[i].want) != 0)
			fail_msg("%s: \"%s\" instead of \"%s\"", pairs[i].text, got, pairs[i].want);
	}
}

#define EXPECT(f, pairs) expect(f, pairs, sizeof(pairs) / sizeof((pairs)[0]))

static void
results(void **state)
{
	static const struct pair pairs[] = {
	    {"message.id", "7"},
	    {"message.id >= 7", "true"},
	    {"message.id > 7", "nothing"},
	    {"nil", "nothing"},
	    {"'text'", "text"},
	    {"message.name", "Zo\xC3\xAB/\n"},
	    {"{message.name}", "[\"Zo\xC3\xAB/\\n\"]"},
	    {"message.obj", "{\"z\":1,\"a\":true}"},
	    {"{b = 1, a = 2, [3] = 4}", "{\"3\":4,\"a\":2,\"b\":1}"},
	    {"{1, 'two', {}, array{}, array{3}, null, false}", "[1,\"two\",{},[],[3],null,false]"},
	    {"{1, 2, x = 3}", "{\"1\":1,\"2\":2,\"x\":3}"},
	    {"{[2] = 1}", "{\"2\":1}"},
	    {"{message.list}", "[[1,null,[],{}]]"},
	    {"#message.list", "4"},
	    {"message.list[2] == null", "true"},
	    {"message.list[5] == nil and message.list[0] == nil", "true"},
	    {"message.none == nil and message.absent == nil", "true"},
	    {"message.list == message.list and message.list ~= message.obj", "true"},
	    {"1.5 + message.f", "1.6"},
	    {"1e300", "1e+300"},
	    {"message.big", "9007199254740993"},
	    {"message.big + 1", "9007199254740994"},
	    {"message.wide", "18446744073709551617"},
	    {"{message.u, message.neg}", "[18446744073709551615,-9223372036854775809]"},
	    {"message.u < message.wide and message.wide > 5 and message.neg < 0", "true"},
	    {"message.u <= message.u and message.wide == message.wide", "true"},
	    {"message.wide == message.u", "nothing"},
	    {"message.wide * 2 > message.wide", "true"},
	    {"-message.wide < 0 and message.wide // 1 > 0", "true"},
	    {"tostring(message.wide) .. type(message.wide)", "18446744073709551617number"},
	    {"tonumber(message.u) > 1.8e19", "true"},
	    {"tonumber('12') + tonumber('ff', 16)", "267"},
	    {"type(message) .. type(null) .. type(nil) .. type(params)", "tablenullniltable"},
	    {"tostring(message.obj) .. tostring(null) .. tostring({})",
	     "{\"z\":1,\"a\":true}nulltable"},
	    {"channel .. params.room .. now", "c:1r11700000000"},
	    {"#text > 20 and text:sub(1, 7)", "{\"id\":7"},
	    {"has(message.list, 1) and has({1, 'a'}, 'a') and has(message.list, null)", "true"},
	    {"has(message.list, 2) or has({}, 1) or has(nil, 1) or has({1}, '1')", "nothing"},
	    {"has('read write', 'write') and has('a', 'a')", "true"},
	    {"has('rewrite', 'write') or has('a b', 'a b c') or has('a', '') or has('1', 1)",
	     "nothing"},
	    {"id == nil and params.other == nil", "true"},
	    {"message.name:sub(1, 2):upper()", "ZO"},
	    {"string.format('%s %d %5.1f %s %s', 'x', 3, 1.25, true, null)", "x 3   1.2 true null"},
	    {"('a-b'):find('-') .. string.find('a.b', '.') .. tostring(('ab'):find('x'))", "22nil"},
	    {"string.find('abcabc', 'bc', 3) .. string.find('abcabc', 'bc', -2)", "55"},
	    {"tostring(string.find('abc', 'c', math.mininteger))", "3"},
	    {"string.find('abc', '') .. tostring(string.find('abc', '', 5))", "1nil"},
	    {"string.rep('ab', 3, '-') .. string.rep('x', -1) .. string.rep('', 1e15 // 1 | 0)",
	     "ab-ab-ab"},
	    {"table.concat(message.list, ',', 1, 1)", "1"},
	    {"(function() local n = 0 for k, v in pairs(message.obj) do n = n + 1 end return n "
	     "end)()",
	     "2"},
	    {"(function() local t = {} for i, v in ipairs(message.list) do t[i] = i end "
	     "return t end)()",
	     "[1,2,3,4]"},
	    {"table.unpack({1, 2})", "1"},
	    {"(function() local t = {3, 1, 2} table.sort(t) table.insert(t, 4) "
	     "table.remove(t, 1) return table.move(t, 1, 3, 2) end)()",
	     "[2,2,3,4]"},
	    {"math.max(1, math.tointeger(2.0))", "2"},
	};

	(void)state;
	EXPECT(*state, pairs);
}

static void
failures(void **state)
{
	static const struct pair pairs[] = {
	    {"message.user.id", "attempt to index a nil value (field 'user')"},
	    {"message.name > 5", "attempt to compare number with string"},
	    {"message.obj > 5", "attempt to compare number with JSON value"},
	    {"message.id()", "attempt to call a number value (field 'id')"},
	    {"message.name:match('x')", "attempt to call a nil value (method 'match')"},
	    {"string.format", "a function cannot be sent"},
	    {"0/0", "JSON has no number such as -nan"},
	    {"{[1.5] = 1}", "a key of a table is neither text nor integer"},
	    {"(function() local t = {} t.t = t return t end)()",
	     "the result is nested more than 64 deep"},
	    {"(function() message.id = 5 end)()", "an expression cannot change the message"},
	    {"(function() params.room = 5 end)()", "parameters cannot be changed"},
	    {"params", "no part of a message"},
	    {"string.format('%p', {})", "string.format has no %p here"},
	    {"string.format('\\0p%p', {})", "string.format has no %p here"},
	    {"string.format('%%\\0%-5p', 'x')", "string.format has no %p here"},
	    {"table.move({}, math.mininteger, math.maxinteger, 1)", "it takes too many steps"},
	    {"message.id ==", "unexpected symbol near <eof>"},
	    {"1; 2", "<eof> expected near '2'"},
	    {"messge.id", "there is no \"messge\"; did you mean \"message\"?"},
	};

	EXPECT(*state, pairs);
}

/* Each in a sandbox of its own, for one that was stopped waits. */
static void
limits(void **state)
{
	static const struct pair pairs[] = {
	    {"(function() while true do end end)()", "it takes too many steps"},
	    {"(function() local s = 'x' while true do s = s .. s end end)()",
	     "it takes too much memory"},
	    {"(function() local t = {} while true do t = {t, t} end end)()",
	     "it takes too many steps"},
	    {"string.rep('x', 1 << 40)", "string.rep makes at most 1048576 bytes"},
	    {"table.concat({}, '', 1, 1 << 40)", "it takes too many steps"},
	    {"table.move({}, 1, 1 << 40, 2)", "it takes too many steps"},
	    {"(function() local s = string.rep('x', 1 << 19) while true do s:find('y') end end)()",
	     "it takes too many steps"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const char *got = result(f, pairs[i].text);

		if (strstr(got, pairs[i].want) == NULL && strstr(got, "too long") == NULL)
			fail_msg("%s: \"%s\" instead of \"%s\"", pairs[i].text, got, pairs[i].want);
		sandbox_free(f->sb);
		assert_int_equal(sandbox_new(&f->sb, library_open), 0);
		assert_string_equal(result(f, "message.id"), "7");
	}
}

static void
one_that_is_stopped_too_often_waits(void **state)
{
	struct fixture *f = *state;
	const char *got;
	int n = 0;

	do
		got = result(f, "(function() while true do end end)()");
	while (strstr(got, "not called") == NULL && ++n < 1000);
	assert_in_range(n, 1, 999);
	assert_string_equal(result(f, "1"), "not called: it was stopped too often, and pauses");
}

/* What is not an object: the value itself. */
static void
scalars(void **state)
{
	static const struct pair pairs[] = {
	    {"41", "42"},
	    {"-1", "0"},
	    {"1.5", "2.5"},
	    {"\"5\"", "6"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct message msg;

		message_init(&msg, "c", 1, pairs[i].text, strlen(pairs[i].text));
		f->scope.msg = &msg;
		assert_string_equal(result(f, "message + 1"), pairs[i].want);
		message_fini(&msg);
	}
	f->scope.msg = &f->msg;
}

static void
null_message(void **state)
{
	static const struct pair pairs[] = {
	    {"message", "null"},
	    {"{data = message}", "{\"data\":null}"},
	    {"message == null and message ~= nil", "true"},
	    {"message.x", "attempt to index a userdata value (local 'message')"},
	};
	struct fixture *f = *state;
	struct message msg;

	message_init(&msg, "c", 1, "null", 4);
	f->scope.msg = &msg;
	EXPECT(f, pairs);
	message_fini(&msg);
}

/* A failed rendering leaves the buffer as it was. */
static void
buffer_is_kept(void **state)
{
	struct fixture *f = *state;
	struct expression *ex;
	char why[512];
	bool is_some;

	assert_int_equal(expression_new(&ex, f->sb, "{1, string.format}", why, sizeof(why)), 0);
	buf_truncate(&f->out, 0);
	assert_int_equal(buf_puts(&f->out, "before"), 0);
	assert_int_equal(expression_render(ex, &f->scope, &f->out, &is_some, why, sizeof(why)),
			 -EINVAL);
	assert_false(is_some);
	assert_int_equal(f->out.len, 6);
	f->out.cap = 8;
	assert_int_equal(expression_render(ex, &f->scope, &f->out, &is_some, why, sizeof(why)),
			 -EINVAL);
	assert_string_equal(why, "the result is too long");
	assert_int_equal(f->out.len, 6);
	expression_free(ex);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(results),        TEST(failures),
	    TEST(limits),         TEST(one_that_is_stopped_too_often_waits),
	    TEST(scalars),        TEST(null_message),
	    TEST(buffer_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
