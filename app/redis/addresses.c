#include "redis/addresses.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/list.h"
#include "redis/settings.h"

/* Lives until libuv has finished the lookup, which may be after its owner has gone. */
struct lookup {
	uv_getaddrinfo_t req;
	struct addresses *as; /* NULL: nobody waits for it any more */
	addresses_fn on_found;
	void *arg;
};

static void
keep(struct addresses *as, const void *at, socklen_t len)
{
	struct address *to = &as->all[as->n];

	memset(&to->at, 0, sizeof(to->at));
	memcpy(&to->at, at, len);
	to->len = len;
	as->n++;
}

static void
keep_path(struct addresses *as, const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	keep(as, &sun, sizeof(sun));
}

static void
on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *ai)
{
	struct lookup lookup = *LIST_ENTRY(req, struct lookup, req);
	struct addresses *as = lookup.as;
	const char *why = status < 0 ? uv_strerror(status) : NULL;

	free(LIST_ENTRY(req, struct lookup, req));
	if (as != NULL) {
		as->lookup = NULL;
		for (const struct addrinfo *a = ai; a != NULL && as->n < ADDRESSES_MAX;
		     a = a->ai_next)
			keep(as, a->ai_addr, a->ai_addrlen);
		if (why == NULL && as->n == 0)
			why = "the name has no address";
		lookup.on_found(lookup.arg, why);
	}
	uv_freeaddrinfo(ai);
}

/* Returns NULL, or why the lookup could not begin. */
static const char *
resolve(struct addresses *as, uv_loop_t *loop, const struct redis_url *url, addresses_fn on_found,
	void *arg)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	char port[16];
	int rc;

	if (lookup == NULL)
		return "out of memory";
	lookup->as = as;
	lookup->on_found = on_found;
	lookup->arg = arg;
	snprintf(port, sizeof(port), "%d", url->port);
	if ((rc = uv_getaddrinfo(loop, &lookup->req, on_resolved, url->host, port, &hints)) < 0) {
		free(lookup);
		return uv_strerror(rc);
	}
	as->lookup = lookup;
	return NULL;
}

void
addresses_find(struct addresses *as, uv_loop_t *loop, const struct redis_url *url,
	       addresses_fn on_found, void *arg)
{
	const char *why;

	as->n = 0;
	if (url->path != NULL) {
		keep_path(as, url->path);
		on_found(arg, NULL);
	} else if ((why = resolve(as, loop, url, on_found, arg)) != NULL) {
		on_found(arg, why);
	}
}

void
addresses_forget(struct addresses *as)
{
	if (as->lookup == NULL)
		return;
	uv_cancel((uv_req_t *)&as->lookup->req);
	as->lookup->as = NULL;
	as->lookup = NULL;
}
