/* The growth of a buffer is taken in as source, so that each of its allocations can be made to
 * fail. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "eventstream_parser.h"
#include "sse/wire.h"

static unsigned fail_at; /* the allocation that fails; 0: none */

static void *
failing_realloc(void *p, size_t size)
{
	if (fail_at > 0 && --fail_at == 0)
		return NULL;
	return realloc(p, size);
}

#define realloc failing_realloc
#include "base/buf.c" /* NOLINT(bugprone-suspicious-include) */
#undef realloc

#define CAP     ((size_t)1 << 20)
#define TEXT(s) (s), sizeof(s) - 1

struct event_case {
	const char *name;
	const char *data;
	size_t len;
	const char *want;
	size_t want_len;
	size_t n_replaced;
};

#define FFFD "\xEF\xBF\xBD"

static const struct event_case cases[] = {
    {"plain", TEXT("{\"id\":7}"), TEXT("data: {\"id\":7}\n\n"), 0},
    {"empty", TEXT(""), TEXT("data: \n\n"), 0},
    {"leading space", TEXT(" a"), TEXT("data:  a\n\n"), 0},
    {"leading colon", TEXT(":a"), TEXT("data: :a\n\n"), 0},
    {"LF", TEXT("a\nb"), TEXT("data: a\ndata: b\n\n"), 0},
    {"CRLF", TEXT("a\r\nb"), TEXT("data: a\ndata: b\n\n"), 0},
    {"lone CR", TEXT("a\rid: 9"), TEXT("data: a\ndata: id: 9\n\n"), 0},
    {"LF, CR", TEXT("a\n\rb"), TEXT("data: a\ndata: \ndata: b\n\n"), 0},
    {"CR, CRLF", TEXT("a\r\r\nb"), TEXT("data: a\ndata: \ndata: b\n\n"), 0},
    {"LF before CR", TEXT("a\nb\rc\nd"), TEXT("data: a\ndata: b\ndata: c\ndata: d\n\n"), 0},
    {"blank line inside", TEXT("a\n\nevent: b"), TEXT("data: a\ndata: \ndata: event: b\n\n"), 0},
    {"LF first", TEXT("\na"), TEXT("data: \ndata: a\n\n"), 0},
    {"CR first", TEXT("\ra"), TEXT("data: \ndata: a\n\n"), 0},
    {"LF at the end", TEXT("a\n"), TEXT("data: a\ndata: \n\n"), 0},
    {"CR at the end", TEXT("a\r"), TEXT("data: a\ndata: \n\n"), 0},
    {"CRLF at the end", TEXT("a\r\n"), TEXT("data: a\ndata: \n\n"), 0},
    {"only LF", TEXT("\n"), TEXT("data: \ndata: \n\n"), 0},
    {"only CR", TEXT("\r"), TEXT("data: \ndata: \n\n"), 0},
    {"only CRLF", TEXT("\r\n"), TEXT("data: \ndata: \n\n"), 0},
    {"only line ends", TEXT("\n\r\r\n\n"), TEXT("data: \ndata: \ndata: \ndata: \ndata: \n\n"), 0},
    {"NUL", TEXT("a\0b"), TEXT("data: a\0b\n\n"), 0},
    {"BOM first",
     TEXT("\xEF\xBB\xBF"
	  "a"),
     TEXT("data: \xEF\xBB\xBF"
	  "a\n\n"),
     0},
    {"U+2028 is no line end",
     TEXT("a\xE2\x80\xA8"
	  "b"),
     TEXT("data: a\xE2\x80\xA8"
	  "b\n\n"),
     0},
    {"U+0085 is no line end",
     TEXT("a\xC2\x85"
	  "b"),
     TEXT("data: a\xC2\x85"
	  "b\n\n"),
     0},
    {"overlong",
     TEXT("a\xC0\xAF"
	  "b"),
     TEXT("data: a" FFFD FFFD "b\n\n"), 2},
    {"surrogate", TEXT("\xED\xA0\x80"), TEXT("data: " FFFD FFFD FFFD "\n\n"), 3},
    {"beyond U+10FFFF", TEXT("\xF5\x80"), TEXT("data: " FFFD FFFD "\n\n"), 2},
    {"lone continuation", TEXT("\x80"), TEXT("data: " FFFD "\n\n"), 1},
    {"cut at the end", TEXT("a\xF0\x9F\x98"), TEXT("data: a" FFFD "\n\n"), 1},
    {"cut by a line end", TEXT("\xE2\x82\r\xAC"), TEXT("data: " FFFD "\ndata: " FFFD "\n\n"), 2},
    {"bad among good", TEXT("\xC3\xA4\xFF\xC3\xB6"), TEXT("data: \xC3\xA4" FFFD "\xC3\xB6\n\n"), 1},
};

