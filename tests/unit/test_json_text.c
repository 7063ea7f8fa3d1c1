/*
 * test_json_text.c - what is JSON to the letter, and integers that json-c would change.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "base/json_text.h"

#define TEXT(s) s, sizeof(s) - 1
#define X16(s)  s s s s s s s s s s s s s s s s
#define X64(s)  X16(s) X16(s) X16(s) X16(s)

static void
what_is_json(void **state)
{
	static const struct {
		const char *name, *p;
		size_t len;
		bool is_json, is_wide;
	} cases[] = {
	    {"nothing", TEXT(""), false, false},
	    {"white space alone", TEXT(" \t\r\n"), false, false},
	    {"white space around", TEXT(" \t\r\n1 \t\r\n"), true, false},
	    {"form feed", TEXT("1\f"), false, false},
	    {"object", TEXT("{\"a\" : 1 , \"b\":[ ] }"), true, false},
	    {"empty object", TEXT("{ }"), true, false},
	    {"comma at the end", TEXT("{\"a\":1,}"), false, false},
	    {"comma alone", TEXT("[,]"), false, false},
	    {"two commas", TEXT("[1,,2]"), false, false},
	    {"no comma", TEXT("[1 2]"), false, false},
	    {"no colon", TEXT("{\"a\" 1}"), false, false},
	    {"no value", TEXT("{\"a\":}"), false, false},
	    {"name without quotes", TEXT("{a:1}"), false, false},
	    {"name in single quotes", TEXT("{'a':1}"), false, false},
	    {"name with a NUL", TEXT("{\"a\\u0000b\":1}"), false, false},
	    {"value with a NUL", TEXT("{\"a\":\"\\u0000\"}"), true, false},
	    {"mismatched", TEXT("[1}"), false, false},
	    {"closed twice", TEXT("[1]]"), false, false},
	    {"two values", TEXT("1 2"), false, false},
	    {"comment", TEXT("1/**/"), false, false},
	    {"words", TEXT("[true,false,null]"), true, false},
	    {"word cut", TEXT("tru"), false, false},
	    {"word with more", TEXT("nullx"), false, false},
	    {"other words", TEXT("NaN"), false, false},
	    {"infinity", TEXT("-Infinity"), false, false},
	    {"numbers", TEXT("[0,-0,10,-1.5,1e5,1E+05,1.0e-5]"), true, false},
	    {"plus", TEXT("+1"), false, false},
	    {"leading zero", TEXT("01"), false, false},
	    {"no digits", TEXT("-"), false, false},
	    {"dot at the end", TEXT("1."), false, false},
	    {"dot first", TEXT(".5"), false, false},
	    {"no exponent", TEXT("1e"), false, false},
	    {"hexadecimal", TEXT("0x10"), false, false},
	    {"strings", TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00fF\""), true, false},
	    {"not ASCII", TEXT("\"Zo\xC3\xAB\""), true, false},
	    {"control byte", TEXT("\"a\nb\""), false, false},
	    {"unknown escape", TEXT("\"\\x\""), false, false},
	    {"short escape", TEXT("\"\\u12\""), false, false},
	    {"NUL in an escape", TEXT("\"\\\0\""), false, false},
	    {"open string", TEXT("\"a"), false, false},
	    {"escape at the end", TEXT("\"\\"), false, false},
	    {"NUL behind", TEXT("1\0"), false, false},
	    {"greatest int64", TEXT("9223372036854775807"), true, false},
	    {"greatest uint64", TEXT("18446744073709551615"), true, false},
	    {"beyond uint64", TEXT("18446744073709551616"), true, true},
	    {"longer", TEXT("100000000000000000000"), true, true},
	    {"least int64", TEXT("-9223372036854775808"), true, false},
	    {"below int64", TEXT("[{\"a\":-9223372036854775809}]"), true, true},
	    {"wide but a float", TEXT("18446744073709551616.0"), true, false},
	    {"64 deep", TEXT(X64("[") X64("]")), true, false},
	    {"65 deep", TEXT(X64("[") "[]" X64("]")), false, false},
	    {"64 deep with objects", TEXT(X64("{\"a\":") "1" X64("}")), true, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool is_wide, is_json = json_text_check(cases[i].p, cases[i].len, &is_wide);

		if (is_json != cases[i].is_json || (is_json && is_wide != cases[i].is_wide))
			fail_msg("%s: %s", cases[i].name, is_json ? "taken" : "refused");
	}
}

/* Each of its beginnings is not JSON, and none is read beyond its end (a sanitizer looks). */
static void
beginnings(void **state)
{
	static const char text[] =
	    "{\"a\":[1,-2.5e+3,\"\\u00e9\\\\\",{\"b\":null},true,false,[]],\"c\":{}}";

	(void)state;
	assert_true(json_text_check(text, sizeof(text) - 1, NULL));
	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		char *copy = malloc(len + 1);

		assert_non_null(copy);
		memcpy(copy, text, len);
		copy = realloc(copy, len > 0 ? len : 1);
		assert_false(json_text_check(copy, len, NULL));
		free(copy);
	}
}

