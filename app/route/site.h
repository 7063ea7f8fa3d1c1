#ifndef SLUICE_ROUTE_SITE_H
#define SLUICE_ROUTE_SITE_H

/*
 * site - all routes of a worker: gives each request to the route that serves it, or answers what is
 * wrong with it.
 */
#include <stddef.h>

#include "fcgi/params.h"
#include "hub/hub.h"
#include "route/route.h"

struct site;

/*
 * site_new - hub is borrowed. site_set_auth() must be called before the first request. Returns 0,
 * -ENOMEM.
 */
int site_new(struct site **out, struct hub *hub, uv_loop_t *loop);

/* site_begins_with_request - plain CGI: the process serves one request, from its beginning. */
void site_begins_with_request(struct site *site);

/*
 * site_set_routes - serves these routes from now on. base is the path prefix that is cut off first
 * ("" or "/x"), copied. Takes the routes over, also on failure. If a route exists already with the
 * same name and source, the old one goes on with its subscribers. The subscribers of a route that
 * exists no longer are ended with "reload". Returns 0, -ENOMEM (then the old routes go on).
 */
int site_set_routes(struct site *site, struct route **routes, size_t n, const char *base);

/*
 * site_set_auth - sets [auth] and the limit of all streams (0: none) from now on. Borrowed until
 * others are set. Streams keep what they were granted.
 */
struct auth_settings;
void site_set_auth(struct site *site, const struct auth_settings *auth, uint64_t max_subscribers,
		   char *const *trusted_proxies);

/* site_serve - a server_request_fn; ctx is the site. */
void site_serve(void *ctx, struct subscriber *sub, const struct params *params, const char *body,
		size_t body_len);

/* site_route - the n-th route, in the order in which they are tried; NULL past the last. */
const struct route *site_route(const struct site *site, size_t n);

/* site_close - ends all routes; on_closed is called when the last one is freed. */
void site_close(struct site *site, void (*on_closed)(void *arg), void *arg);

#endif