static void
assert_bytes(const struct buf *b, const char *want, size_t len)
{
	if (b->len != len || (len > 0 && memcmp(b->p, want, len) != 0))
		fail_msg("wanted %zu bytes \"%s\", got %u \"%.*s\"", len, want, b->len, (int)b->len,
			 b->p != NULL ? b->p : "");
}

/* Exact bytes, behind what was there before, into a cap that just holds them and into one that does
 * not. */
static void
data_lines(void **state)
{
	(void)state;
	struct buf b;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct event_case *c = &cases[i];
		struct event ev = {.data = c->data, .data_len = c->len};
		size_t n = 5;

		print_message("%s\n", c->name);
		buf_init(&b, c->want_len);
		assert_int_equal(wire_event_stream.event(&b, &ev, &n), 0);
		assert_bytes(&b, c->want, c->want_len);
		assert_int_equal(n, 5 + c->n_replaced);
		assert_int_equal(wire_event_stream.event(&b, &ev, NULL), -EMSGSIZE);
		assert_bytes(&b, c->want, c->want_len);
		buf_fini(&b);

		buf_init(&b, c->want_len + 2);
		assert_int_equal(buf_puts(&b, "old"), 0);
		assert_int_equal(wire_event_stream.event(&b, &ev, &n), -EMSGSIZE);
		assert_bytes(&b, "old", 3);
		assert_int_equal(n, 5 + c->n_replaced);
		buf_fini(&b);
	}
}

static void
fields(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		struct event ev;
		const char *want;
	} all[] = {
	    {"no data pointer", {.data = NULL}, "data: \n\n"},
	    {"id", {.id = "1-0", .id_len = 3, .data = "a", .data_len = 1}, "id: 1-0\ndata: a\n\n"},
	    {"type",
	     {.type = "t", .type_len = 1, .data = "a", .data_len = 1},
	     "event: t\ndata: a\n\n"},
	    {"empty type", {.type = "", .data = "a", .data_len = 1}, "data: a\n\n"},
	    {"message is no name", {.type = "message", .type_len = 7}, "data: \n\n"},
	    {"messages is one", {.type = "messages", .type_len = 8}, "event: messages\ndata: \n\n"},
	    {"Message is one", {.type = "Message", .type_len = 7}, "event: Message\ndata: \n\n"},
	    {"retry first",
	     {.id = "1-0", .id_len = 3, .type = "t", .type_len = 1, .retry_ms = 4294967295U},
	     "retry: 4294967295\nid: 1-0\nevent: t\ndata: \n\n"},
	    {"both",
	     {.id = "1,2",
	      .id_len = 3,
	      .type = "\xC3\xA4",
	      .type_len = 2,
	      .data = "a",
	      .data_len = 1},
	     "id: 1,2\nevent: \xC3\xA4\ndata: a\n\n"},
	    {"spaces",
	     {.id = " 1", .id_len = 2, .type = " t", .type_len = 2},
	     "id:  1\nevent:  t\ndata: \n\n"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct buf b;

		print_message("%s\n", all[i].name);
		buf_init(&b, strlen(all[i].want));
		assert_int_equal(wire_event_stream.event(&b, &all[i].ev, NULL), 0);
		assert_bytes(&b, all[i].want, strlen(all[i].want));
		buf_fini(&b);
	}
}

