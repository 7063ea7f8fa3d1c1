/*
 * test_record.c - the walk over FastCGI records: what is decided, for every way in which
 * the bytes may be cut. The bytes always end at an unreadable page.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "fcgi/pairs.h"
#include "fcgi/record.h"

enum { PAGE = 4096, ROOM = 256 * PAGE, PARAMS_MAX = 65536, BODY_MAX = 65536, SAID_MAX = 200000 };

static const struct record_limits limits = {
    .params_max = PARAMS_MAX, .body_max = BODY_MAX, .max_conns = 1000};

static char *guarded; /* ROOM bytes, behind which nothing can be read */

/* A connection as the walk sees it, and what it said. */
struct trial {
	struct record_walk walk;
	struct record_request request;
	struct buf replies;
	struct buf said;
	bool answers; /* each request is answered, and the connection goes on */
};

__attribute__((format(printf, 2, 3))) static void
say(struct trial *t, const char *fmt, ...)
{
	char text[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	assert_int_equal(buf_puts(&t->said, text), 0);
}

static void
say_bytes(struct trial *t, const char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (p[i] > ' ' && p[i] <= '~')
			say(t, "%c", p[i]);
		else
			say(t, "\\x%02x", (unsigned char)p[i]);
	}
}

static void
say_pairs(struct trial *t, const char *p, size_t len)
{
	const char *end = len > 0 ? p + len : p;
	struct pair pr;

	while (pairs_next(&pr, &p, end) > 0) {
		say_bytes(t, pr.name, pr.name_len);
		say(t, "=");
		say_bytes(t, pr.value, pr.value_len);
		say(t, ",");
	}
}

static void
say_request(struct trial *t)
{
	say(t, "request%s(", t->walk.keep ? " keep" : "");
	say_pairs(t, t->request.params.p, t->request.params.len);
	say(t, "|");
	say_bytes(t, t->request.body.p, t->request.body.len);
	say(t, ") ");
}

/* What the peer would read, record by record. */
static void
say_replies(struct trial *t)
{
	const char *at = t->replies.p, *end;
	FCGI_Header head;
	size_t len;

	end = t->replies.len > 0 ? at + t->replies.len : at;
	for (; at < end; at += sizeof(head) + len + head.paddingLength) {
		assert_true((size_t)(end - at) >= sizeof(head));
		memcpy(&head, at, sizeof(head));
		len = (size_t)(head.contentLengthB1 << 8 | head.contentLengthB0);
		assert_true((size_t)(end - at) >= sizeof(head) + len + head.paddingLength);
		assert_int_equal((len + head.paddingLength) % 8, 0);
		if (head.type == FCGI_END_REQUEST)
			say(t, "end(%d,%d) ", head.requestIdB1 << 8 | head.requestIdB0,
			    at[sizeof(head) + 4]);
		else if (head.type == FCGI_UNKNOWN_TYPE)
			say(t, "unknown(%d) ", (unsigned char)at[sizeof(head)]);
		else if (head.type == FCGI_GET_VALUES_RESULT) {
			say(t, "values(");
			say_pairs(t, at + sizeof(head), len);
			say(t, ") ");
		} else
			fail_msg("a record of type %d is no reply", head.type);
	}
}

static void
say_verdict(struct trial *t, enum record_verdict verdict)
{
	static const char *const names[] = {[RECORD_ABORT] = "abort ",
					    [RECORD_END] = "end ",
					    [RECORD_FAULT] = "fault ",
					    [RECORD_NO_MEMORY] = "no memory "};

	if (verdict == RECORD_REQUEST)
		say_request(t);
	else if (verdict == RECORD_REFUSE)
		say(t, "refuse(%d)%s ", t->walk.status,
		    t->walk.phase == RECORD_BROKEN ? "" : " whole");
	else if (verdict != RECORD_MORE)
		say(t, "%s", names[verdict]);
}

static void
feed(struct trial *t, const char *p, size_t len)
{
	struct record_bytes in = {guarded + ROOM - len, len};
	enum record_verdict verdict;

	assert_true(len <= ROOM);
	memcpy(guarded + ROOM - len, p, len);
	while (in.len > 0 && t->walk.phase != RECORD_BROKEN) {
		verdict = record_walk(&t->walk, &t->request, &limits, &in, &t->replies);
		assert_true(in.len < len);
		assert_ptr_equal(in.p + in.len, guarded + ROOM);
		len = in.len;
		assert_true(t->request.params.len <= PARAMS_MAX);
		assert_true(t->request.body.len <= BODY_MAX);
		say_verdict(t, verdict);
		if (t->walk.phase == RECORD_WHOLE && t->answers && verdict != RECORD_MORE)
			record_next(&t->walk);
		if (verdict == RECORD_REQUEST)
			record_request_clear(&t->request);
	}
}

