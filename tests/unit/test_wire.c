/*
 * test_wire.c - what each wire promises: bytes of NDJSON, and, of every wire, that frames are found
 * again among what was written.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "sse/wire.h"

#define CAP     ((size_t)1 << 20)
#define TEXT(s) (s), sizeof(s) - 1
#define FFFD    "\xEF\xBF\xBD"
#define LINE(d) "{\"id\":null,\"event\":\"message\",\"data\":" d "}\n"

static const struct {
	const char *name, *data;
	size_t len;
	const char *want;
	size_t n_replaced;
} lines[] = {
    {"object", TEXT("{\"n\":12345678901234567890}"), LINE("{\"n\":12345678901234567890}"), 0},
    {"as it is written", TEXT(" [1.0 , \"\\u00e9\"]\t"), LINE(" [1.0 , \"\\u00e9\"]\t"), 0},
    {"line breaks", TEXT("{\r\n\"a\":\n1\r}\n"), LINE("{  \"a\": 1 } "), 0},
    {"number", TEXT("7"), LINE("7"), 0},
    {"null", TEXT("null"), LINE("null"), 0},
    {"string", TEXT("\"a\""), LINE("\"a\""), 0},
    {"empty", TEXT(""), LINE("\"\""), 0},
    {"text", TEXT("a \"b\" \\ c"), LINE("\"a \\\"b\\\" \\\\ c\""), 0},
    {"lines of text", TEXT("a\nb\r\nc"), LINE("\"a\\nb\\r\\nc\""), 0},
    {"NUL", TEXT("a\0b"), LINE("\"a\\u0000b\""), 0},
    {"almost JSON", TEXT("{\"a\":1,}"), LINE("\"{\\\"a\\\":1,}\""), 0},
    {"two values", TEXT("1\n2"), LINE("\"1\\n2\""), 0},
    {"half a character", TEXT("\"\\ud800\""), LINE("\"\\\"\\\\ud800\\\"\""), 0},
    {"text that is not UTF-8",
     TEXT("a\xFF"
	  "b"),
     LINE("\"a" FFFD "b\""), 1},
    {"JSON that is not UTF-8", TEXT("[\"\xC0\xAF\"]"), LINE("[\"" FFFD FFFD "\"]"), 2},
    {"byte order mark",
     TEXT("\xEF\xBB\xBF"
	  "1"),
     LINE("\"\xEF\xBB\xBF"
	  "1\""),
     0},
    {"U+2028", TEXT("\xE2\x80\xA8"), LINE("\"\xE2\x80\xA8\""), 0},
};

static void
assert_text(const struct buf *b, const char *want)
{
	if (b->len != strlen(want) || memcmp(b->p, want, b->len) != 0)
		fail_msg("wanted %s, got %.*s", want, (int)b->len, b->len > 0 ? b->p : "");
}

static void
ndjson_lines(void **state)
{
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct event ev = {.data = lines[i].data, .data_len = lines[i].len};
		size_t n = 5;

		print_message("%s\n", lines[i].name);
		buf_init(&b, strlen(lines[i].want));
		assert_int_equal(wire_ndjson.event(&b, &ev, &n), 0);
		assert_text(&b, lines[i].want);
		assert_int_equal(n, 5 + lines[i].n_replaced);
		assert_int_equal(wire_ndjson.event(&b, &ev, &n), -EMSGSIZE);
		assert_text(&b, lines[i].want);
		assert_int_equal(n, 5 + lines[i].n_replaced);
		buf_fini(&b);
	}
}

static void
ndjson_names(void **state)
{
	struct event ev = {.id = "1-0,2-0",
			   .id_len = 7,
			   .type = "a\"b",
			   .type_len = 3,
			   .data = "1",
			   .data_len = 1,
			   .retry_ms = 7};
	struct buf b;

	(void)state;
	buf_init(&b, CAP);
	assert_int_equal(wire_ndjson.event(&b, &ev, NULL), 0);
	assert_text(&b, "{\"id\":\"1-0,2-0\",\"event\":\"a\\\"b\",\"data\":1}\n");
	buf_truncate(&b, 0);
	ev.type = "message";
	ev.type_len = 7;
	assert_int_equal(wire_ndjson.event(&b, &ev, NULL), 0);
	assert_text(&b, "{\"id\":\"1-0,2-0\",\"event\":\"message\",\"data\":1}\n");
	buf_truncate(&b, 0);
	ev.type = "a\nb";
	ev.type_len = 3;
	assert_int_equal(wire_ndjson.event(&b, &ev, NULL), -EINVAL);
	ev.type_len = 0;
	ev.id_len = 0;
	assert_int_equal(wire_ndjson.event(&b, &ev, NULL), -EINVAL);
	assert_int_equal(wire_ndjson.lines(&b, 3000, "1-0", 3), 0);
	assert_int_equal(b.len, 0);
	assert_int_equal(wire_ndjson.heartbeat(&b, &ev), 0);
	assert_text(&b, "\n");
	buf_fini(&b);
}

/* Whatever stands in data, and however long the names are, a frame is within its bounds. */
static void
frames_are_bounded(void **state)
{
	static const char *const worst[] = {"\n", "\r", "\x01", "\x80", "\"", "\xFF\n"};
	char name[EVENT_ID_MAX], data[2000];
	const struct wire *wire;
	struct buf b;

	(void)state;
	memset(name, '"', sizeof(name));
	for (size_t i = 0; i < sizeof(worst) / sizeof(worst[0]); i++) {
		struct event ev = {.id = name,
				   .id_len = sizeof(name),
				   .type = name,
				   .type_len = sizeof(name),
				   .data = data,
				   .retry_ms = 4294967295U};

		for (ev.data_len = 0; ev.data_len < sizeof(data); ev.data_len++)
			data[ev.data_len] = worst[i][ev.data_len % strlen(worst[i])];
		for (size_t k = 0; (wire = wire_nth(k)) != NULL; k++) {
			buf_init(&b, WIRE_GROWTH_MAX * ev.data_len + WIRE_REST_MAX);
			assert_int_equal(wire->event(&b, &ev, NULL), 0);
			buf_fini(&b);
		}
	}
}