static void
refused_names(void **state)
{
	(void)state;
	static const struct {
		const char *name, *text;
		size_t len;
	} all[] = {
	    {"LF", TEXT("a\nb")},           {"CR", TEXT("a\rb")},
	    {"NUL", TEXT("a\0b")},          {"LF first", TEXT("\na")},
	    {"CR last", TEXT("a\r")},       {"NUL alone", TEXT("\0")},
	    {"overlong", TEXT("\xC0\xAF")}, {"surrogate", TEXT("\xED\xA0\x80")},
	    {"cut", TEXT("a\xE2\x82")},     {"Latin-1", TEXT("\xE4")},
	};
	struct buf b;

	buf_init(&b, CAP);
	assert_int_equal(buf_puts(&b, "old"), 0);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct event id = {.id = all[i].text, .id_len = all[i].len};
		struct event type = {.type = all[i].text, .type_len = all[i].len};
		size_t n = 0;

		print_message("%s\n", all[i].name);
		assert_int_equal(wire_event_stream.event(&b, &id, &n), -EINVAL);
		assert_int_equal(wire_event_stream.event(&b, &type, &n), -EINVAL);
		assert_int_equal(wire_event_stream.id(&b, all[i].text, all[i].len), -EINVAL);
		assert_int_equal(wire_event_stream.lines(&b, 1, all[i].text, all[i].len), -EINVAL);
		assert_bytes(&b, "old", 3);
		assert_int_equal(n, 0);
	}
	assert_int_equal(wire_event_stream.event(&b, &(struct event){.id = ""}, NULL), -EINVAL);
	assert_int_equal(wire_event_stream.id(&b, "", 0), -EINVAL);
	assert_int_equal(wire_event_stream.lines(&b, 1, "", 0), -EINVAL);
	assert_bytes(&b, "old", 3);
	buf_fini(&b);
}

/* What a message may be called, and why not. */
static void
faults(void **state)
{
	(void)state;
	static const struct {
		const char *type, *id, *fault; /* of the fault a part; NULL: there is none */
	} all[] = {
	    {"", NULL, NULL},
	    {"order.paid", "1-0,2-0", NULL},
	    {"stream", "0.end.", NULL},
	    {"stream-", NULL, "its name begins with"},
	    {"stream-open", "1", "its name begins with"},
	    {"a\nb", NULL, "its name holds a line end"},
	    {"", "", "its id is empty"},
	    {"", "a\rb", "its id holds a line end"},
	    {"", "\xE9", "not UTF-8"},
	    {"", "x.end", "its id ends in"},
	    {"", "urn:uuid:1", "its id holds a control byte or one of"},
	    {"", "2026-11-28T10:00", "its id holds a control byte or one of"},
	    {"", "a\tb", "its id holds a control byte or one of"},
	    {"", "a\x7f", "its id holds a control byte or one of"},
	    {"", "a b", NULL},
	    {"", "\xC3\xA9", NULL},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct event ev = {.type = all[i].type,
				   .type_len = strlen(all[i].type),
				   .id = all[i].id,
				   .id_len = all[i].id != NULL ? strlen(all[i].id) : 0};
		const char *fault = event_fault(&ev);

		print_message("%zu\n", i);
		assert_int_equal(fault != NULL, all[i].fault != NULL);
		assert_true(fault == NULL || strstr(fault, all[i].fault) != NULL);
	}
}

static void
name_lengths(void **state)
{
	(void)state;
	char longest[EVENT_ID_MAX + 1];
	struct buf b;

	assert_int_equal(EVENT_ID_MAX, EVENT_TYPE_MAX);
	memset(longest, 'a', sizeof(longest));
	for (size_t len = EVENT_ID_MAX - 1; len <= EVENT_ID_MAX + 1; len++) {
		int want = len <= EVENT_ID_MAX ? 0 : -EINVAL;

		buf_init(&b, CAP);
		assert_int_equal(wire_event_stream.event(
				     &b, &(struct event){.id = longest, .id_len = len}, NULL),
				 want);
		assert_int_equal(wire_event_stream.event(
				     &b, &(struct event){.type = longest, .type_len = len}, NULL),
				 want);
		assert_int_equal(wire_event_stream.id(&b, longest, len), want);
		assert_int_equal(event_fault(&(struct event){.id = longest, .id_len = len}) != NULL,
				 want < 0);
		assert_int_equal(event_fault(&(struct event){.type = longest, .type_len = len}) !=
				     NULL,
				 want < 0);
		assert_int_equal(b.len == 0, want < 0);
		buf_fini(&b);
	}
}

