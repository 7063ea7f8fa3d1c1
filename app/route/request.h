#ifndef SLUICE_ROUTE_REQUEST_H
#define SLUICE_ROUTE_REQUEST_H

/*
 * request - what a client asked for: the CGI variables, read in one way whatever the web server.
 */
#include <sluice/handler.h>

#include "auth/identity.h"
#include "fcgi/params.h"
#include "route/path.h"
#include "route/query.h"
#include "route/route.h"
#include "sse/wire.h"

/*
 * This variable is set if the request is part of a mux connection; its value is that connection's
 * "ROUTE?QUERY".
 */
#define REQUEST_CARRIED "SLUICE_MUX"

enum { REQUEST_PATH_MAX = 8192, REQUEST_ID_MAX = 1023 };

enum method { METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_POST, METHOD_OTHER };

struct request {
	const struct params *vars;
	enum method method;
	const char *last_event_id; /* NULL: none. Any bytes; of a long one only the end. */
	char id[REQUEST_ID_MAX + 1];
	struct segments path;             /* below the base */
	char text[REQUEST_PATH_MAX + 1];  /* the path decoded, for request_path() */
	char bytes[REQUEST_PATH_MAX + 1]; /* its segments */
	struct query query;
	const char *carrier; /* REQUEST_CARRIED, if it is part of a mux connection; or NULL */
	/*
	 * The format in which the client wants a stream: that of "?mode=", or else the first type
	 * in Accept that we know.
	 */
	const struct wire *wire;
	/*
	 * A feed is being opened. Only parameters that are in its key may be read, because others
	 * would be those of one client only.
	 */
	bool is_opening;
	/* once matched: */
	struct route *route;
	const struct identity *identity;       /* who asks; maybe nobody */
	const char *values[PATH_SEGMENTS_MAX]; /* of the path's parameters */
};

/*
 * request_read - vars are borrowed. base is the prefix of all paths ("" or "/x"). Returns 0, or the
 * HTTP status and in *why what is wrong (a constant).
 */
int
request_read(struct request *req, const struct params *vars, const char *base, const char **why);

/*
 * request_read_query - called once the route is known. Parameters that the route names, and token,
 * which may hold a token (NULL: none does), may not be repeated. Returns 0, or as query_parse().
 */
int request_read_query(struct request *req, const char *token);

/*
 * request_carrier - for a part of a mux connection: that connection's query, and the name of its
 * route with its length; NULL for any other request.
 */
const char *request_carrier(const struct request *req, const char **route, size_t *len);

bool request_is_get(const struct request *req); /* GET or HEAD */

/*
 * request_match - does the route's path match? If it does, the path's parameters are known from now
 * on.
 */
bool request_match(struct request *req, struct route *rt);

/*
 * request_read_params - for Lua: all parameters that the route names and the request has, and the
 * user. values ends with a NULL name, at values[max] at the latest.
 */
void request_read_params(const struct request *req, struct template_value *values, size_t max);

/* request_content_type - the client's Content-Type; NULL: it sent none. */
const char *request_content_type(const struct request *req);

/*
 * request_raw_param - as request_param(), even if the value breaks its rule. The user stands among
 * the parameters, under the names of identity_value().
 */
const char *request_raw_param(const struct request *req, const char *name);

#endif