static void
widened(void **state)
{
	static const char text[] =
	    "[1,18446744073709551616,\"18446744073709551616\",-99999999999999999999 ]";
	static const char want[] =
	    "[1,18446744073709551616e0,\"18446744073709551616\",-99999999999999999999e0 ]";
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	assert_int_equal(json_text_widen(text, sizeof(text) - 1, &b), 0);
	assert_int_equal(b.len, sizeof(want) - 1);
	assert_memory_equal(b.p, want, b.len);
	buf_fini(&b);
	assert_true(json_text_is_wide(TEXT("18446744073709551616e0")));
	assert_false(json_text_is_wide(TEXT("18446744073709551615e0")));
	assert_false(json_text_is_wide(TEXT("1e0")));
	assert_false(json_text_is_wide(TEXT("18446744073709551616")));
	assert_false(json_text_is_wide(TEXT("18446744073709551616.5e0")));
}

/* Whatever is put as a string is a string, and json-c reads the same bytes from it. */
static void
strings(void **state)
{
	char all[255];
	struct json_object *read;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < 127; i++)
		all[i] = (char)i;
	buf_init(&b, 4096);
	assert_int_equal(json_put_string(&b, all, 127), 0);
	assert_true(json_text_check(b.p, b.len, NULL));
	assert_int_equal(buf_putc(&b, '\0'), 0);
	read = json_tokener_parse(b.p);
	assert_int_equal(json_object_get_string_len(read), 127);
	assert_memory_equal(json_object_get_string(read), all, 127);
	json_object_put(read);
	buf_truncate(&b, 0);
	assert_int_equal(json_put_string(&b, NULL, 0), 0);
	assert_int_equal(b.len, 2);
	buf_fini(&b);
}

static void
full_buffer(void **state)
{
	struct buf b;

	(void)state;
	for (size_t cap = 2; cap < 15; cap++) { /* "a\nb\u0001" */
		buf_init(&b, cap);
		assert_int_equal(buf_putc(&b, 'x'), 0);
		assert_int_equal(json_put_string(&b, "a\nb\x01", 4), cap < 13 ? -EMSGSIZE : 0);
		assert_int_equal(b.len, cap < 13 ? 1 : 13);
		buf_fini(&b);
	}
}

static void
halves(void **state)
{
	static const struct {
		const char *text;
		bool is_lone;
	} cases[] = {
	    {"\"\"", false},
	    {"\"\\ud83d\\ude00\"", false},
	    {"\"\\uD83D\\uDE00\\ud83d\\ude00\"", false},
	    {"\"\\\\ud800\"", false}, /* an escaped backslash, and text */
	    {"\"\\u00d8\\ud7ff\\ue000\"", false},
	    {"\"\\ud800\"", true},
	    {"\"\\ud800x\"", true},
	    {"\"\\ud800\\n\\udc00\"", true},
	    {"\"\\udc00\\ud800\"", true},
	    {"\"\\udc00\"", true},
	    {"\"\\ud800\\ud800\\udc00\"", true},
	    {"{\"\\ud800\":1}", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (json_text_has_lone_surrogate(cases[i].text, strlen(cases[i].text)) !=
		    cases[i].is_lone)
			fail_msg("%s", cases[i].text);
	}
}

static void
names(void **state)
{
	static const struct {
		const char *text;
		size_t n;
	} cases[] = {{"[]", 0},
		     {"{\"a\":1}", 1},
		     {"{\"a\":{\"b\":[{\"c\":1},{}]},\"d\":\":\"}", 4},
		     {"{\"a:\":\"\\\":\",\"a:\":2}", 2},
		     {"\":::\"", 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(json_text_count_names(cases[i].text, strlen(cases[i].text)),
				 cases[i].n);
}

static void
flaws(void **state)
{
	static const struct {
		const char *p;
		size_t len;
		enum json_flaw flaw;
	} cases[] = {
	    {TEXT("{\"a\":1}"), JSON_FINE},
	    {TEXT(""), JSON_BROKEN},
	    {TEXT("{"), JSON_BROKEN},
	    {TEXT(X64("[") X64("]")), JSON_FINE},
	    {TEXT(X64("[") "[" X64("]") "]"), JSON_TOO_DEEP},
	    {TEXT(X64("[") "[1"), JSON_TOO_DEEP},
	    {TEXT("{\"a\\u0000\":1}"), JSON_NUL_NAME},
	    {TEXT("\"\\ud800\""), JSON_LONE_SURROGATE},
	    {TEXT("\"\\ud800\\udc00\""), JSON_FINE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("%s\n", cases[i].p);
		assert_int_equal(json_text_flaw(cases[i].p, cases[i].len, NULL), cases[i].flaw);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(halves),       cmocka_unit_test(names),
	    cmocka_unit_test(what_is_json), cmocka_unit_test(beginnings),
	    cmocka_unit_test(widened),      cmocka_unit_test(strings),
	    cmocka_unit_test(full_buffer),  cmocka_unit_test(flaws),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