static void
other_frames(void **state)
{
	(void)state;
	struct buf b;

	buf_init(&b, 2);
	assert_int_equal(
	    wire_event_stream.heartbeat(&b, &(struct event){.data = "x", .data_len = 1}), 0);
	assert_bytes(&b, ":\n", 2);
	assert_int_equal(
	    wire_event_stream.heartbeat(&b, &(struct event){.data = "x", .data_len = 1}),
	    -EMSGSIZE);
	buf_fini(&b);

	buf_init(&b, strlen("retry: 4294967295\nid: 1-0\n"));
	assert_int_equal(wire_event_stream.lines(&b, 0, NULL, 0), 0);
	assert_int_equal(b.len, 0);
	assert_int_equal(wire_event_stream.lines(&b, 4294967295U, "1-0", 3), 0);
	assert_bytes(&b, TEXT("retry: 4294967295\nid: 1-0\n"));
	assert_int_equal(wire_event_stream.lines(&b, 1, NULL, 0), -EMSGSIZE);
	assert_bytes(&b, TEXT("retry: 4294967295\nid: 1-0\n"));
	buf_fini(&b);
	buf_init(&b, strlen("retry: 1\nid: 1-0"));
	assert_int_equal(wire_event_stream.lines(&b, 1, "1-0", 3), -EMSGSIZE);
	assert_int_equal(b.len, 0);
	buf_fini(&b);

	for (size_t cap = 0; cap < strlen("id: 1-0\n\n"); cap++) {
		buf_init(&b, cap);
		assert_int_equal(wire_event_stream.id(&b, "1-0", 3), -EMSGSIZE);
		assert_int_equal(b.len, 0);
		buf_fini(&b);
	}
	buf_init(&b, strlen("id: 1-0\n\n"));
	assert_int_equal(wire_event_stream.id(&b, "1-0", 3), 0);
	assert_bytes(&b, TEXT("id: 1-0\n\n"));
	buf_fini(&b);
}

/*
 * An id alone is kept by the client and dispatches nothing; a comment and a retry touch neither,
 * and lines that were begun are of the event that comes next.
 */
static void
frames_as_a_client_reads_them(void **state)
{
	(void)state;
	struct es_stream s = {0};
	struct buf b;

	buf_init(&b, CAP);
	assert_int_equal(wire_event_stream.id(&b, "5-1", 3), 0);
	es_parse(&s, b.p, b.len);
	assert_int_equal(s.n_events, 0);
	assert_true(es_is(&s.last_event_id, "5-1", 3));
	assert_false(s.is_cut);
	es_free(&s);
	assert_int_equal(wire_event_stream.lines(&b, 3000, "6-1", 3), 0);
	assert_int_equal(
	    wire_event_stream.heartbeat(&b, &(struct event){.data = "x", .data_len = 1}), 0);
	assert_int_equal(
	    wire_event_stream.event(&b, &(struct event){.data = "x", .data_len = 1}, NULL), 0);
	es_parse(&s, b.p, b.len);
	assert_int_equal(s.n_events, 1);
	assert_int_equal(s.retry_ms, 3000);
	assert_int_equal(s.n_comments, 1);
	assert_true(es_is(&s.data, "x", 1));
	assert_true(es_is(&s.last_event_id, "6-1", 3));
	assert_false(s.is_cut);
	es_free(&s);
	buf_fini(&b);
}

