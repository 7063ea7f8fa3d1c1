/*
 * Any bytes as a FastCGI connection. However they are cut, the same is decided; what is taken for
 * a request has whole variables, each once, and libfcgi reads the very same out of it; and no
 * more is held than the limits allow.
 *
 * The first byte says how the rest is cut, and whether requests are answered at once.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/decode.h"
#include "fcgi/pairs.h"
#include "fcgi/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			abort(); \
		} \
	} while (0)

/* Small, so that a few hundred bytes reach them. */
static const struct record_limits limits = {.params_max = 300, .body_max = 100, .max_conns = 10};

static bool
is_named_before(const struct buf *params, const struct pair *pr)
{
	const char *at = params->p, *end = at + params->len;
	struct pair before;

	while (pairs_next(&before, &at, end) > 0 && before.name != pr->name) {
		if (before.name_len == pr->name_len &&
		    memcmp(before.name, pr->name, pr->name_len) == 0)
			return true;
	}
	return false;
}

static void
check_variable(const char *var, const struct pair *pr)
{
	MUST(var != NULL && strlen(var) == pr->name_len + 1 + pr->value_len);
	MUST(memcmp(var, pr->name, pr->name_len) == 0 && var[pr->name_len] == '=');
	MUST(memcmp(var + pr->name_len + 1, pr->value, pr->value_len) == 0);
	MUST(memchr(pr->name, '=', pr->name_len) == NULL && pr->name_len > 0);
}

/* libfcgi puts FCGI_ROLE first. */
static void
check_request(const struct record_request *rq)
{
	static struct decoder *decoder;
	const char *at = rq->params.p, *end = rq->params.len > 0 ? at + rq->params.len : at, *body;
	struct params params;
	struct pair pr;
	size_t body_len;
	char **var;
	int rc;

	if (decoder == NULL)
		MUST(decode_open(&decoder, &limits) == 0);
	MUST(decode_request(decoder, rq, &params, &body, &body_len) == 0);
	MUST(body_len == rq->body.len && memcmp(body, rq->body.p ? rq->body.p : "", body_len) == 0);
	var = params.envp;
	MUST(strcmp(*var++, "FCGI_ROLE=RESPONDER") == 0);
	while ((rc = pairs_next(&pr, &at, end)) > 0) {
		check_variable(*var++, &pr);
		MUST(!is_named_before(&rq->params, &pr));
	}
	MUST(rc == 0 && *var == NULL);
	decode_done(decoder);
}

/* All that was decided, as bytes. */
static void
note(struct buf *said, enum record_verdict verdict, const struct record_walk *w,
     const struct record_request *rq)
{
	if (verdict == RECORD_MORE)
		return;
	MUST(buf_printf(said, "%d %d %d %d %d;", verdict, w->phase, w->id, w->keep,
			verdict == RECORD_REFUSE ? w->status : 0) == 0);
	if (verdict != RECORD_REQUEST)
		return;
	check_request(rq);
	MUST(buf_put(said, rq->params.p, rq->params.len) == 0);
	MUST(buf_put(said, rq->body.p, rq->body.len) == 0);
}

static void
run(struct buf *said, const char *p, size_t len, size_t each, bool answers)
{
	struct record_request rq;
	struct record_walk w;
	struct buf replies;
	enum record_verdict verdict;
	struct record_bytes in;
	size_t n;

	record_walk_init(&w);
	record_request_init(&rq, &limits);
	buf_init(&replies, 4096);
	buf_init(said, 1 << 24);
	while (len > 0 && w.phase != RECORD_BROKEN) {
		n = len < each ? len : each;
		in = (struct record_bytes){p, n};
		verdict = record_walk(&w, &rq, &limits, &in, &replies);
		MUST(in.len < n && in.p == p + n - in.len);
		MUST(rq.params.len <= limits.params_max && rq.body.len <= limits.body_max);
		MUST(rq.content.len <= FCGI_MAX_LENGTH && rq.body.len <= w.body_len);
		note(said, verdict, &w, &rq);
		/* As the connection does with what it has handed on or refused. */
		if (verdict == RECORD_REQUEST || verdict == RECORD_REFUSE)
			record_request_clear(&rq);
		if (answers && w.phase == RECORD_WHOLE)
			record_next(&w);
		len -= n - in.len;
		p = in.p;
	}
	MUST(buf_put(said, replies.p, replies.len) == 0);
	record_request_fini(&rq);
	buf_fini(&replies);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole, cut;
	bool answers;
	size_t each;

	if (size < 2)
		return 0;
	answers = (data[0] & 1) != 0;
	each = 1 + (data[0] >> 1);
	run(&whole, (const char *)data + 1, size - 1, size, answers);
	run(&cut, (const char *)data + 1, size - 1, each, answers);
	MUST(whole.len == cut.len &&
	     memcmp(whole.p ? whole.p : "", cut.p ? cut.p : "", whole.len) == 0);
	buf_fini(&whole);
	buf_fini(&cut);
	return 0;
}