/* What is said of the bytes if they come in pieces of cut[0], cut[1], and the rest. */
static char *
outcome(const char *p, size_t len, size_t first, size_t each, bool answers)
{
	struct trial t = {.answers = answers};
	size_t done = first < len ? first : len, n;

	record_walk_init(&t.walk);
	record_request_init(&t.request, &limits);
	buf_init(&t.replies, 1 << 20);
	buf_init(&t.said, SAID_MAX);
	feed(&t, p, done);
	for (; done < len; done += n) {
		n = len - done < each ? len - done : each;
		feed(&t, p + done, n);
	}
	say_replies(&t);
	assert_int_equal(buf_putc(&t.said, '\0'), 0);
	record_request_fini(&t.request);
	buf_fini(&t.replies);
	return t.said.p;
}

static void
expect(const char *name, const struct buf *in, bool answers, const char *want)
{
	size_t step = in->len > 2000 ? in->len / 61 : 1, cut;
	char *got = outcome(in->p, in->len, in->len, 1, answers);

	if (strcmp(got, want) != 0)
		fail_msg("%s: wanted \"%s\", got \"%.500s\"", name, want, got);
	free(got);
	for (cut = 1; cut < in->len; cut += step) {
		got = outcome(in->p, in->len, cut, in->len, answers);
		if (strcmp(got, want) != 0)
			fail_msg("%s, cut at %zu: wanted \"%s\", got \"%.500s\"", name, cut, want,
				 got);
		free(got);
	}
	got = outcome(in->p, in->len, 0, 1, answers);
	if (strcmp(got, want) != 0)
		fail_msg("%s, byte by byte: wanted \"%s\", got \"%.500s\"", name, want, got);
	free(got);
}

/* Input */

struct piece {
	int type, id;
	const char *content;
	size_t len;
	int padding, version, reserved;
};

#define REC(type, id, text) \
	{ \
		type, id, text, sizeof(text) - 1, 0, 1, 0 \
	}
#define PADDED(type, id, text, padding) \
	{ \
		type, id, text, sizeof(text) - 1, padding, 1, 0 \
	}
#define BEGIN(id)            REC(FCGI_BEGIN_REQUEST, id, "\0\1\0\0\0\0\0\0")
#define BEGIN_KEEP(id)       REC(FCGI_BEGIN_REQUEST, id, "\0\1\1\0\0\0\0\0")
#define BEGIN_ROLE(id, role) REC(FCGI_BEGIN_REQUEST, id, role "\0\0\0\0\0\0")
#define PARAMS(id, text)     REC(FCGI_PARAMS, id, text)
#define STDIN(id, text)      REC(FCGI_STDIN, id, text)
#define ABORT(id)            REC(FCGI_ABORT_REQUEST, id, "")
#define VALUES(text)         REC(FCGI_GET_VALUES, 0, text)
#define END_PARAMS           PARAMS(1, "")
#define END_STDIN            STDIN(1, "")

static void
put_record(struct buf *b, const struct piece *pc)
{
	FCGI_Header head;

	record_head(&head, (unsigned char)pc->type, (uint16_t)pc->id, pc->len);
	head.version = (unsigned char)pc->version;
	head.paddingLength = (unsigned char)pc->padding;
	head.reserved = (unsigned char)pc->reserved;
	assert_int_equal(buf_put(b, &head, sizeof(head)), 0);
	assert_int_equal(buf_put(b, pc->content, pc->len), 0);
	assert_int_equal(buf_reserve(b, 255), 0);
	memset(b->p + b->len, 0xee, (size_t)pc->padding);
	buf_grow(b, (size_t)pc->padding);
}

static void
put(struct buf *b, int type, int id, const void *content, size_t len, int padding)
{
	struct piece pc = {type, id, content, len, padding, 1, 0};

	put_record(b, &pc);
}

static void
put_begin(struct buf *b)
{
	put(b, FCGI_BEGIN_REQUEST, 1, "\0\1\0\0\0\0\0\0", 8, 0);
}