/* From each place: the next one behind an empty line, or behind a comment that stands between. */
static void
boundaries(void **state)
{
	(void)state;
	static const struct {
		const char *name, *bytes, *at; /* at: ^ under each place where a frame begins */
	} all[] = {
	    {"one frame", "data: a\n\n", "^         "},
	    {"two", "data: a\n\ndata: b\n\n", "^        ^         "},
	    {"a comment first", ":\ndata: a\n\n", "^ ^         "},
	    {"a comment last", "data: a\n\n:\n", "^        ^  "},
	    {"comments between", "data: a\n\n:\n:\ndata: b\n\n", "^        ^ ^ ^         "},
	    {"data that looks like one", "data: :\ndata: \ndata: x:\n\n:\n",
	     "^                        ^  "},
	    {"a comment alone", ":\n", "^  "},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const char *p = all[i].bytes, *end = p + strlen(p), *want = end;

		print_message("%s\n", all[i].name);
		assert_ptr_equal(wire_event_stream.boundary(p, end, end), end);
		for (const char *at = end - 1; at >= p; at--) {
			if (all[i].at[at - p] == '^')
				want = at;
			assert_ptr_equal(wire_event_stream.boundary(p, at, end), want);
		}
	}
}

static void
reserved_names(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool is_reserved, is_end;
	} all[] = {
	    {"", false, false},
	    {"stream", false, false},
	    {"stream-", true, false},
	    {"stream-open", true, false},
	    {"Stream-open", false, false},
	    {"a-stream-", false, false},
	    {".end", false, true},
	    {"end", false, false},
	    {"1-0.end", false, true},
	    {"1-0.end.", false, false},
	    {".END", false, false},
	    {"stream-.end", true, true},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		size_t len = strlen(all[i].text);
		char *exact =
		    malloc(len + 1); /* a read beyond len is a read of freed or foreign bytes */

		print_message("%s\n", all[i].text);
		assert_non_null(exact);
		memcpy(exact, all[i].text, len);
		assert_int_equal(event_is_reserved(exact, len), all[i].is_reserved);
		assert_int_equal(event_is_end_id(exact, len), all[i].is_end);
		free(exact);
	}
}

/* Each allocation fails once: nothing is left behind, and the next try succeeds. */
static void
allocations(void **state)
{
	(void)state;
	struct event ev = {
	    .id = "1-0", .id_len = 3, .data = "\xFF\n\n\n\r\xFF\xFF\xFF", .data_len = 8};
	struct buf want, b;
	unsigned nth;
	int rc;

	buf_init(&want, CAP);
	for (int i = 0; i < 50; i++)
		assert_int_equal(wire_event_stream.event(&want, &ev, NULL), 0);
	for (nth = 1, rc = -ENOMEM; rc != 0; nth++) {
		size_t n = 0;

		buf_init(&b, CAP);
		fail_at = nth;
		for (int i = 0; i < 50; i++) {
			size_t before = b.len, n_before = n;

			if ((rc = wire_event_stream.event(&b, &ev, &n)) == 0)
				continue;
			assert_int_equal(rc, -ENOMEM);
			assert_int_equal(b.len, before);
			assert_int_equal(n, n_before);
			assert_int_equal(wire_event_stream.event(&b, &ev, &n), 0);
			assert_int_equal(b.len, before + want.len / 50);
			break;
		}
		assert_memory_equal(b.p, want.p, b.len);
		buf_fini(&b);
	}
	fail_at = 0;
	assert_true(nth > 4);
	buf_fini(&want);
}

static void
round_trip(const char *data, size_t len)
{
	struct event ev = {
	    .id = "7-1", .id_len = 3, .type = "t", .type_len = 1, .data = data, .data_len = len};
	struct es_stream s = {0};
	struct es_text want = {0};
	size_t n = 0, n_want = es_expect(&want, data, len);
	struct buf b;

	buf_init(&b, CAP * 8);
	assert_int_equal(wire_event_stream.event(&b, &ev, &n), 0);
	es_parse(&s, b.p, b.len);
	assert_int_equal(s.n_events, 1);
	assert_int_equal(n, n_want);
	assert_false(s.is_cut);
	assert_true(es_is(&s.data, want.p, want.len));
	assert_true(es_is(&s.type, "t", 1));
	assert_true(es_is(&s.last_event_id, "7-1", 3));
	assert_int_equal(s.n_retries, 0);
	free(want.p);
	es_free(&s);
	buf_fini(&b);
}

