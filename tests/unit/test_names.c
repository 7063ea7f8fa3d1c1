/*
 * test_names.c - which names a Lua text takes from outside.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "logic/names.h"

struct found {
	char text[512];
	unsigned stop_after, n;
};

static int
note(struct found *found, const char *sign, const char *name, size_t len, unsigned line)
{
	size_t at = strlen(found->text);

	snprintf(found->text + at, sizeof(found->text) - at, "%s%s%.*s", at > 0 ? " " : "", sign,
		 (int)len, name);
	if (line > 1) {
		at = strlen(found->text);
		snprintf(found->text + at, sizeof(found->text) - at, "@%u", line);
	}
	return ++found->n == found->stop_after ? 7 : 0;
}

static int
on_free(void *ctx, const char *name, size_t len, unsigned line)
{
	return note(ctx, "", name, len, line);
}

static int
on_param(void *ctx, const char *name, size_t len)
{
	return note(ctx, "$", name != NULL ? name : "?", name != NULL ? len : 1, 1);
}

static int
on_claim(void *ctx, const char *name, size_t len)
{
	return note(ctx, "@", name != NULL ? name : "?", name != NULL ? len : 1, 1);
}

static int
on_user(void *ctx)
{
	return note(ctx, "USER", "", 0, 1);
}

static const struct names_ops ops = {.on_free = on_free, .on_param = on_param};
static const struct names_ops asker = {
    .on_param = on_param, .on_claim = on_claim, .on_user = on_user};

static void
uses(void **state)
{
	static const struct {
		const char *name, *text, *want;
	} cases[] = {
	    {"nothing", "", ""},
	    {"a field is none", "message.user.name", "message"},
	    {"a method is none", "channel:sub(1)", "channel"},
	    {"two dots are no field's", "a..b", "a b"},
	    {"key of a table", "{a = b, ['c'] = d, e}", "b d e"},
	    {"equal is no key", "{a == b}", "a b"},
	    {"numbers", "0x1F + 1e5 + 1.5e-3 + 3..2", ""},
	    {"strings", "'a' .. \"b\" .. [[c]] .. [==[d]]e]==] .. 'f\\'g' .. h", "h"},
	    {"comments", "a -- b\n + c --[[ d\n e]] + f --[=[ ]] g ]=] + h", "a c@2 f@3 h@3"},
	    {"locals", "local a, b <const> = 1, c return a + b + d", "c d"},
	    {"a function's own", "function(a, b, ...) return a + b + c end", "c"},
	    {"its name", "local function f(a) return f(a) end function g() end", ""},
	    {"a loop's own", "for i, v in pairs(t) do print(i, v) end", "pairs t print"},
	    {"what it assigns", "a, b = 1 c = 2 return a, b, c, d", "d"},
	    {"labels", "goto x ::x:: y()", "y"},
	    {"words", "if not nil then return true else while false do break end end", ""},
	    {"parameter", "params.room", "$room params"},
	    {"quoted", "params['a'] .. params[\"b\"]", "$a params $b params"},
	    {"by a variable", "params[x]", "$? params x"},
	    {"with an escape", "params['\\97']", "$? params"},
	    {"in long brackets", "params[ [[a]] ]", "$? params"},
	    {"part of an expression", "params['a' .. x]", "$? params x"},
	    {"handed on", "f(params)", "f $? params"},
	    {"another's", "message.params.x", "message"},
	    {"a method's self", "function t:m() return self.x + t.y end", ""},
	    {"self of none", "function t.m() return self.x end", "self"},
	    {"blanks in a string", "'a\\z \r\n\t b' .. params.x .. c", "$x params@2 c@2"},
	    {"no blank behind it", "'\\z' .. a", "a"},
	    {"LF in a string", "'a\\\nb' .. c", "c@2"},
	    {"CR LF in a string", "'a\\\r\nb' .. c", "c@2"},
	    {"LF CR in a string", "'a\\\n\rb' .. c", "c@2"},
	    {"a backslash in a string", "'a\\\\' .. b .. 'c'", "b"},
	    {"a string without an end", "'a\nb", "b@2"},
	    {"a comment's CR", "-- a\rb", "b@2"},
	    {"CR LF is one line", "a\r\nb\r\n[[\r\n]]c", "a b@2 c@4"},
	    {"two of each are two", "a\n\nb\r\rc", "a b@3 c@5"},
	    {"a key of that name", "{params = params.a}", "$a"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct found found = {0};
		int rc = names_walk(cases[i].text, strlen(cases[i].text), &ops, &found);

		assert_int_equal(rc, 0);
		if (strcmp(found.text, cases[i].want) != 0)
			fail_msg("%s: \"%s\" instead of \"%s\"", cases[i].name, found.text,
				 cases[i].want);
	}
}

/* Who asks divides the feeds, whatever the text declares: a rule that looks at one user must never
 * be worked out for all of them. */