/* One stream of the request, in records of at most each bytes, with its end. */
static void
put_stream(struct buf *b, int type, const char *p, size_t len, size_t each)
{
	size_t done, n;

	for (done = 0; done < len; done += n) {
		n = len - done < each ? len - done : each;
		put(b, type, 1, p + done, n, 0);
	}
	put(b, type, 1, "", 0, 0);
}

#define A        "\1\1A1"
#define LENGTH_3 "\16\1CONTENT_LENGTH3"
#define EVIL     "\x0b\4REMOTE_USERevil"

static const struct {
	const char *name;
	bool answers;
	struct piece pieces[12];
	const char *want;
} cases[] = {
    {"a request", false, {BEGIN(1), PARAMS(1, A), END_PARAMS, END_STDIN}, "request(A=1,|) "},
    {"any id",
     false,
     {BEGIN(65535), PARAMS(65535, A), PARAMS(65535, ""), STDIN(65535, "")},
     "request(A=1,|) "},
    {"no variables", false, {BEGIN(1), END_PARAMS, END_STDIN}, "request(|) "},
    {"a body",
     false,
     {BEGIN(1), PARAMS(1, LENGTH_3), END_PARAMS, STDIN(1, "ab"), STDIN(1, "c"), END_STDIN},
     "request(CONTENT_LENGTH=3,|abc) "},
    {"two in turn",
     true,
     {BEGIN_KEEP(1), PARAMS(1, A), END_PARAMS, END_STDIN, BEGIN_KEEP(1), END_PARAMS, END_STDIN},
     "request keep(A=1,|) request keep(|) "},
    {"nothing", false, {BEGIN(1)}, ""},

    /* management records */
    {"values", false, {VALUES("\x0f\0FCGI_MPXS_CONNS")}, "values(FCGI_MPXS_CONNS=0,) "},
    {"values, all",
     false,
     {VALUES("\x0f\0FCGI_MPXS_CONNS\x0e\0FCGI_MAX_CONNS\x0d\0FCGI_MAX_REQS\4\0OTHER")},
     "fault "},
    {"values, all and another",
     false,
     {VALUES("\x0f\0FCGI_MPXS_CONNS\x0e\0FCGI_MAX_CONNS\x0d\0FCGI_MAX_REQS\5\0OTHER")},
     "values(FCGI_MAX_CONNS=1000,FCGI_MAX_REQS=1000,FCGI_MPXS_CONNS=0,) "},
    {"values, none", false, {VALUES("")}, "values() "},
    {"values, twice the same",
     false,
     {VALUES("\x0f\0FCGI_MPXS_CONNS\x0f\0FCGI_MPXS_CONNS")},
     "values(FCGI_MPXS_CONNS=0,) "},
    {"values within a request",
     false,
     {BEGIN(1), PARAMS(1, "\1"), VALUES("\x0f\0FCGI_MPXS_CONNS"), PARAMS(1, "\1A1"), END_PARAMS,
      VALUES(""), END_STDIN, VALUES("")},
     "request(A=1,|) values(FCGI_MPXS_CONNS=0,) values() values() "},
    {"values, a length of 2 GiB", false, {VALUES("\xff\xff\xff\xfe\0")}, "fault "},
    {"unknown type", false, {REC(42, 0, EVIL)}, "unknown(42) "},
    {"unknown type 0 and 255", false, {REC(0, 0, ""), REC(255, 0, "")}, "unknown(0) unknown(255) "},
    {"unknown type among PARAMS",
     false,
     {BEGIN(1), PARAMS(1, A), REC(42, 0, EVIL), END_PARAMS, END_STDIN},
     "request(A=1,|) unknown(42) "},

    /* lengths */
    {"a name of 2 GiB",
     false,
     {BEGIN(1), PARAMS(1, "\xff\xff\xff\xfe\0"), END_PARAMS, END_STDIN},
     "fault "},
    {"name and value of 2 GiB",
     false,
     {BEGIN(1), PARAMS(1, "\xff\xff\xff\xff\xff\xff\xff\xff"), END_PARAMS, END_STDIN},
     "fault "},
    {"a pair cut off", false, {BEGIN(1), PARAMS(1, "\1\2A1"), END_PARAMS, END_STDIN}, "fault "},
    {"a length cut off",
     false,
     {BEGIN(1), PARAMS(1, A "\x80\0\0"), END_PARAMS, END_STDIN},
     "fault "},
    {"only a name's length", false, {BEGIN(1), PARAMS(1, A "\1"), END_PARAMS, END_STDIN}, "fault "},
    {"a length cut by its record, 1",
     false,
     {BEGIN(1), PARAMS(1, "\x80"), PARAMS(1, "\0\0\1\1A1"), END_PARAMS, END_STDIN},
     "request(A=1,|) "},
    {"a length cut by its record, 2",
     false,
     {BEGIN(1), PARAMS(1, "\x80\0"), PARAMS(1, "\0\1\1A1"), END_PARAMS, END_STDIN},
     "request(A=1,|) "},
    {"a length cut by its record, 3",
     false,
     {BEGIN(1), PARAMS(1, "\x80\0\0"), PARAMS(1, "\1\1A1"), END_PARAMS, END_STDIN},
     "request(A=1,|) "},

    /* the end of PARAMS */
    {"STDIN in its place", false, {BEGIN(1), PARAMS(1, A), END_STDIN}, "fault "},
    {"ABORT in its place", false, {BEGIN(1), PARAMS(1, A), ABORT(1)}, "end end(1,0) "},
    {"EOF in its place", false, {BEGIN(1), PARAMS(1, A)}, ""},
    {"PARAMS after it", false, {BEGIN(1), END_PARAMS, PARAMS(1, A)}, "fault "},
    {"ABORT in place of the end of STDIN",
     false,
     {BEGIN(1), PARAMS(1, LENGTH_3), END_PARAMS, STDIN(1, "abc"), ABORT(1)},
     "end end(1,0) "},

    /* other ids */
    {"empty PARAMS of another",
     false,
     {BEGIN(1), PARAMS(7, ""), PARAMS(1, A), END_PARAMS, END_STDIN},
     "request(A=1,|) "},
    {"PARAMS and STDIN of another",
     false,
     {BEGIN(1), PARAMS(7, EVIL), PARAMS(1, A), END_PARAMS, STDIN(7, "x"), STDIN(7, ""), END_STDIN},
     "request(A=1,|) "},
    {"BEGIN of another",
     false,
     {BEGIN(1), BEGIN(258), PARAMS(1, A), END_PARAMS, END_STDIN, BEGIN(3)},
     "request(A=1,|) end(258,1) end(3,1) "},
    {"BEGIN again", false, {BEGIN(1), BEGIN(1)}, "fault "},
    {"BEGIN again while it runs",
     false,
     {BEGIN(1), END_PARAMS, END_STDIN, BEGIN(1)},
     "request(|) fault "},
    {"ABORT of another",
     false,
     {BEGIN(1), ABORT(7), END_PARAMS, END_STDIN, ABORT(7)},
     "request(|) "},

    /* variables */
    {"a name with =",
     false,
     {BEGIN(1), PARAMS(1, "\x11\1REMOTE_USER=adminx"), END_PARAMS, END_STDIN},
     "refuse(400) "},
    {"a name with NUL",
     false,
     {BEGIN(1), PARAMS(1, "\3\1A\0B1"), END_PARAMS, END_STDIN},
     "refuse(400) "},
    {"a name with LF",
     false,
     {BEGIN(1), PARAMS(1, "\3\1A\nB1"), END_PARAMS, END_STDIN},
     "refuse(400) "},
    {"a name with DEL",
     false,
     {BEGIN(1),
      PARAMS(1, "\1\1\x7f"
		"1"),
      END_PARAMS, END_STDIN},
     "refuse(400) "},
    {"a name of 0x80",
     false,
     {BEGIN(1),
      PARAMS(1, "\1\1\x80"
		"1"),
      END_PARAMS, END_STDIN},
     "refuse(400) "},
    {"a name of 0xFF",
     false,
     {BEGIN(1),
      PARAMS(1, "\1\1\xff"
		"1"),
      END_PARAMS, END_STDIN},
     "refuse(400) "},
    {"an empty name", false, {BEGIN(1), PARAMS(1, "\0\1x"), END_PARAMS, END_STDIN}, "refuse(400) "},
    {"a value with NUL",
     false,
     {BEGIN(1), PARAMS(1, "\1\3Aa\0b"), END_PARAMS, END_STDIN},
     "refuse(400) "},
    {"a value of other bytes",
     false,
     {BEGIN(1), PARAMS(1, "\1\3A\n\xff="), END_PARAMS, END_STDIN},
     "request(A=\\x0a\\xff=,|) "},
    {"an empty value",
     false,
     {BEGIN(1), PARAMS(1, "\1\0A"), END_PARAMS, END_STDIN},
     "request(A=,|) "},
    {"a name twice",
     false,
     {BEGIN(1), PARAMS(1, EVIL A EVIL), END_PARAMS, END_STDIN},
     "refuse(400) "},
    {"a name twice, once empty",
     false,
     {BEGIN(1), PARAMS(1, A "\1\0A"), END_PARAMS, END_STDIN},
     "refuse(400) "},
    {"case matters",
     false,
     {BEGIN(1), PARAMS(1, A "\1\1a2"), END_PARAMS, END_STDIN},
     "request(A=1,a=2,|) "},
    {"CONTENT_LENGTH twice",
     false,
     {BEGIN(1), PARAMS(1, LENGTH_3 LENGTH_3), END_PARAMS, END_STDIN},
     "refuse(400) "},
    {"refused, and cut off too", false, {BEGIN(1), PARAMS(1, A A "\1\2A1"), END_PARAMS}, "fault "},

    /* CONTENT_LENGTH */
    {"empty",
     false,
     {BEGIN(1), PARAMS(1, "\16\0CONTENT_LENGTH"), END_PARAMS, END_STDIN},
     "request(CONTENT_LENGTH=,|) "},
    {"negative", false, {BEGIN(1), PARAMS(1, "\16\2CONTENT_LENGTH-1"), END_PARAMS}, "refuse(400) "},
    {"with an exponent",
     false,
     {BEGIN(1), PARAMS(1, "\16\3CONTENT_LENGTH1e3"), END_PARAMS},
     "refuse(400) "},
    {"hexadecimal",
     false,
     {BEGIN(1), PARAMS(1, "\16\4CONTENT_LENGTH0x10"), END_PARAMS},
     "refuse(400) "},
    {"with a space",
     false,
     {BEGIN(1), PARAMS(1, "\16\2CONTENT_LENGTH 5"), END_PARAMS},
     "refuse(400) "},
    {"the limit", false, {BEGIN(1), PARAMS(1, "\16\5CONTENT_LENGTH65536"), END_PARAMS}, ""},
    {"over the limit",
     false,
     {BEGIN(1), PARAMS(1, "\16\5CONTENT_LENGTH65537"), END_PARAMS, STDIN(1, "x")},
     "refuse(413) "},
    {"20 digits",
     false,
     {BEGIN(1),
      PARAMS(1, "\16\x14"
		"CONTENT_LENGTH99999999999999999999"),
      END_PARAMS},
     "refuse(413) "},
    {"20 digits and a letter",
     false,
     {BEGIN(1),
      PARAMS(1, "\16\x15"
		"CONTENT_LENGTH99999999999999999999x"),
      END_PARAMS},
     "refuse(400) "},
    {"leading zeros",
     false,
     {BEGIN(1), PARAMS(1, "\16\14CONTENT_LENGTH000000000003"), END_PARAMS, STDIN(1, "abc"),
      END_STDIN},
     "request(CONTENT_LENGTH=000000000003,|abc) "},
    {"body too short",
     false,
     {BEGIN(1), PARAMS(1, LENGTH_3), END_PARAMS, STDIN(1, "ab"), END_STDIN},
     "refuse(400) whole "},
    {"body too long",
     false,
     {BEGIN(1), PARAMS(1, LENGTH_3), END_PARAMS, STDIN(1, "abcd"), STDIN(1, "e"), END_STDIN},
     "request(CONTENT_LENGTH=3,|abc) "},
    {"body without a length",
     false,
     {BEGIN(1), END_PARAMS, STDIN(1, "abc"), END_STDIN},
     "request(|) "},
    {"body after its end",
     false,
     {BEGIN(1), END_PARAMS, END_STDIN, STDIN(1, "abc"), END_STDIN},
     "request(|) "},

    /* roles, and what nobody may send us */
    {"role 0", false, {BEGIN_ROLE(1, "\0\0")}, "end end(1,3) "},
    {"role 2", false, {BEGIN_ROLE(1, "\0\2")}, "end end(1,3) "},
    {"role 3", false, {BEGIN_ROLE(9, "\0\3")}, "end end(9,3) "},
    {"role 257", false, {BEGIN_ROLE(1, "\1\1")}, "end end(1,3) "},
    {"BEGIN with id 0", false, {BEGIN(0)}, "fault "},
    {"BEGIN of 7 bytes", false, {REC(FCGI_BEGIN_REQUEST, 1, "\0\1\0\0\0\0\0")}, "fault "},
    {"BEGIN of 9 bytes", false, {REC(FCGI_BEGIN_REQUEST, 1, "\0\1\0\0\0\0\0\0\0")}, "fault "},
    {"version 0", false, {{FCGI_BEGIN_REQUEST, 1, "\0\1\0\0\0\0\0\0", 8, 0, 0, 0}}, "fault "},
    {"version 2", false, {{FCGI_BEGIN_REQUEST, 1, "\0\1\0\0\0\0\0\0", 8, 0, 2, 0}}, "fault "},
    {"version 255", false, {{FCGI_GET_VALUES, 0, "", 0, 0, 255, 0}}, "fault "},
    {"reserved byte",
     false,
     {{FCGI_BEGIN_REQUEST, 1, "\0\1\0\0\0\0\0\0", 8, 0, 1, 77}, END_PARAMS, END_STDIN},
     "request(|) "},
    {"type 0", false, {BEGIN(1), REC(0, 1, "")}, "fault "},
    {"type DATA", false, {BEGIN(1), REC(FCGI_DATA, 1, "")}, "fault "},
    {"type 255", false, {BEGIN(1), REC(255, 1, "")}, "fault "},
    {"END_REQUEST", false, {BEGIN(1), REC(FCGI_END_REQUEST, 1, "\0\0\0\0\0\0\0\0")}, "fault "},
    {"STDOUT", false, {BEGIN(1), REC(FCGI_STDOUT, 1, "x")}, "fault "},
    {"STDERR", false, {BEGIN(1), REC(FCGI_STDERR, 1, "x")}, "fault "},
    {"GET_VALUES_RESULT", false, {REC(FCGI_GET_VALUES_RESULT, 0, "")}, "fault "},
    {"UNKNOWN_TYPE", false, {REC(FCGI_UNKNOWN_TYPE, 0, "\0\0\0\0\0\0\0\0")}, "fault "},
    {"PARAMS with id 0", false, {BEGIN(1), PARAMS(0, A)}, "fault "},
    {"GET_VALUES with id 1", false, {REC(FCGI_GET_VALUES, 1, "")}, "fault "},
    {"PARAMS first", false, {PARAMS(1, A)}, "fault "},
    {"STDIN first", false, {END_STDIN}, "fault "},
    {"ABORT first", false, {ABORT(1), BEGIN(1), END_PARAMS, END_STDIN}, "request(|) "},
    {"HTTP", false, {{'E', 'T' << 8 | ' ', "/ HTTP/1.1\r\n\r\n", 14, 0, 'G', 0}}, "fault "},

    /* while the response is open */
    {"ABORT", false, {BEGIN(1), END_PARAMS, END_STDIN, ABORT(1), ABORT(1)}, "request(|) abort "},
    {"ABORT after the response",
     true,
     {BEGIN_KEEP(1), END_PARAMS, END_STDIN, ABORT(1)},
     "request keep(|) "},
    {"PARAMS", false, {BEGIN(1), END_PARAMS, END_STDIN, PARAMS(1, A)}, "request(|) fault "},
    {"values",
     false,
     {BEGIN(1), END_PARAMS, END_STDIN, VALUES("\x0d\0FCGI_MAX_REQS")},
     "request(|) values(FCGI_MAX_REQS=1000,) "},

    /* padding */
    {"padding everywhere",
     false,
     {PADDED(FCGI_BEGIN_REQUEST, 1, "\0\1\0\0\0\0\0\0", 255), PADDED(FCGI_PARAMS, 1, A, 255),
      PADDED(FCGI_PARAMS, 1, "", 255), PADDED(FCGI_STDIN, 1, "", 255)},
     "request(A=1,|) "},
};

