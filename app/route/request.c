#include "route/request.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/percent.h"

static const char *
var(const struct request *req, const char *name)
{
	return params_get(req->vars, name);
}

static enum method
method_of(const char *text)
{
	if (strcmp(text, "GET") == 0)
		return METHOD_GET;
	if (strcmp(text, "HEAD") == 0)
		return METHOD_HEAD;
	if (strcmp(text, "POST") == 0)
		return METHOD_POST;
	return strcmp(text, "OPTIONS") == 0 ? METHOD_OPTIONS : METHOD_OTHER;
}

/* A proxy may send "http://host/path"; the path begins behind the host. */
static const char *
skip_authority(const char *uri)
{
	const char *host;

	if (uri[0] == '/' || (host = strstr(uri, "://")) == NULL)
		return uri;
	return host + 3 + strcspn(host + 3, "/?#");
}

/*
 * Decodes one segment. A "." or ".." that the web server has left must not become a parameter's
 * value.
 */
static int
add_segment(struct request *req, const char *p, size_t len, bool is_raw, char **to,
	    const char **why)
{
	int n;

	if (req->path.n == PATH_SEGMENTS_MAX)
		return HTTP_NOT_FOUND;
	if (is_raw) {
		n = query_decode(*to, p, len, '+');
	} else {
		memcpy(*to, p, len);
		(*to)[len] = '\0';
		/* The web server has decoded it, and it must not be decoded twice. */
		n = query_is_clean(p, len) ? (int)len : -1;
	}
	if (n < 0) {
		*why = "The path holds a malformed escape, a control character, or is not UTF-8.";
		return HTTP_BAD_REQUEST;
	}
	if (strcmp(*to, ".") == 0 || strcmp(*to, "..") == 0)
		return HTTP_NOT_FOUND;
	req->path.at[req->path.n++] = *to;
	*to += n + 1;
	return 0;
}

static int
split_path(struct request *req, const char *p, size_t len, bool is_raw, const char **why)
{
	const char *end = p + len, *slash;
	char *to = req->bytes, *text = req->text;
	size_t i;
	int status;

	*why = "There is nothing at this path.";
	if (len == 0 || p[0] != '/')
		return HTTP_NOT_FOUND;
	do {
		p++;
		if ((slash = memchr(p, '/', (size_t)(end - p))) == NULL)
			slash = end;
		if ((status = add_segment(req, p, (size_t)(slash - p), is_raw, &to, why)) != 0)
			return status;
		p = slash;
	} while (slash < end);
	for (i = 0; i < req->path.n; i++)
		text = stpcpy(stpcpy(text, "/"), req->path.at[i]);
	return 0;
}

/*
 * Reads the path as the client sent it, if the server tells, because SCRIPT_NAME and PATH_INFO
 * differ among servers.
 */
static int
read_path(struct request *req, const char *base, const char **why)
{
	const char *uri = var(req, "REQUEST_URI"), *script, *info;
	char joined[REQUEST_PATH_MAX + 1];
	size_t len, base_len = strlen(base);
	bool is_raw = uri != NULL;

	if (uri == NULL) {
		script = var(req, "SCRIPT_NAME");
		info = var(req, "PATH_INFO");
		len = (size_t)snprintf(joined, sizeof(joined), "%s%s", script != NULL ? script : "",
				       info != NULL ? info : "");
		uri = joined;
	} else {
		uri = skip_authority(uri);
		len = strcspn(uri, "?#");
	}
	if (len >= sizeof(joined)) {
		*why = "The path is longer than 8192 bytes.";
		return HTTP_URI_TOO_LONG;
	}
	if (base_len > 0 && (len < base_len || memcmp(uri, base, base_len) != 0)) {
		*why = "There is nothing at this path.";
		return HTTP_NOT_FOUND;
	}
	return split_path(req, uri + base_len, len - base_len, is_raw, why);
}

/* The last event ID */

