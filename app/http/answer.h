#ifndef SLUICE_HTTP_ANSWER_H
#define SLUICE_HTTP_ANSWER_H

/*
 * answer - an answer while it is made, as a CGI response (RFC 3875, 6): status, header fields and
 * body. Every problem document (RFC 9457) of the program is made here. Pure.
 *
 * If something does not fit, that is remembered and answer_end() reports it, so the other calls
 * need no check.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <sluice/http.h>

#include "base/buf.h"

enum { ANSWER_HEAD_MAX = 16 * 1024, ANSWER_BODY_MAX = 64 * 1024 * 1024 };

struct answer {
	struct buf head, body;
	bool has_type;  /* it has a body, which may be empty */
	bool is_broken; /* something did not fit, or memory was short */
};

void answer_init(struct answer *a);
void answer_fini(struct answer *a);

/* answer_begin - begins anew. type is the body's media type; NULL: there is no body. */
void answer_begin(struct answer *a, int status, const char *type);

/*
 * answer_begin_stream - begins a response that does not end: no proxy may store, change or delay
 * it.
 */
void answer_begin_stream(struct answer *a, const char *type);

/* One header field, whose value must hold no line end. */
void answer_field(struct answer *a, const char *name, const char *value);
void answer_field_printf(struct answer *a, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void answer_fields(struct answer *a, const char *lines, size_t len); /* whole lines */

void answer_put(struct answer *a, const char *p, size_t len); /* to the body */
void answer_printf(struct answer *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void
answer_vprintf(struct answer *a, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* answer_check - tells the answer what another function that appended to head or body returned. */
void answer_check(struct answer *a, int rc);

/*
 * answer_problem - begins a problem document. detail says which rule was broken; NULL: nothing.
 * retry_after_s: when asking again makes sense; 0: what is usual for the status.
 */
void answer_problem(struct answer *a, int status, const char *detail, unsigned retry_after_s);

/* answer_end - ends the head, and the body if there is one. Returns 0, -ENOMEM. */
int answer_end(struct answer *a);

#endif