static void
table(void **state)
{
	struct buf in;
	size_t i, k;

	(void)state;
	buf_init(&in, ROOM);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (k = 0; k < 12 && cases[i].pieces[k].content != NULL; k++)
			put_record(&in, &cases[i].pieces[k]);
		expect(cases[i].name, &in, cases[i].answers, cases[i].want);
		buf_truncate(&in, 0);
	}
	buf_fini(&in);
}

static void
values_named_3000_times(void **state)
{
	struct buf in, names;
	int i;

	(void)state;
	buf_init(&in, ROOM);
	buf_init(&names, 65535);
	for (i = 0; i < 3000; i++)
		assert_int_equal(pairs_put(&names, "FCGI_MPXS_CONNS", 15, "", 0), 0);
	put(&in, FCGI_GET_VALUES, 0, names.p, names.len, 0);
	expect("3000 names", &in, false, "values(FCGI_MPXS_CONNS=0,) ");
	buf_fini(&names);
	buf_fini(&in);
}

static void
a_pair_over_200_records(void **state)
{
	char pair[200], want[256], value[198];
	struct buf in;
	int i;

	(void)state;
	memset(value, 'v', sizeof(value));
	memcpy(pair, "\1\x80\0\0\xc2N", 6); /* a value of 194 bytes */
	memcpy(pair + 6, value, 194);
	snprintf(want, sizeof(want), "request(N=%.194s,|) ", value);
	buf_init(&in, ROOM);
	put_begin(&in);
	for (i = 0; i < 200; i++)
		put(&in, FCGI_PARAMS, 1, pair + i, 1, 255);
	put(&in, FCGI_PARAMS, 1, "", 0, 0);
	put(&in, FCGI_STDIN, 1, "", 0, 0);
	expect("200 records", &in, false, want);
	buf_fini(&in);
}

