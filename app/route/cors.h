#ifndef SLUICE_ROUTE_CORS_H
#define SLUICE_ROUTE_CORS_H

/*
 * cors - which pages of other origins may read a route. Pure.
 * Source: WHATWG Fetch, 3.2 "CORS protocol".
 */
#include "base/buf.h"
#include "route/request.h"

/*
 * cors_put_headers - appends the header fields that belong to every answer of the route: who may
 * read it, and that this depends on the Origin. An origin that is not allowed gets no such field,
 * so its browser does not show the answer to the page. Returns 0, -ENOMEM, -EMSGSIZE.
 */
int cors_put_headers(struct buf *b, const struct request *req);

/* cors_lists - is the origin one of the route's cors_origins? */
bool cors_lists(const struct request *req, const char *origin);

/*
 * cors_put_preflight - appends what the answer to OPTIONS says: Allow, and for an allowed origin
 * what it may send. Errors as above.
 */
int cors_put_preflight(struct buf *b, const struct request *req);

#endif
