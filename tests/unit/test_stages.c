/*
 * test_stages.c - the order of a route's stages, and what is counted; fields and added ones;
 * batches.
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

#include "base/counters.h"
#include "logic/batch.h"
#include "logic/library.h"
#include "logic/message.h"
#include "logic/stages.h"

static uint64_t
count_of(enum counter c)
{
	uint64_t sum[COUNTER_MAX];

	counters_sum(sum);
	return sum[c];
}

static struct expression *
compile(struct stages *st, const char *text)
{
	struct expression *ex;
	char why[512];

	if (st->sandbox == NULL)
		assert_int_equal(sandbox_new(&st->sandbox, library_open), 0);
	if (expression_new(&ex, st->sandbox, text, why, sizeof(why)) < 0)
		fail_msg("%s: %s", text, why);
	return ex;
}

static struct template *
template_of(const char *text)
{
	const unsigned all = TEMPLATE_PARAMS | TEMPLATE_CHANNEL | TEMPLATE_NOW | TEMPLATE_FIELD;
	struct template *t;
	char why[512];

	if (template_compile(&t, text, all, why, sizeof(why)) < 0)
		fail_msg("%s: %s", text, why);
	return t;
}

/* What becomes of one message: "as it is", "nothing" or the data, and "END" behind. */
static const char *
run(struct stages *st, const char *json)
{
	static char text[1024];
	struct template_scope scope = {.channel = "c", .channel_len = 1, .now = 17};
	struct rendering r;
	struct message msg;

	message_init(&msg, "c", 1, json, strlen(json));
	scope.msg = &msg;
	rendering_init(&r);
	switch (stages_run(st, SCRIPT_NONE, &scope, &r)) {
	case STAGES_AS_IS:
		strcpy(text, "as it is");
		break;
	case STAGES_RENDERED:
		assert_int_equal(r.n, 1);
		snprintf(text, sizeof(text), "%.*s", (int)r.v[0].len, r.bytes.p + r.v[0].at);
		break;
	default:
		strcpy(text, "nothing");
	}
	if (r.ends)
		strcat(text, "END");
	rendering_fini(&r);
	message_fini(&msg);
	return text;
}

static void
without_stages(void **state)
{
	struct stages st = {.route = "r"};

	(void)state;
	assert_true(stages_is_empty(&st));
	assert_string_equal(run(&st, "no JSON"), "as it is");
	stages_fini(&st);
}

static void
filter_and_until(void **state)
{
	struct stages st = {.route = "r"};
	uint64_t filtered = count_of(COUNTER_FILTERED), failed = count_of(COUNTER_FAILED);
	uint64_t invalid = count_of(COUNTER_DROPPED_INVALID);

	(void)state;
	st.filter = compile(&st, "message.a > 1");
	st.until = compile(&st, "message.last");
	assert_string_equal(run(&st, "{\"a\":2}"), "as it is");
	assert_string_equal(run(&st, "{\"a\":2,\"last\":true}"), "as it isEND");
	assert_string_equal(run(&st, "{\"a\":1,\"last\":true}"), "nothing");
	assert_int_equal(count_of(COUNTER_FILTERED), filtered + 1);
	assert_string_equal(run(&st, "{}"), "nothing");
	assert_int_equal(count_of(COUNTER_FILTERED), filtered + 2);
	assert_int_equal(count_of(COUNTER_FAILED), failed + 1);
	assert_string_equal(run(&st, "no JSON"), "nothing");
	assert_int_equal(count_of(COUNTER_DROPPED_INVALID), invalid + 1);
	stages_fini(&st);
}

/* What must not be lost is given again: so a failure is never taken for a result, whatever follows.
 */
