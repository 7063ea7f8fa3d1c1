/*
 * test_template.c - templates: what compiles, what it becomes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "logic/message.h"
#include "logic/template.h"

enum { ALL = TEMPLATE_PARAMS | TEMPLATE_CHANNEL | TEMPLATE_NOW | TEMPLATE_FIELD | TEMPLATE_TEXT };

static void
templates_expand(void **state)
{
	static const struct template_value params[] = {{"id", "7"}, {"user", "zoe"}, {0}};
	static const struct {
		const char *name, *text, *want; /* NULL: it cannot be expanded */
	} cases[] = {
	    {"literal", "orders", "orders"},
	    {"empty", "", ""},
	    {"parameter", "user:{user}:{id}", "user:zoe:7"},
	    {"parameter twice", "{id}{id}", "77"},
	    {"a value is not expanded again", "{{id}}", "{id}"},
	    {"braces", "{{}}", "{}"},
	    {"channel", "[{channel}]", "[a:b]"},
	    {"now", "{now}", "1700000000"},
	    {"string field", "{.kind}", "order"},
	    {"nested field", "{.user.name}", "Zo\xC3\xAB"},
	    {"number", "{.n}", "12345678901234"},
	    {"boolean", "{.yes}", "true"},
	    {"text", "{text}",
	     "{\"kind\":\"order\",\"user\":{\"name\":\"Zo\xC3\xAB\"},\"n\":12345678901234,"
	     "\"yes\":true,\"none\":null}"},
	    {"null", "{.none}", NULL},
	    {"object", "{.user}", NULL},
	    {"absent", "{.nothing}", NULL},
	    {"of a string", "{.kind.x}", NULL},
	    {"unknown parameter", "{other}", NULL},
	};
	static const char json[] = "{\"kind\":\"order\",\"user\":{\"name\":\"Zo\xC3\xAB\"},"
				   "\"n\":12345678901234,\"yes\":true,\"none\":null}";
	struct message msg;
	struct template_scope scope = {
	    .params = params, .msg = &msg, .channel = "a:b", .channel_len = 3, .now = 1700000000};
	size_t i;

	(void)state;
	message_init(&msg, "a:b", 3, json, sizeof(json) - 1);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct template *t;
		struct buf b;
		char why[256];
		int rc;

		buf_init(&b, 256);
		assert_int_equal(buf_puts(&b, ">"), 0);
		if (template_compile(&t, cases[i].text, ALL, why, sizeof(why)) < 0)
			fail_msg("%s: %s", cases[i].name, why);
		rc = template_expand(t, &scope, &b);
		if (rc != (cases[i].want != NULL ? 0 : -ENOENT))
			fail_msg("%s: returned %d", cases[i].name, rc);
		if (cases[i].want != NULL && (b.len != strlen(cases[i].want) + 1 ||
					      memcmp(b.p + 1, cases[i].want, b.len - 1) != 0))
			fail_msg("%s: wanted %s, got %.*s", cases[i].name, cases[i].want,
				 (int)b.len, b.p);
		if (cases[i].want == NULL)
			assert_int_equal(b.len, 1);
		buf_fini(&b);
		template_free(t);
	}
	message_fini(&msg);
}

static void
faults_are_told(void **state)
{
	static const struct {
		const char *name, *text;
		unsigned allow;
		const char *why; /* a part of it */
	} cases[] = {
	    {"lone open brace", "a{b", ALL, "a lone {"},
	    {"lone close brace", "a}b", ALL, "a lone }"},
	    {"empty name", "{}", ALL, "{}"},
	    {"space in a name", "{a b}", ALL, "{a b}"},
	    {"digit first", "{1a}", ALL, "{1a}"},
	    {"dot alone", "{.}", ALL, "{.}"},
	    {"two dots", "{.a..b}", ALL, "{.a..b}"},
	    {"dot last", "{.a.}", ALL, "{.a.}"},
	    {"field where none may stand", "{.a}", TEMPLATE_PARAMS, "allowed here: {parameter}"},
	    {"text where none may stand", "{text}", TEMPLATE_PARAMS, "{text}"},
	    {"channel where none may stand", "{channel}", TEMPLATE_PARAMS, "{channel}"},
	    {"parameter where none may stand", "{id}", TEMPLATE_NOW, "{now}"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct template *t;
		char why[256] = "";

		if (template_compile(&t, cases[i].text, cases[i].allow, why, sizeof(why)) !=
		    -EINVAL)
			fail_msg("%s: it compiles", cases[i].name);
		if (strstr(why, cases[i].why) == NULL)
			fail_msg("%s: %s", cases[i].name, why);
	}
}

static void
parameters_are_listed_once(void **state)
{
	struct template *t;
	char why[256];

	(void)state;
	assert_int_equal(template_compile(&t, "{b}:{a}:{b}:{now}", ALL, why, sizeof(why)), 0);
	assert_string_equal(template_param(t, 0), "b");
	assert_string_equal(template_param(t, 1), "a");
	assert_null(template_param(t, 2));
	template_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(templates_expand),
	    cmocka_unit_test(faults_are_told),
	    cmocka_unit_test(parameters_are_listed_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
