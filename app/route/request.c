#include "route/request.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

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

/* "http://host/path", which a proxy may send, begins its path behind the host. */
static const char *
skip_authority(const char *uri)
{
	const char *host;

	if (uri[0] == '/' || (host = strstr(uri, "://")) == NULL)
		return uri;
	return host + 3 + strcspn(host + 3, "/?#");
}

/*
 * One segment, decoded to its place. A "." or ".." that a web server has left there
 * must not become a parameter's value.
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
		/* The web server has decoded it; that must not happen twice. */
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
		text += sprintf(text, "/%s", req->path.at[i]);
	return 0;
}

/* The path as the client sent it, where the server tells: SCRIPT_NAME and PATH_INFO differ among
 * servers. */
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
		return 414;
	}
	if (base_len > 0 && (len < base_len || memcmp(uri, base, base_len) != 0)) {
		*why = "There is nothing at this path.";
		return HTTP_NOT_FOUND;
	}
	return split_path(req, uri + base_len, len - base_len, is_raw, why);
}

static bool
is_printable(const char *p)
{
	for (; *p != '\0'; p++) {
		if (*p < 0x20 || *p > 0x7e)
			return false;
	}
	return true;
}

/*
 * The header, which EventSource sends by itself; else a parameter, for a client that cannot set it.
 * Two headers arrive joined by a comma and a space from some servers: that is no id either.
 */
static int
read_last_event_id(struct request *req, const char **why)
{
	const char *id = var(req, "HTTP_LAST_EVENT_ID");

	if (id == NULL && (id = query_get(&req->query, "last_event_id")) == NULL)
		id = query_get(&req->query, "lastEventId");
	if (id == NULL || *id == '\0')
		return 0;
	if (strlen(id) > REQUEST_PATH_MAX / 2 || !is_printable(id) || strchr(id, ' ') != NULL) {
		*why = "The last event ID is no ID that this server sends.";
		return HTTP_BAD_REQUEST;
	}
	req->last_event_id = id;
	return 0;
}

int
request_read(struct request *req, const struct params *vars, const char *base, const char **why)
{
	const char *method, *query;
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
	if ((query = var(req, "QUERY_STRING")) != NULL && query_parse(&req->query, query) < 0) {
		*why = "The query is malformed, too long, or names a parameter twice.";
		return HTTP_BAD_REQUEST;
	}
	return read_last_event_id(req, why);
}

const char *
request_content_type(const struct request *req)
{
	return var(req, "CONTENT_TYPE");
}

const char *
request_carrier(const struct request *req, const char **route, size_t *len)
{
	const char *text = var(req, REQUEST_CARRIED);

	if (text == NULL)
		return NULL;
	*route = text;
	*len = strcspn(text, "?");
	return text[*len] == '?' ? text + *len + 1 : "";
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

/* What handlers call (sluice/handler.h). */

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
		return value; /* for Lua, which makes no name of it */
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
