/*
 * doctor_request.c - what the web server, and a proxy before it, makes of a request: its path, its
 * head, and whom it seems to come from.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/json.h>

#include "cli/doctor.h"

enum { TEXT_LEN = 256 };

/* From here on the lines are for this base. */
static void
take_base(struct doctor *d, const char *base, size_t len)
{
	char *right = strndup(base, len);

	if (right == NULL)
		return;
	free(d->cfg->server.base);
	d->cfg->server.base = right;
}

/* What the web server makes of the path. */
void
doctor_check_base(struct doctor *d)
{
	const char *base = d->cfg->server.base, *uri = doctor_greeted(d, "uri"), *at;
	size_t len = strlen(base);

	if (*uri == '\0')
		uri = doctor_greeted(d, "script");
	if (strncmp(uri, "http", 4) == 0 && strstr(uri, "://") != NULL)
		uri = strchrnul(strstr(uri, "://") + 3, '/');
	if ((at = strstr(uri, DOCTORING_PATH)) == NULL)
		return;
	if ((size_t)(at - uri) == len && strncmp(uri, base, len) == 0) {
		doctor_ok("base", "the path arrives as %s/..., which base = %s takes off", base,
			  base);
		return;
	}
	doctor_fail(d, "base",
		    "the path arrives as %.*s/..., but base is \"%s\": every route is 404",
		    (int)(at - uri), uri, base);
	doctor_line("[server] base = %.*s     # in sluice.ini, which the web server's path must be",
		    (int)(at - uri), uri);
	if (at == uri && len > 0)
		doctor_line("or hand on the whole path: %s must not be taken off before", base);
	else
		take_base(d, uri, (size_t)(at - uri));
}

/* What it makes of the head. */

static void
check_user(struct doctor *d)
{
	const char *user = doctor_greeted(d, "user");

	if (strcmp(user, "doctor") == 0) {
		doctor_fail(
		    d, "user",
		    "a name that nobody has checked (in an Authorization header) arrives as "
		    "REMOTE_USER");
		doctor_cure(d, CURE_USER);
	}
}

static bool
has_address_limit(const struct config *cfg)
{
	for (size_t i = 0; i < cfg->n_routes; i++) {
		if (cfg->routes[i]->max_per_ip > 0)
			return true;
	}
	return false;
}

void
doctor_check_request(struct doctor *d)
{
	/* "doctor:", a user without a password. */
	static const char fields[] = "Accept-Encoding: identity\r\nAuthorization: Basic "
				     "ZG9jdG9yOg==\r\nLast-Event-ID: 1-1\r\n";
	struct doctor_stream s;

	if (doctor_stream_begin(d, &s, d->prefix, "events=0", fields) == 0)
		doctor_stream_run(&s, 1, DOCTOR_ANSWER_MS);
	if (s.greeting == NULL) {
		doctor_warn("request", "%s answers %d where there is an Authorization header",
			    doctor_server_name(d), s.x.status);
	} else if (!json_is_true(s.greeting, "authorization")) {
		doctor_fail(d, "request", "the Authorization header is withheld: no token arrives");
		doctor_cure(d, CURE_AUTHORIZATION);
	} else if (json_text(s.greeting, "last_id") == NULL) {
		doctor_fail(d, "request", "the Last-Event-ID header is withheld: nobody resumes");
	} else {
		doctor_ok("request", "Authorization and Last-Event-ID arrive");
	}
	if (s.greeting != NULL) {
		json_object_put(d->first.greeting);
		d->first.greeting = json_object_get(s.greeting);
		check_user(d);
	}
	doctor_stream_end(d, &s);
}

/* Proxies before it */

static const struct {
	const char *header, *who, *what;
} proxies[] = {
    {"CF-RAY", "Cloudflare", "a cache rule that bypasses the cache, and no compression, for"},
    {"X-Varnish", "Varnish", "return (pipe) in vcl_recv for"},
    {"X-Amz-Cf-Id", "CloudFront", "the cache policy CachingDisabled for"},
    {"X-Served-By", "a proxy that caches", "neither cache nor buffer for"},
    {"Via", "a proxy", "neither cache nor buffer for"},
};

static bool
tell_proxy(struct doctor *d)
{
	char value[TEXT_LEN];

	for (size_t i = 0; i < sizeof(proxies) / sizeof(proxies[0]); i++) {
		if (!http_header(&d->first.x, proxies[i].header, value, sizeof(value)))
			continue;
		doctor_warn("proxies", "%s stands before it (%s: %s)", proxies[i].who,
			    proxies[i].header, value);
		doctor_line("%s %s/*", proxies[i].what, d->prefix);
		return true;
	}
	return false;
}

void
doctor_check_proxies(struct doctor *d)
{
	const char *remote = doctor_greeted(d, "remote");

	if (doctor_is_forwarded(d) && d->cfg->server.trusted_proxies == NULL &&
	    has_address_limit(d->cfg)) {
		doctor_warn("proxies",
			    "all clients seem to come from %s: max_per_ip counts them as one",
			    remote);
		doctor_line("[server] trusted_proxies = %s", remote);
	} else if (d->front != NULL) {
		doctor_ok("proxies", "%s stands before %s", d->front->name, doctor_server_name(d));
	} else if (!tell_proxy(d)) {
		doctor_ok("proxies", doctor_is_forwarded(d) || *doctor_greeted(d, "via") != '\0'
					 ? "one stands before it"
					 : "none is to be seen before it");
	}
}
