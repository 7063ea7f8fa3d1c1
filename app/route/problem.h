#ifndef SLUICE_ROUTE_PROBLEM_H
#define SLUICE_ROUTE_PROBLEM_H

/*
 * problem - an error as a problem document. Pure.
 * Source: RFC 9457; header fields by status: RFC 9110.
 */
#include "base/buf.h"

/* problem_title - the status's reason phrase (RFC 9110, 15); never NULL. */
const char *problem_title(int status);

/* problem_put_head - append the status line and the header fields that this status asks for,
 * without the blank line. retry_after_s: when it is worth asking again; 0: as the status has it.
 * Returns 0, -ENOMEM, -EMSGSIZE. */
int problem_put_head(struct buf *b, int status, unsigned retry_after_s);

/* problem_put_body - append the document; detail says which rule was broken. Errors as above. */
int problem_put_body(struct buf *b, int status, const char *detail);

#endif
