#include "fcgi/record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sluice/http.h>

#include "fcgi/pairs.h"

enum { CONTENT_MAX = FCGI_MAX_LENGTH };

void
record_request_init(struct record_request *rq, const struct record_limits *limits)
{
	buf_init(&rq->params, limits->params_max);
	buf_init(&rq->body, limits->body_max);
	buf_init(&rq->content, CONTENT_MAX);
}

void
record_request_fini(struct record_request *rq)
{
	buf_fini(&rq->params);
	buf_fini(&rq->body);
	buf_fini(&rq->content);
}

void
record_request_clear(struct record_request *rq)
{
	buf_truncate(&rq->params, 0);
	buf_truncate(&rq->body, 0);
	buf_truncate(&rq->content, 0);
}

bool
record_request_is_empty(const struct record_request *rq)
{
	return rq->params.len == 0 && rq->body.len == 0 && rq->content.len == 0;
}

void
record_walk_init(struct record_walk *w)
{
	memset(w, 0, sizeof(*w));
}

void
record_next(struct record_walk *w)
{
	w->phase = RECORD_IDLE;
	w->keep = false;
	w->excess = 0;
	w->body_len = 0;
}

unsigned char
record_padding(size_t content_len)
{
	return (unsigned char)(-content_len & 7);
}

void
record_head(FCGI_Header *out, unsigned char type, uint16_t id, size_t content_len)
{
	out->version = FCGI_VERSION_1;
	out->type = type;
	out->requestIdB1 = (unsigned char)(id >> 8);
	out->requestIdB0 = (unsigned char)id;
	out->contentLengthB1 = (unsigned char)(content_len >> 8);
	out->contentLengthB0 = (unsigned char)content_len;
	out->paddingLength = record_padding(content_len);
	out->reserved = 0;
}

static void
end_request(FCGI_EndRequestRecord *out, uint16_t id, unsigned char protocol_status)
{
	memset(out, 0, sizeof(*out));
	record_head(&out->header, FCGI_END_REQUEST, id, sizeof(out->body));
	out->body.protocolStatus = protocol_status;
}

void
record_trailer(struct record_trailer *out, uint16_t id)
{
	record_head(&out->stdout_end, FCGI_STDOUT, id, 0);
	end_request(&out->end, id, FCGI_REQUEST_COMPLETE);
}

static uint16_t
id_of(const FCGI_Header *h)
{
	return (uint16_t)(h->requestIdB1 << 8 | h->requestIdB0);
}

static uint16_t
content_length_of(const FCGI_Header *h)
{
	return (uint16_t)(h->contentLengthB1 << 8 | h->contentLengthB0);
}

static enum record_verdict
broken(struct record_walk *w, enum record_verdict verdict)
{
	w->phase = RECORD_BROKEN;
	return verdict;
}

/* -EMSGSIZE: the peer asks again and again, and does not read the answers. */
static enum record_verdict
verdict_of(struct record_walk *w, int rc)
{
	if (rc == 0)
		return RECORD_MORE;
	return broken(w, rc == -ENOMEM ? RECORD_NO_MEMORY : RECORD_FAULT);
}

static enum record_verdict
refuse(struct record_walk *w, int status, enum record_phase phase)
{
	w->status = (uint16_t)status;
	w->phase = (unsigned char)phase;
	return RECORD_REFUSE;
}

static int
put_end_request(struct buf *replies, uint16_t id, unsigned char protocol_status)
{
	FCGI_EndRequestRecord end;

	end_request(&end, id, protocol_status);
	return buf_put(replies, &end, sizeof(end));
}

static int
put_unknown_type(struct buf *replies, unsigned char type)
{
	FCGI_UnknownTypeRecord unknown;

	memset(&unknown, 0, sizeof(unknown));
	record_head(&unknown.header, FCGI_UNKNOWN_TYPE, FCGI_NULL_REQUEST_ID, sizeof(unknown.body));
	unknown.body.type = type;
	return buf_put(replies, &unknown, sizeof(unknown));
}

/* The variables that we know, in the order of their values below. */
enum { VALUE_MAX_CONNS, VALUE_MAX_REQS, VALUE_MPXS_CONNS, VALUE_STATE, N_VALUES };

static const char *const value_names[] = {
    [VALUE_MAX_CONNS] = FCGI_MAX_CONNS,
    [VALUE_MAX_REQS] = FCGI_MAX_REQS,
    [VALUE_MPXS_CONNS] = FCGI_MPXS_CONNS,
    [VALUE_STATE] = RECORD_STATE,
};

static int
put_asked(struct buf *out, const bool *is_asked, const struct record_limits *limits)
{
	char max[16];
	const char *const values[] = {
	    [VALUE_MAX_CONNS] = max,
	    [VALUE_MAX_REQS] = max,
	    [VALUE_MPXS_CONNS] = "0",
	    [VALUE_STATE] = limits->is_leaving ? RECORD_LEAVES : RECORD_SERVES,
	};
	int i, rc = 0;

	snprintf(max, sizeof(max), "%u", limits->max_conns);
	for (i = 0; i < N_VALUES && rc == 0; i++) {
		if (is_asked[i])
			rc = pairs_put(out, value_names[i], strlen(value_names[i]), values[i],
				       strlen(values[i]));
	}
	return rc;
}

