#ifndef SLUICE_ROUTE_ORIGIN_H
#define SLUICE_ROUTE_ORIGIN_H

/*
 * origin - where a request comes from: the page of which site, and which address. Pure.
 */
#include <stdbool.h>
#include <stddef.h>

#include "route/request.h"

/*
 * origin_is_ours - was the request made by a page of the site itself, or of one of the route's
 * cors_origins? A browser sends cookies for every page. If nothing is known about the page: no.
 * Source: RFC 6454, 7; Fetch Metadata, 2.2 "Sec-Fetch-Site".
 */
bool origin_is_ours(const struct request *req);

/*
 * origin_may_read - would a browser let the page that asks read the route's answer? This is for an
 * answer inside another route's answer, which the browser does not know. by_cookie: browsers send
 * the credential by themselves.
 * Source: Fetch, 3.2.
 */
bool origin_may_read(const struct request *req, bool by_cookie);

enum { ORIGIN_ADDRESS_MAX = 64 };

/*
 * origin_address - the client's address. It is the web server's peer; or, if that is one of the
 * proxies (addresses or networks, ends with NULL; may be NULL), the last one in X-Forwarded-For
 * that is none of them.
 */
void
origin_address(char address[ORIGIN_ADDRESS_MAX], const struct request *req, char *const *proxies);

/* origin_check_network - is the text an address, or a network "ADDRESS/BITS"? */
bool origin_check_network(const char *text);

#endif