/* n pairs whose names are name_len bytes, as one request. */
static void
put_many(struct buf *in, int n, int name_len)
{
	struct buf pairs;
	char name[2000];
	int i;

	buf_init(&pairs, ROOM);
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%0*d", name_len, i);
		assert_int_equal(pairs_put(&pairs, name, (size_t)name_len, "", 0), 0);
	}
	put_begin(in);
	put_stream(in, FCGI_PARAMS, pairs.p, pairs.len, 65528);
	put(in, FCGI_STDIN, 1, "", 0, 0);
	buf_fini(&pairs);
}

static void
too_many_variables(void **state)
{
	static const struct {
		const char *name;
		int n, name_len;
		bool is_taken;
	} many[] = {
	    {"500 pairs", 500, 5, true},        {"501 pairs", 501, 5, false},
	    {"a name of 1 KiB", 1, 1024, true}, {"of a byte more", 1, 1025, false},
	    {"64 KiB in all", 64, 1019, true},  {"and a pair more", 65, 1019, false},
	};
	struct buf in;
	char *got;
	size_t i;

	(void)state;
	buf_init(&in, ROOM);
	for (i = 0; i < sizeof(many) / sizeof(many[0]); i++) {
		put_many(&in, many[i].n, many[i].name_len);
		got = outcome(in.p, in.len, in.len, 1, false);
		if (many[i].is_taken ? strncmp(got, "request(0", 9) != 0
				     : strcmp(got, "refuse(431) ") != 0)
			fail_msg("%s: got \"%.200s\"", many[i].name, got);
		expect(many[i].name, &in, false, got);
		free(got);
		buf_truncate(&in, 0);
	}
	buf_fini(&in);
}