/*
 * Answers FCGI_GET_VALUES (4.1): each variable that we know once, however often it was asked for.
 */
static int
put_values(struct buf *replies, const struct buf *asked, const struct record_limits *limits)
{
	bool is_asked[N_VALUES] = {false};
	const char *at = asked->p, *end = asked->len > 0 ? asked->p + asked->len : at;
	char zero[8] = {0};
	FCGI_Header head;
	struct buf out;
	struct pair pr;
	int i, rc;

	while ((rc = pairs_next(&pr, &at, end)) > 0) {
		for (i = 0; i < N_VALUES; i++)
			is_asked[i] |= pr.name_len == strlen(value_names[i]) &&
				       memcmp(pr.name, value_names[i], pr.name_len) == 0;
	}
	if (rc < 0)
		return rc;
	buf_init(&out, 256);
	rc = put_asked(&out, is_asked, limits);
	record_head(&head, FCGI_GET_VALUES_RESULT, FCGI_NULL_REQUEST_ID, out.len);
	if (rc == 0 && (rc = buf_put(replies, &head, sizeof(head))) == 0 &&
	    (rc = buf_put(replies, out.p, out.len)) == 0)
		rc = buf_put(replies, zero, head.paddingLength);
	buf_fini(&out);
	return rc;
}

static bool
is_ours(const struct record_walk *w)
{
	return w->phase != RECORD_IDLE && id_of(&w->head) == w->id;
}

/* May a record of this type and id come now? */
static bool
is_expected(const struct record_walk *w)
{
	switch (w->head.type) {
	case FCGI_BEGIN_REQUEST:
		return !is_ours(w) && content_length_of(&w->head) == sizeof(FCGI_BeginRequestBody);
	case FCGI_ABORT_REQUEST: /* it may have been sent before our END_REQUEST arrived */
		return true;
	case FCGI_PARAMS:
		return w->phase != RECORD_IDLE && (!is_ours(w) || w->phase == RECORD_PARAMS);
	case FCGI_STDIN:
		return w->phase != RECORD_IDLE && (!is_ours(w) || w->phase >= RECORD_STDIN);
	default:
		return false;
	}
}

/* STDIN beyond CONTENT_LENGTH, or after its end, is never stored. A small excess is ignored. */
static enum record_verdict
count_excess(struct record_walk *w, const struct record_request *rq, size_t max)
{
	size_t len = content_length_of(&w->head);
	size_t room = w->phase == RECORD_STDIN ? w->body_len - rq->body.len : 0;

	if (len > room)
		w->excess += (uint32_t)(len - room);
	return w->excess > max ? broken(w, RECORD_FAULT) : RECORD_MORE;
}

/* The header is complete: decides what can be decided before the content has come. */
static enum record_verdict
begin_record(struct record_walk *w, const struct record_request *rq,
	     const struct record_limits *limits)
{
	unsigned char type = w->head.type;

	w->content_left = content_length_of(&w->head);
	w->padding_left = w->head.paddingLength;
	if (w->head.version != FCGI_VERSION_1)
		return broken(w, RECORD_FAULT);
	if (id_of(&w->head) == FCGI_NULL_REQUEST_ID) {
		if (type == FCGI_GET_VALUES || type == 0 || type > FCGI_MAXTYPE)
			return RECORD_MORE;
		return broken(w, RECORD_FAULT);
	}
	if (!is_expected(w))
		return broken(w, RECORD_FAULT);
	if (type == FCGI_PARAMS && is_ours(w) &&
	    rq->params.len + w->content_left > limits->params_max)
		return refuse(w, HTTP_HEAD_TOO_LARGE, RECORD_BROKEN);
	if (type == FCGI_STDIN && is_ours(w))
		return count_excess(w, rq, limits->body_max);
	return RECORD_MORE;
}

static int
put_body(const struct record_walk *w, struct record_request *rq, const char *p, size_t len)
{
	size_t room = w->body_len - rq->body.len;

	if (w->phase != RECORD_STDIN)
		return 0;
	return buf_put(&rq->body, p, len < room ? len : room);
}

static int
take_content(const struct record_walk *w, struct record_request *rq, const char *p, size_t len)
{
	switch (w->head.type) {
	case FCGI_BEGIN_REQUEST:
		return w->phase == RECORD_IDLE ? buf_put(&rq->content, p, len) : 0;
	case FCGI_GET_VALUES:
		return buf_put(&rq->content, p, len);
	case FCGI_PARAMS:
		return is_ours(w) ? buf_put(&rq->params, p, len) : 0;
	case FCGI_STDIN:
		return is_ours(w) ? put_body(w, rq, p, len) : 0;
	default:
		return 0;
	}
}