static bool
is_last_id_name(const void *ctx, const char *name)
{
	static const char *const names[] = {"last_event_id", "lastEventId", "lastEventID",
					    "Last-Event-ID"};

	(void)ctx;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

/*
 * If an id is longer than any of ours, its beginning is cut off: its end may say that the stream is
 * over.
 */
static void
keep_last_id(struct request *req, const char *id, size_t len)
{
	size_t skip = len > REQUEST_ID_MAX ? len - REQUEST_ID_MAX : 0;

	memcpy(req->id, id + skip, len - skip);
	req->id[len - skip] = '\0';
	req->last_event_id = req->id;
}

/* Servers join two headers by a comma and a space. The last one that is not empty counts. */
static bool
find_in_header(const char *header, const char **id, size_t *len)
{
	*len = 0;
	while (header != NULL && *header != '\0') {
		const char *joint = strstr(header, ", ");
		const char *end = joint != NULL ? joint : header + strlen(header);

		if (end > header) {
			*id = header;
			*len = (size_t)(end - header);
		}
		header = joint != NULL ? joint + 2 : NULL;
	}
	return *len > 0;
}

/*
 * If the parameter cannot be decoded it is taken as it is: then it is an ID that we do not know.
 */
static void
keep_param(struct request *req, const char *text, size_t len)
{
	char *decoded = malloc(len + 1);
	int n = decoded != NULL ? percent_decode(decoded, text, len, ' ') : -ENOMEM;

	if (n > 0 && strlen(decoded) == (size_t)n)
		keep_last_id(req, decoded, (size_t)n);
	else
		keep_last_id(req, text, len);
	free(decoded);
}

/*
 * Reads the header, which EventSource sends by itself; or else a parameter, for clients that cannot
 * set headers.
 */
static void
read_last_event_id(struct request *req)
{
	const char *header = var(req, "HTTP_LAST_EVENT_ID"), *query = var(req, "QUERY_STRING"), *id;
	size_t len;

	if (find_in_header(header, &id, &len))
		keep_last_id(req, id, len);
	else if (query != NULL && query_find_last(query, is_last_id_name, NULL, &id, &len))
		keep_param(req, id, len);
}

/* How the client wants a stream to be written */

/* "q=0": the type is named to say that it is not wanted (RFC 9110, 12.4.2). */
static bool
is_unwanted(const char *p, const char *end)
{
	while ((p = memchr(p, ';', (size_t)(end - p))) != NULL) {
		p += 1 + strspn(p + 1, " \t");
		if ((*p == 'q' || *p == 'Q') && p[1] == '=')
			return p[2] == '0' && strspn(p + 2, "0.") == strcspn(p + 2, " \t;,");
	}
	return false;
}

/* The first type of Accept that is written here. */
static const struct wire *
find_accepted(const char *accept)
{
	const struct wire *wire;
	const char *end;
	size_t len;

	for (; *accept != '\0'; accept = *end != '\0' ? end + 1 : end) {
		accept += strspn(accept, " \t");
		end = strchrnul(accept, ',');
		len = strcspn(accept, " \t;,");
		for (size_t i = 0; (wire = wire_nth(i)) != NULL; i++) {
			if (strlen(wire->media_type) == len &&
			    strncasecmp(accept, wire->media_type, len) == 0 &&
			    !is_unwanted(accept, end))
				return wire;
		}
	}
	return NULL;
}

/* What is part of a mux connection is carried as an event stream. */
static const struct wire *
accepted_wire(const struct request *req)
{
	const char *accept = var(req, "HTTP_ACCEPT");
	const struct wire *wire = NULL;

	if (req->carrier == NULL && accept != NULL)
		wire = find_accepted(accept);
	return wire != NULL ? wire : &wire_event_stream;
}

/* "?mode=" says it, too: NULL if it does not. */
static const struct wire *
wire_of_mode(const struct request *req)
{
	const char *mode = query_get(&req->query, "mode");
	const struct wire *wire = NULL;

	for (size_t i = 0; mode != NULL && (wire = wire_nth(i)) != NULL; i++) {
		if (strcmp(mode, wire->name) == 0)
			break;
	}
	return wire;
}

int
request_read(struct request *req, const struct params *vars, const char *base, const char **why)
{
	const char *method;
	int status;

	req->vars = vars;
	req->route = NULL;
	req->last_event_id = NULL;
	req->is_opening = false;
	req->path.n = 0;
	req->query.n = 0;
	*why = "The web server did not say what was asked for.";
	if ((method = var(req, "REQUEST_METHOD")) == NULL)
		return HTTP_BAD_REQUEST;
	req->method = method_of(method);
	if ((status = read_path(req, base, why)) != 0)
		return status;
	read_last_event_id(req);
	req->carrier = var(req, REQUEST_CARRIED);
	req->wire = accepted_wire(req);
	return 0;
}

/* The query */

struct counting {
	const struct route *route;
	const char *token; /* the name of the parameter with the token; NULL: there is none */
};

static bool
is_in(const char *const *names, const char *name)
{
	for (; *names != NULL; names++) {
		if (strcmp(*names, name) == 0)
			return true;
	}
	return false;
}

/* Does the route use the parameter? */
static bool
counts(const void *ctx, const char *name)
{
	static const char *const always[] = {"mode", "timeout",    "after", "s",
					     "ack",  "connection", NULL};
	static const char *const of_links[] = {"user", "expires", "signature", "may", NULL};
	const struct counting *c = ctx;
	const char *named;

	if (is_in(always, name) || (c->token != NULL && strcmp(c->token, name) == 0) ||
	    (route_takes(c->route, &credential_signed) && is_in(of_links, name)))
		return true;
	for (size_t n = 0; (named = route_named_param(c->route, n)) != NULL; n++) {
		if (!identity_is_name(named) && strcmp(named, name) == 0)
			return true;
	}
	return false;
}

int
request_read_query(struct request *req, const char *token)
{
	const struct counting c = {req->route, token};
	const char *query = var(req, "QUERY_STRING");
	const struct wire *wire;
	int rc;

	if (query == NULL)
		return 0;
	if ((rc = query_parse(&req->query, query, counts, &c)) < 0)
		return rc;
	if (req->carrier == NULL && (wire = wire_of_mode(req)) != NULL)
		req->wire = wire;
	return 0;
}

const char *
request_content_type(const struct request *req)
{
	return var(req, "CONTENT_TYPE");
}

const char *
request_carrier(const struct request *req, const char **route, size_t *len)
{
	const char *text = req->carrier;

	if (text == NULL)
		return NULL;
	*route = text;
	*len = strcspn(text, "?");
	return text[*len] == '?' ? text + *len + 1 : "";
}

bool
request_is_get(const struct request *req)
{
	return req->method == METHOD_GET || req->method == METHOD_HEAD;
}

bool
request_match(struct request *req, struct route *rt)
{
	if (!path_match(rt->path, &req->path, req->values))
		return false;
	req->route = rt;
	return true;
}

const char *
request_raw_param(const struct request *req, const char *name)
{
	const char *param;
	size_t n;

	if (identity_is_name(name))
		return identity_value(req->identity, name);
	for (n = 0; (param = path_param(req->route->path, n)) != NULL; n++) {
		if (strcmp(param, name) == 0)
			return req->values[n];
	}
	return query_get(&req->query, name);
}

void
request_read_params(const struct request *req, struct template_value *values, size_t max)
{
	static const char *const who[] = {TEMPLATE_USER, TEMPLATE_CLAIMS};
	const char *name, *value;
	size_t i, n;

	for (n = 0; n < 2; n++)
		values[n] = (struct template_value){who[n], identity_value(req->identity, who[n])};
	for (i = 0; n < max && (name = route_named_param(req->route, i)) != NULL; i++) {
		if ((value = request_param(req, name)) != NULL)
			values[n++] = (struct template_value){name, value};
	}
	values[n].name = NULL;
}

/* Functions for handlers (sluice/handler.h) */

static bool
is_of_key(const struct request *req, const char *name)
{
	const char *key;
	size_t n;

	for (n = 0; (key = route_key_param(req->route, n)) != NULL; n++) {
		if (strcmp(key, name) == 0)
			return true;
	}
	return false;
}

const char *
request_param(const struct request *req, const char *name)
{
	const char *value = request_raw_param(req, name);

	if (req->is_opening && !req->route->handler->is_private && !is_of_key(req, name))
		return NULL;
	if (*name == '?')
		return value; /* for Lua, where it becomes no name */
	return value != NULL && route_param_ok(req->route, name, value) ? value : NULL;
}

const char *
request_header(const struct request *req, const char *name)
{
	char cgi[128] = "HTTP_";
	size_t i, len = strlen(cgi);

	for (i = 0; name[i] != '\0'; i++) {
		if (len + 1 == sizeof(cgi))
			return NULL;
		cgi[len] = '_';
		if (name[i] != '-')
			cgi[len] = (char)toupper((unsigned char)name[i]);
		len++;
	}
	cgi[len] = '\0';
	return var(req, cgi);
}

const char *
request_method(const struct request *req)
{
	return var(req, "REQUEST_METHOD");
}

const char *
request_path(const struct request *req)
{
	return req->text;
}
