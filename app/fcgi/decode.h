#ifndef SLUICE_FCGI_DECODE_H
#define SLUICE_FCGI_DECODE_H

/*
 * decode - a request that has come as a whole and was checked, made into params by libfcgi.
 *
 * libfcgi reads a descriptor and waits for what does not come; it aborts or mixes up
 * requests on bytes that nobody checked. So it is never given a peer's
 * descriptor: the request is written anew, in the one form that cannot surprise, into
 * memory that libfcgi reads as a file.
 */
#include <stddef.h>

#include "fcgi/params.h"
#include "fcgi/record.h"

struct decoder;

/*
 * decode_open - for requests within the limits. Begins libfcgi, but leaves the process's signal
 * handlers as they are. Returns 0 or a negative errno.
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