static uint32_t
next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)(*seed >> 33);
}

static void
random_round_trips(void **state)
{
	(void)state;
	static const char *const nasty[] = {"\r",
					    "\n",
					    "\r\n",
					    "data:",
					    "id: 9",
					    "event: x",
					    ":",
					    " ",
					    "\xC0",
					    "\xAF",
					    "\xE2\x82",
					    "\xED\xA0",
					    "\xF0\x9F\x98\x80",
					    "\xEF\xBB\xBF",
					    "\xF5",
					    "\x80",
					    "\xF4\x90",
					    "a",
					    "eight by",
					    "\n\n",
					    "retry: 1"};
	uint64_t seed = 20261120;

	for (int i = 0; i < 100000; i++) {
		char data[512];
		size_t len = 0, n = next_random(&seed) % 24;

		for (size_t k = 0; k < n; k++) {
			uint32_t r = next_random(&seed);
			const char *piece = nasty[r % (sizeof(nasty) / sizeof(nasty[0]))];

			if (r % 7 == 0) {
				data[len++] = (char)(unsigned char)(r >> 8);
				continue;
			}
			memcpy(data + len, piece, strlen(piece));
			len += strlen(piece);
		}
		round_trip(data, len);
	}
}

/* Every value of a byte, alone and in each place of the word that the search reads at once. */
static void
every_byte(void **state)
{
	(void)state;
	for (unsigned value = 0; value < 256; value++) {
		for (size_t at = 0; at < 17; at++) {
			char data[17];

			memset(data, 'x', sizeof(data));
			data[at] = (char)(unsigned char)value;
			round_trip(data, sizeof(data));
			round_trip(data + at, 1);
		}
	}
}

/* 64 KiB lines, and as many line ends of each kind. */
static void
large(void **state)
{
	(void)state;
	enum { LARGE = 1 << 16 };
	char *data = malloc(LARGE);

	assert_non_null(data);
	for (unsigned kind = 0; kind < 4; kind++) {
		for (size_t i = 0; i < LARGE; i++)
			data[i] = "x\r\n\r"[kind];
		for (size_t i = 1; kind == 3 && i < LARGE; i += 2)
			data[i] = '\n';
		round_trip(data, LARGE);
	}
	memset(data, 'x', LARGE);
	data[LARGE / 2] = '\r';
	round_trip(data, LARGE);
	free(data);
}

/*
 * A search for line ends that begins anew at each of them takes a minute for these bytes, in which
 * the loop would stand still; a linear one takes less than a second.
 */
static void
many_lone_crs(void **state)
{
	enum { MANY = 4 << 20 };
	struct buf b;
	char *data = malloc(MANY);

	(void)state;
	assert_non_null(data);
	memset(data, '\r', MANY);
	buf_init(&b, (size_t)MANY * 8);
	alarm(20);
	assert_int_equal(
	    wire_event_stream.event(&b, &(struct event){.data = data, .data_len = MANY}, NULL), 0);
	alarm(0);
	assert_int_equal(b.len, (size_t)(MANY + 1) * strlen("data: \n") + 1);
	buf_fini(&b);
	free(data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(data_lines),
	    cmocka_unit_test(fields),
	    cmocka_unit_test(refused_names),
	    cmocka_unit_test(name_lengths),
	    cmocka_unit_test(faults),
	    cmocka_unit_test(other_frames),
	    cmocka_unit_test(frames_as_a_client_reads_them),
	    cmocka_unit_test(boundaries),
	    cmocka_unit_test(reserved_names),
	    cmocka_unit_test(allocations),
	    cmocka_unit_test(random_round_trips),
	    cmocka_unit_test(every_byte),
	    cmocka_unit_test(large),
	    cmocka_unit_test(many_lone_crs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