static void
the_limit_of_params_is_exact(void **state)
{
	char *value = malloc(PARAMS_MAX), *got;
	struct buf in, pairs;
	int extra;

	(void)state;
	assert_non_null(value);
	memset(value, 'v', PARAMS_MAX);
	for (extra = 0; extra <= 1; extra++) {
		buf_init(&in, ROOM);
		buf_init(&pairs, ROOM);
		assert_int_equal(pairs_put(&pairs, "N", 1, value, (size_t)(PARAMS_MAX - 6 + extra)),
				 0);
		assert_int_equal(pairs.len, PARAMS_MAX + extra);
		put_begin(&in);
		put_stream(&in, FCGI_PARAMS, pairs.p, pairs.len, 30000);
		put(&in, FCGI_STDIN, 1, "", 0, 0);
		got = outcome(in.p, in.len, in.len, 1, false);
		assert_int_equal(strncmp(got, extra ? "refuse(431) " : "request(N=v", 11), 0);
		expect("exactly", &in, false, got);
		free(got);
		buf_fini(&pairs);
		buf_fini(&in);
	}
	free(value);
}

static void
stdin_without_end(void **state)
{
	static char junk[65535];
	struct buf in;
	int i;

	(void)state;
	buf_init(&in, ROOM);
	put_begin(&in);
	put(&in, FCGI_PARAMS, 1, "", 0, 0);
	put(&in, FCGI_STDIN, 1, junk, sizeof(junk), 255);
	put(&in, FCGI_STDIN, 1, junk, 1, 0);
	expect("64 KiB are let pass", &in, false, "");
	put(&in, FCGI_STDIN, 1, "", 0, 0);
	expect("and served", &in, false, "request(|) ");
	put(&in, FCGI_STDIN, 1, junk, 1, 0);
	for (i = 0; i < 3; i++)
		put(&in, FCGI_STDIN, 1, junk, sizeof(junk), 0);
	expect("no more, even in mid-stream", &in, false, "request(|) fault ");
	buf_fini(&in);
}