static void
a_failure_stays_one(void **state)
{
	static const struct {
		const char *transform, *until, *message;
		bool has_failed;
	} cases[] = {
	    {"message.a.b", NULL, "{}", true},
	    {"message.a.b", "message.c.d == 1", "{}", true},
	    {"message.a.b", "message.c == 1", "{\"c\":1}", true},
	    {"message.a", "message.c.d == 1", "{\"a\":1}", false},
	    {"message.a", "message.c.d == 1", "{}", false},
	    {"message.a", NULL, "{\"a\":1}", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stages st = {.route = "r"};

		st.transform = compile(&st, cases[i].transform);
		if (cases[i].until != NULL)
			st.until = compile(&st, cases[i].until);
		run(&st, cases[i].message);
		if (st.has_failed != cases[i].has_failed)
			fail_msg("case %zu: has_failed %d", i, st.has_failed);
		stages_fini(&st);
	}
}

/* A message that is not JSON is for a route that looks at nothing of it but its bytes. */
static void
text(void **state)
{
	static const struct {
		const char *filter, *transform, *until, *want;
	} cases[] = {
	    {NULL, NULL, "text == '[DONE]'", "as it isEND"},
	    {"text ~= 'x'", NULL, NULL, "as it is"},
	    {"text == 'x'", NULL, NULL, "nothing"},
	    {"channel == 'c'", NULL, "text == 'x'", "as it is"},
	    {NULL, "{text = text}", NULL, "{\"text\":\"[DONE]\"}"},
	    {"true", NULL, NULL, "nothing"},
	    {"message ~= 1", NULL, "text == '[DONE]'", "nothing"},
	    {NULL, "message or text", NULL, "nothing"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stages st = {.route = "r"};

		if (cases[i].filter != NULL)
			st.filter = compile(&st, cases[i].filter);
		if (cases[i].transform != NULL)
			st.transform = compile(&st, cases[i].transform);
		if (cases[i].until != NULL)
			st.until = compile(&st, cases[i].until);
		assert_string_equal(run(&st, "[DONE]"), cases[i].want);
		stages_fini(&st);
	}
}

static void
transform(void **state)
{
	struct stages st = {.route = "r"};

	(void)state;
	st.transform = compile(&st, "message.data");
	st.until = compile(&st, "message.last");
	assert_string_equal(run(&st, "{\"data\":[1]}"), "[1]");
	assert_string_equal(run(&st, "{\"last\":true}"), "nothingEND");
	assert_string_equal(run(&st, "5"), "nothing");
	stages_fini(&st);
}

static void
shape(void **state)
{
	static const struct {
		const char *message, *want;
	} cases[] = {
	    {"{\"z\":1,\"x\":2,\"a\":{\"b\":\"q\\\"\"}}",
	     "{\"z\":1,\"a\":{\"b\":\"q\\\"\"},\"now\":17,\"b\":\"q\\\"\",\"text\":\"c-q\\\"\","
	     "\"x\":\"c\"}"},
	    {"{\"a\":{\"b\":null}}", "nothing"}, /* no text in "text" */
	    {"{\"a\":{\"b\":1.50}}",
	     "{\"a\":{\"b\":1.50},\"now\":17,\"b\":1.50,\"text\":\"c-1.50\",\"x\":\"c\"}"},
	    {"{\"z\":1}", "nothing"},
	    {"[1]", "nothing"},
	    {"null", "nothing"},
	};
	static const char *const adds[][2] = {
	    {"now", "{now}"}, {"b", "{.a.b}"}, {"text", "{channel}-{.a.b}"}, {"x", "{channel}"}};
	struct stages st = {.route = "r"};
	struct shape *sh = &st.shape;

	(void)state;
	sh->fields = calloc(3, sizeof(char *));
	sh->fields[0] = strdup("a");
	sh->fields[1] = strdup("z");
	sh->n_adds = sizeof(adds) / sizeof(adds[0]);
	sh->adds = calloc(sh->n_adds, sizeof(*sh->adds));
	for (size_t i = 0; i < sh->n_adds; i++)
		sh->adds[i] = (struct shape_add){strdup(adds[i][0]), template_of(adds[i][1])};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(run(&st, cases[i].message), cases[i].want);
	stages_fini(&st);
}

static void
batches(void **state)
{
	static const char want[] =
	    "{\"batch\":[{\"channel\":\"a\",\"data\":{\"x\":1}},"
	    "{\"channel\":\"\\\"\",\"data\":\"no \\\"JSON\\\"\"}],\"count\":2}";
	struct batch b;

	(void)state;
	batch_init(&b, 120);
	assert_int_equal(batch_add(&b, "a", 1, "{\"x\":1}", 7), 0);
	assert_int_equal(batch_add(&b, "\"", 1, "no \"JSON\"", 9), 0);
	assert_int_equal(batch_add(&b, "c", 1, "too much for what is left of it", 31), -EMSGSIZE);
	assert_int_equal(b.n, 2);
	assert_int_equal(batch_finish(&b), 0);
	assert_int_equal(b.text.len, sizeof(want) - 1);
	assert_memory_equal(b.text.p, want, b.text.len);
	batch_clear(&b);
	assert_int_equal(b.n, 0);
	batch_fini(&b);
}

/* A handler's message is seen by what follows, and by no other feed. */
static void
replaced_messages(void **state)
{
	struct message arrived, one, other;
	struct json_object *copy;
	size_t len;

	(void)state;
	message_init(&arrived, "c", 1, "{\"a\":1}", 7);
	message_share(&one, &arrived);
	message_share(&other, &arrived);
	assert_ptr_equal(message_json(&one), message_json(&other));
	copy = message_copy(&one);
	assert_non_null(copy);
	assert_ptr_not_equal(copy, message_json(&one));
	json_object_put(copy);
	message_fini(&one);
	message_share(&one, &arrived);
	assert_int_equal(message_replace(&one, json_tokener_parse("{\"a\":2}")), KEEP);
	assert_string_equal(message_bytes(&one, &len), "{\"a\":2}");
	assert_int_equal(len, 7);
	assert_int_equal(json_object_get_int(json_object_object_get(message_json(&one), "a")), 2);
	assert_int_equal(message_replace(&other, NULL), DROP);
	assert_string_equal(message_bytes(&other, &len), "{\"a\":1}");
	message_fini(&one);
	message_fini(&other);
	message_fini(&arrived);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_stages),
	    cmocka_unit_test(filter_and_until),
	    cmocka_unit_test(a_failure_stays_one),
	    cmocka_unit_test(text),
	    cmocka_unit_test(transform),
	    cmocka_unit_test(shape),
	    cmocka_unit_test(batches),
	    cmocka_unit_test(replaced_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
