#ifndef SLUICE_HTTP_ANSWER_H
#define SLUICE_HTTP_ANSWER_H

/*
 * answer - an answer in the making, as a CGI response (RFC 3875, 6): status, header fields, and a
 * body; and every problem document (RFC 9457) of the program. Pure.
 *
 * What does not fit is remembered, and answer_end() tells: nothing has to be checked before.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <sluice/http.h>

#include "base/buf.h"

enum { ANSWER_HEAD_MAX = 16 * 1024, ANSWER_BODY_MAX = 1024 * 1024 };

struct answer {
	struct buf head, body;
	bool has_type;  /* it has a body, maybe an empty one */
	bool is_broken; /* something did not fit, or memory was short */
};

void answer_init(struct answer *a);
void answer_fini(struct answer *a);

/* answer_begin - forget what there was. type is the body's media type; NULL: it has none. */
void answer_begin(struct answer *a, int status, const char *type);

/* answer_begin_stream - a response that goes on: no proxy may keep, change or hold it back. */
void answer_begin_stream(struct answer *a, const char *type);

/* answer_field - one header field. value is a format, and comes to no line end. */
void answer_field(struct answer *a, const char *name, const char *value, ...)
    __attribute__((format(printf, 3, 4)));
void answer_fields(struct answer *a, const char *lines, size_t len); /* whole lines */

void answer_put(struct answer *a, const char *p, size_t len); /* to the body */
void answer_printf(struct answer *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void
answer_vprintf(struct answer *a, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* answer_check - what somebody else appended to head or body came to rc. */
void answer_check(struct answer *a, int rc);

/*
 * answer_problem - begin a problem document. detail says which rule was broken; NULL: nothing.
 * retry_after_s: when it is worth asking again; 0: as the status has it.
 */
void answer_problem(struct answer *a, int status, const char *detail, unsigned retry_after_s);

/* answer_end - the head is whole, and the body, if it has one. Returns 0, -ENOMEM. */
int answer_end(struct answer *a);

#endif