/* The response to one request may end while the head of another is half there. */
static void
a_response_ends_in_the_middle_of_a_record(void **state)
{
	struct buf in;
	struct record_bytes rest;
	size_t cut, before;

	(void)state;
	buf_init(&in, ROOM);
	put_begin(&in);
	put(&in, FCGI_PARAMS, 1, "", 0, 0);
	put(&in, FCGI_STDIN, 1, "", 0, 0);
	before = in.len;
	put(&in, FCGI_BEGIN_REQUEST, 2, "\0\1\1\0\0\0\0\0", 8, 0);
	for (cut = before + 1; cut < in.len; cut++) {
		struct trial t = {.answers = false};

		record_walk_init(&t.walk);
		record_request_init(&t.request, &limits);
		buf_init(&t.replies, 1 << 20);
		buf_init(&t.said, SAID_MAX);
		feed(&t, in.p, cut);
		record_next(&t.walk);
		rest = (struct record_bytes){in.p + cut, in.len - cut};
		assert_int_equal(record_walk(&t.walk, &t.request, &limits, &rest, &t.replies),
				 RECORD_MORE);
		/* Either it is the next request, or it is told that it is not. */
		assert_true(t.walk.phase == RECORD_PARAMS ? t.replies.len == 0 && t.walk.id == 2
							  : t.replies.len == 16);
		record_request_fini(&t.request);
		buf_fini(&t.replies);
		buf_fini(&t.said);
	}
	buf_fini(&in);
}

