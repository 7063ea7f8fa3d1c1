#include "route/cors.h"

#include <string.h>
#include <strings.h>

/* What a page may send with its request; names are compared without regard to case (Fetch 2.2.2).
 */
static const char *const allowed_headers[] = {"Last-Event-ID", "Cache-Control", "Content-Type",
					      "Authorization", "Idempotency-Key"};

/*
 * Origins are compared byte for byte, as browsers write them. So the string that is sent back comes
 * from the configuration, and never from the client.
 */
static const char *
allowed_origin(const struct request *req)
{
	const char *origin = request_header(req, "Origin");
	char *const *allowed = req->route->cors_origins;

	if (origin == NULL || allowed == NULL)
		return NULL;
	for (; *allowed != NULL; allowed++) {
		if (strcmp(*allowed, "*") == 0 || strcmp(*allowed, origin) == 0)
			return *allowed;
	}
	return NULL;
}

bool
cors_lists(const struct request *req, const char *origin)
{
	char *const *allowed = req->route->cors_origins;

	for (; allowed != NULL && *allowed != NULL; allowed++) {
		if (strcmp(*allowed, origin) == 0)
			return true;
	}
	return false;
}

int
cors_put_headers(struct buf *b, const struct request *req)
{
	const char *origin;
	int rc;

	if (req->route == NULL || req->route->cors_origins == NULL)
		return buf_puts(b, "Cross-Origin-Resource-Policy: same-origin\r\n");
	if ((rc = buf_puts(b, "Vary: Origin\r\n")) < 0)
		return rc;
	if ((origin = allowed_origin(req)) == NULL)
		return 0;
	if ((rc = buf_printf(b, "Access-Control-Allow-Origin: %s\r\n", origin)) == 0 &&
	    req->route->cors_credentials)
		rc = buf_puts(b, "Access-Control-Allow-Credentials: true\r\n");
	return rc;
}

/* Is the name among those that the preflight asks for? */
static bool
is_asked(const char *list, const char *name)
{
	size_t len = strlen(name);

	while (*list != '\0') {
		list += strspn(list, " \t,");
		if (strncasecmp(list, name, len) == 0 && strchr(" \t,", list[len]) != NULL)
			return true;
		list += strcspn(list, ",");
	}
	return false;
}

static int
put_allowed_headers(struct buf *b, const char *asked)
{
	const char *sep = "Access-Control-Allow-Headers: ";
	size_t i;
	int rc = 0;

	for (i = 0; i < sizeof(allowed_headers) / sizeof(allowed_headers[0]) && rc == 0; i++) {
		if (!is_asked(asked, allowed_headers[i]))
			continue;
		rc = buf_printf(b, "%s%s", sep, allowed_headers[i]);
		sep = ", ";
	}
	if (rc == 0 && sep[0] == ',')
		rc = buf_puts(b, "\r\n");
	return rc;
}

int
cors_put_preflight(struct buf *b, const struct request *req)
{
	const char *asked = request_header(req, "Access-Control-Request-Headers");
	int rc;

	const char *methods = route_methods(req->route);

	if ((rc = buf_printf(b, "Allow: %s\r\n", methods)) < 0)
		return rc;
	if (allowed_origin(req) == NULL ||
	    request_header(req, "Access-Control-Request-Method") == NULL)
		return 0;
	rc = buf_printf(b,
			"Access-Control-Allow-Methods: %s\r\n"
			"Access-Control-Max-Age: 600\r\n",
			methods);
	if (rc == 0 && asked != NULL)
		rc = put_allowed_headers(b, asked);
	return rc;
}
