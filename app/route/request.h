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

/* The variable of a request that is part of a mux connection: "ROUTE?QUERY", of that connection. */
#define REQUEST_CARRIED "SLUICE_MUX"

enum { REQUEST_PATH_MAX = 8192, REQUEST_ID_MAX = 1023 };

enum method { METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_POST, METHOD_OTHER };

struct request {
	const struct params *vars;
	enum method method;
	const char *last_event_id; /* NULL: none. Any bytes; of a long one the end. */
	char id[REQUEST_ID_MAX + 1];
	struct segments path;             /* below the base */
	char text[REQUEST_PATH_MAX + 1];  /* the path decoded, for request_path() */
	char bytes[REQUEST_PATH_MAX + 1]; /* its segments */
	struct query query;
	const char *carrier; /* of one that is part of a mux connection: REQUEST_CARRIED; or NULL */
	/* How the client wants a stream to be written: as "?mode=" says, else as the first type of
	   Accept that there is. */
	const struct wire *wire;
	/*
	 * A feed is being opened: only the parameters that its key holds may be asked for, or those
	 * of one client would be another's.
	 */
	bool is_opening;
	/* once matched: */
	struct route *route;
	const struct identity *identity;       /* who asks; maybe nobody */
	const char *values[PATH_SEGMENTS_MAX]; /* of the path's parameters */
};

/*
 * request_read - vars are borrowed. base is what stands before each path ("" or "/x"). Returns 0,
 * or the HTTP status and in *why what is wrong (a constant).
 */
int
request_read(struct request *req, const struct params *vars, const char *base, const char **why);

/*
 * request_read_query - once the route is known: the parameters that it names, and token, where a
 * token may be (NULL: nowhere), may stand once each. Returns 0, or as query_parse().
 */
int request_read_query(struct request *req, const char *token);

/* request_carrier - of a request that is part of a mux connection: that one's query, and the name
 * of its route with its length; NULL of any other. */
const char *request_carrier(const struct request *req, const char **route, size_t *len);

bool request_is_get(const struct request *req); /* GET or HEAD */

/* request_match - is it for this route? Then its parameters are known from now on. */
bool request_match(struct request *req, struct route *rt);

/*
 * request_read_params - for Lua: all parameters that the route names and the request has, and who
 * asks. values ends with a NULL name, at values[max] at the latest.
 */
void request_read_params(const struct request *req, struct template_value *values, size_t max);

/* request_content_type - as the client said; NULL: it did not. */
const char *request_content_type(const struct request *req);

/* request_raw_param - as request_param(), whether or not the value keeps its rule. Who asks is
 * among the parameters, under identity_value()'s names. */
const char *request_raw_param(const struct request *req, const char *name);

#endif