static void
replies_are_bounded(void **state)
{
	struct record_request rq;
	struct record_walk w;
	struct buf in, replies;
	enum record_verdict verdict;
	struct record_bytes bytes;
	int i;

	(void)state;
	buf_init(&in, ROOM);
	for (i = 0; i < 100; i++)
		put(&in, 42, 0, "", 0, 0);
	buf_init(&replies, 160);
	bytes = (struct record_bytes){in.p, in.len};
	record_walk_init(&w);
	record_request_init(&rq, &limits);
	verdict = record_walk(&w, &rq, &limits, &bytes, &replies);
	assert_int_equal(verdict, RECORD_FAULT);
	assert_int_equal(replies.len, 160);
	assert_int_equal(bytes.p - in.p, 11 * 8);
	record_request_fini(&rq);
	buf_fini(&replies);
	buf_fini(&in);
}

static void
encoding(void **state)
{
	struct record_trailer trailer;
	FCGI_Header head;

	(void)state;
	assert_int_equal(record_padding(0), 0);
	assert_int_equal(record_padding(1), 7);
	assert_int_equal(record_padding(8), 0);
	assert_int_equal(record_padding(RECORD_CONTENT_MAX), 0);
	record_head(&head, FCGI_STDOUT, 0x1234, 0xabcd);
	assert_memory_equal(&head, "\1\6\x12\x34\xab\xcd\3\0", 8);
	record_trailer(&trailer, 0x0102);
	assert_int_equal(sizeof(trailer), 24);
	assert_memory_equal(&trailer,
			    "\1\6\1\2\0\0\0\0"
			    "\1\3\1\2\0\x08\0\0"
			    "\0\0\0\0\0\0\0\0",
			    24);
}

static int
guard_room(void **state)
{
	(void)state;
	guarded =
	    mmap(NULL, ROOM + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (guarded == MAP_FAILED)
		return -1;
	return mprotect(guarded + ROOM, PAGE, PROT_NONE);
}

static int
free_room(void **state)
{
	(void)state;
	return munmap(guarded, ROOM + PAGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table),
	    cmocka_unit_test(values_named_3000_times),
	    cmocka_unit_test(a_pair_over_200_records),
	    cmocka_unit_test(too_many_variables),
	    cmocka_unit_test(the_limit_of_params_is_exact),
	    cmocka_unit_test(stdin_without_end),
	    cmocka_unit_test(a_response_ends_in_the_middle_of_a_record),
	    cmocka_unit_test(replies_are_bounded),
	    cmocka_unit_test(encoding),
	};

	return cmocka_run_group_tests(tests, guard_room, free_room);
}
