#ifndef SLUICE_FCGI_DECODE_H
#define SLUICE_FCGI_DECODE_H

/*
 * decode - has libfcgi decode a request that has arrived as a whole and was checked.
 *
 * libfcgi reads a descriptor and waits for what does not come; bytes that nobody checked make it
 * abort, or mix up requests. So it never gets a peer's descriptor: the request is written anew, in
 * one form that is always right, into memory that libfcgi reads as a file.
 */
#include <stddef.h>

#include "fcgi/params.h"
#include "fcgi/record.h"

struct decoder;

/*
 * decode_open - for requests within the limits. Initialises libfcgi, and restores the process's
 * signal handlers. Returns 0 or a negative errno.
 */
int decode_open(struct decoder **out, const struct record_limits *limits);

/*
 * decode_request - decode rq, which record_walk() has found whole. *params and *body are valid
 * until decode_done(), which must be called before the next. Returns 0, or -EIO if
 * libfcgi did not read what was written.
 */
int decode_request(struct decoder *d, const struct record_request *rq, struct params *params,
		   const char **body, size_t *body_len);
void decode_done(struct decoder *d);

void decode_close(struct decoder *d); /* takes NULL */

#endif