static enum record_verdict
end_begin(struct record_walk *w, struct record_request *rq, struct buf *replies)
{
	FCGI_BeginRequestBody body;
	bool is_whole;

	/* It is not whole if the response before it ended while this record came in. */
	is_whole = w->phase == RECORD_IDLE && rq->content.len == sizeof(body);
	if (is_whole)
		memcpy(&body, rq->content.p, sizeof(body));
	buf_truncate(&rq->content, 0);
	if (!is_whole)
		return verdict_of(w, put_end_request(replies, id_of(&w->head), FCGI_CANT_MPX_CONN));
	w->id = id_of(&w->head);
	w->keep = (body.flags & FCGI_KEEP_CONN) != 0;
	if (body.roleB1 != 0 || body.roleB0 != FCGI_RESPONDER) {
		put_end_request(replies, w->id, FCGI_UNKNOWN_ROLE);
		return broken(w, RECORD_END);
	}
	w->phase = RECORD_PARAMS;
	return RECORD_MORE;
}

static enum record_verdict
end_params(struct record_walk *w, struct record_request *rq, const struct record_limits *limits)
{
	int rc;

	if (!is_ours(w) || content_length_of(&w->head) > 0)
		return RECORD_MORE;
	rc = pairs_check(rq->params.p, rq->params.len, limits->body_max, &w->body_len);
	if (rc < 0)
		return broken(w, RECORD_FAULT);
	if (rc > 0)
		return refuse(w, rc, RECORD_BROKEN);
	w->phase = RECORD_STDIN;
	return RECORD_MORE;
}

static enum record_verdict
end_stdin(struct record_walk *w, const struct record_request *rq)
{
	if (!is_ours(w) || content_length_of(&w->head) > 0 || w->phase != RECORD_STDIN)
		return RECORD_MORE;
	if (rq->body.len < w->body_len)
		return refuse(w, HTTP_BAD_REQUEST, RECORD_WHOLE);
	w->phase = RECORD_WHOLE;
	return RECORD_REQUEST;
}

static enum record_verdict
end_abort(struct record_walk *w, struct buf *replies)
{
	if (!is_ours(w))
		return RECORD_MORE;
	if (w->phase == RECORD_WHOLE)
		return broken(w, RECORD_ABORT);
	put_end_request(replies, w->id, FCGI_REQUEST_COMPLETE);
	return broken(w, RECORD_END);
}

/* The record has come as a whole, with its padding. */
static enum record_verdict
end_record(struct record_walk *w, struct record_request *rq, const struct record_limits *limits,
	   struct buf *replies)
{
	int rc;

	switch (w->head.type) {
	case FCGI_BEGIN_REQUEST:
		return end_begin(w, rq, replies);
	case FCGI_ABORT_REQUEST:
		return end_abort(w, replies);
	case FCGI_PARAMS:
		return end_params(w, rq, limits);
	case FCGI_STDIN:
		return end_stdin(w, rq);
	case FCGI_GET_VALUES:
		rc = put_values(replies, &rq->content, limits);
		buf_truncate(&rq->content, 0);
		return verdict_of(w, rc);
	default:
		return verdict_of(w, put_unknown_type(replies, w->head.type));
	}
}

/* The first bytes, at most max of them. */
static struct record_bytes
take_off(struct record_bytes *in, size_t max)
{
	struct record_bytes taken = {in->p, in->len < max ? in->len : max};

	in->p += taken.len;
	in->len -= taken.len;
	return taken;
}

/* Takes the bytes that belong to the current record, or to its header. */
static enum record_verdict
take(struct record_walk *w, struct record_request *rq, const struct record_limits *limits,
     struct record_bytes *in)
{
	struct record_bytes taken;

	if (w->head_len < FCGI_HEADER_LEN) {
		taken = take_off(in, (size_t)FCGI_HEADER_LEN - w->head_len);
		memcpy((char *)&w->head + w->head_len, taken.p, taken.len);
		w->head_len = (unsigned char)(w->head_len + taken.len);
		return w->head_len == FCGI_HEADER_LEN ? begin_record(w, rq, limits) : RECORD_MORE;
	}
	if (w->content_left > 0) {
		taken = take_off(in, w->content_left);
		w->content_left = (uint16_t)(w->content_left - taken.len);
		return verdict_of(w, take_content(w, rq, taken.p, taken.len));
	}
	taken = take_off(in, w->padding_left);
	w->padding_left = (unsigned char)(w->padding_left - taken.len);
	return RECORD_MORE;
}

enum record_verdict
record_walk(struct record_walk *w, struct record_request *rq, const struct record_limits *limits,
	    struct record_bytes *in, struct buf *replies)
{
	enum record_verdict verdict = RECORD_MORE;

	while (verdict == RECORD_MORE && in->len > 0) {
		verdict = take(w, rq, limits, in);
		if (verdict == RECORD_MORE && w->head_len == FCGI_HEADER_LEN &&
		    w->content_left == 0 && w->padding_left == 0) {
			w->head_len = 0;
			verdict = end_record(w, rq, limits, replies);
		}
	}
	return verdict;
}