/* Of what a wire has written: each place leads to the next frame, and each id is found. */
static void
check_frames(const struct wire *wire, const struct event *events, size_t n)
{
	size_t starts[16], len, k = 0;
	struct buf b;

	buf_init(&b, CAP);
	for (size_t i = 0; i < n; i++) {
		starts[k++] = b.len;
		assert_int_equal(i % 3 == 2 ? wire->heartbeat(&b, &(struct event){0})
					    : wire->event(&b, &events[i], NULL),
				 0);
	}
	starts[k] = b.len;
	for (size_t at = 0, next = 0; at <= b.len; at++) {
		if (starts[next] < at)
			next++;
		assert_int_equal(wire->boundary(b.p, b.p + at, b.p + b.len) - b.p, starts[next]);
	}
	for (size_t i = 0; i < n; i++) {
		const char *id = wire->find_id(b.p + starts[i], b.p + starts[i + 1], &len);

		assert_int_equal(id != NULL, i % 3 != 2 && events[i].id != NULL);
		assert_true(id == NULL ||
			    (len == events[i].id_len && memcmp(id, events[i].id, len) == 0));
	}
	buf_fini(&b);
}

static void
frames_are_found(void **state)
{
	static const struct event events[] = {
	    {.id = "1-0", .id_len = 3, .data = "a", .data_len = 1},
	    {.type = "t", .type_len = 1, .data = "id: 7\n\n:\n{\"id\":\"9\"", .data_len = 19},
	    {0},
	    {.id = "1-1,2-5", .id_len = 7, .type = "u", .type_len = 1, .data = "{}", .data_len = 2},
	    {.data = "\n\n\n", .data_len = 3},
	    {0},
	    {.id = "9", .id_len = 1},
	};
	const struct wire *wire;

	(void)state;
	for (size_t i = 0; (wire = wire_nth(i)) != NULL; i++) {
		print_message("%s\n", wire->name);
		check_frames(wire, events, sizeof(events) / sizeof(events[0]));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ndjson_lines),
	    cmocka_unit_test(ndjson_names),
	    cmocka_unit_test(frames_are_bounded),
	    cmocka_unit_test(frames_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