static void
asks(void **state)
{
	static const struct {
		const char *name, *text, *want;
	} cases[] = {
	    {"nobody", "message.user == params", "$?"},
	    {"user", "message.to == user", "USER"},
	    {"a claim", "claims.org == claims['x']", "@org @x"},
	    {"a parameter of a function", "local function f(m, user) return m.b == user end",
	     "USER USER"},
	    {"an anonymous one's", "(function(user) return user end)(user)", "USER USER USER"},
	    {"a local copy", "local user = user", "USER"},
	    {"a local without a value", "local user; return user", "USER USER"},
	    {"a loop's", "for _, user in pairs(t) do print(user) end", "USER USER"},
	    {"a counting loop's", "for user = 1, 2 do print(user) end", "USER"},
	    {"a function of that name", "local function user() end", "USER"},
	    {"assigned in a block", "do local user <const> = 1 end return user", "USER USER"},
	    {"claims with a default", "local claims = claims or {}", "@?"},
	    {"claims of a function", "function f(claims) return claims.a end", "@? @a"},
	    {"a loop's claims", "for claims in f() do g(claims.b) end", "@? @b"},
	    {"a copy under another name", "local c = claims return c.org", "@?"},
	    {"a table's key", "{user = 1, claims = 2, params = 3}", ""},
	    {"a field", "message.user, message.claims.x, m.params.y", ""},
	    {"all names at once", "local _ENV = _ENV return _ENV[x]",
	     "$? @? USER $? @? USER $? @? USER"},
	    {"in a string", "'user claims.x'", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct found found = {0};

		assert_int_equal(names_walk(cases[i].text, strlen(cases[i].text), &asker, &found),
				 0);
		if (strcmp(found.text, cases[i].want) != 0)
			fail_msg("%s: \"%s\" instead of \"%s\"", cases[i].name, found.text,
				 cases[i].want);
	}
}

static void
use_of_one(void **state)
{
	static const struct {
		const char *text;
		bool is_used, is_declared;
	} cases[] = {
	    {"text == 'x'", true, false},
	    {"message.text", false, false},
	    {"{text = message.text}", false, false},
	    {"{text = text}", true, false},
	    {"local text = message.text", false, true},
	    {"local text return text", true, true},
	    {"function(text) end", false, true},
	    {"function f(a, text) return text end", true, true},
	    {"for text in text do end", true, true},
	    {"'text' -- text", false, false},
	    {"f(text, 1)", true, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct names_use use = names_use(cases[i].text, strlen(cases[i].text), "text");

		if (use.is_used != cases[i].is_used || use.is_declared != cases[i].is_declared)
			fail_msg("%s: used %d, declared %d", cases[i].text, use.is_used,
				 use.is_declared);
	}
}

/* Text that ends anywhere: nothing beyond it is read (a sanitizer looks), and it comes to an end.
 */
static void
beginnings(void **state)
{
	static const char text[] =
	    "local a = params['x'] .. '\\z \r\n' .. '\\\n' --[==[ \n]==] .. [=[ ]] ]=] .. "
	    "\"q\\\"\" "
	    "for i in f(params[1]) do ::l:: goto l end return {b = 0x1p-3, c.d}";

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		struct found found = {0};
		char *copy = malloc(len > 0 ? len : 1);

		assert_non_null(copy);
		memcpy(copy, text, len);
		assert_int_equal(names_walk(copy, len, &ops, &found), 0);
		free(copy);
	}
}

static void
stopped(void **state)
{
	struct found found = {.stop_after = 2};

	(void)state;
	assert_int_equal(names_walk("a + b + c", 9, &ops, &found), 7);
	assert_string_equal(found.text, "a b");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(uses),       cmocka_unit_test(asks),    cmocka_unit_test(use_of_one),
	    cmocka_unit_test(beginnings), cmocka_unit_test(stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
