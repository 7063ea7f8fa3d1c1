#include "route/allow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth/bytes.h"
#include "base/clock.h"
#include "base/logger.h"

enum { PARAMS_MAX = 66, WHY_LEN = 256 };

enum allowed
allow_judge(const struct route *rt, const struct template_value *params)
{
	struct template_scope scope = {.params = params, .channel = "", .now = clock_unix()};
	char why[WHY_LEN];
	bool is_true = false;

	if (expression_is_true(rt->allow, &scope, &is_true, why, sizeof(why)) < 0 &&
	    sandbox_may_tell(rt->stream.stages.sandbox))
		logger_warn("[route %s] allow: %s", rt->name, why);
	if (is_true)
		return ALLOWED;
	return sandbox_is_paused(rt->stream.stages.sandbox) ? UNDECIDED : FORBIDDEN;
}

/* The digests form a chain: the digest so far is the key. */
static void
add_text(unsigned char digest[ALLOW_DIGEST], const char *text)
{
	unsigned char mac[BYTES_HMAC_MAX];

	/* A missing text must differ from an empty one. */
	if (bytes_hmac(mac, 256, digest, ALLOW_DIGEST, text != NULL ? text : "\0",
		       text != NULL ? strlen(text) : 1) == ALLOW_DIGEST)
		memcpy(digest, mac, ALLOW_DIGEST);
}

/*
 * The digest of the user, and of each claim that the route names in allow, in a template, an
 * expression or a script.
 */
static void
digest_of(unsigned char digest[ALLOW_DIGEST], const struct route *rt, const struct identity *id)
{
	const char *name;

	memset(digest, 0, ALLOW_DIGEST);
	add_text(digest, id->user);
	for (size_t n = 0; (name = route_named_param(rt, n)) != NULL; n++) {
		if (identity_is_name(name))
			add_text(digest, identity_value(id, name));
	}
}

/*
 * The user and the claims are not copied, because they are asked for anew whenever the request is
 * judged again.
 */
static int
copy_params(struct template_value *to, const struct template_value *from)
{
	size_t n;

	for (n = 0; from[n].name != NULL; n++) {
		to[n].name = from[n].name; /* it belongs to the route, or is a constant */
		if (identity_is_name(from[n].name))
			continue;
		if ((to[n].value = strdup(from[n].value)) == NULL)
			return -ENOMEM;
	}
	return 0;
}

int
allow_keep(struct allow_case *kept, const struct request *req, const struct identity *id)
{
	struct template_value params[PARAMS_MAX + 1];
	size_t n = 0;

	kept->rt = req->route;
	digest_of(kept->digest, req->route, id);
	if (req->route->allow == NULL)
		return 0;
	request_read_params(req, params, PARAMS_MAX);
	while (params[n].name != NULL)
		n++;
	if ((kept->params = calloc(n + 1, sizeof(*kept->params))) == NULL ||
	    copy_params(kept->params, params) < 0)
		return -ENOMEM;
	return 0;
}

void
allow_fini(struct allow_case *kept)
{
	for (size_t n = 0; kept->params != NULL && kept->params[n].name != NULL; n++)
		free((char *)kept->params[n].value);
	free(kept->params);
	kept->params = NULL;
}

enum allowed
allow_again(const struct allow_case *kept, const struct identity *id)
{
	struct template_value params[PARAMS_MAX + 1];
	unsigned char digest[ALLOW_DIGEST];
	size_t n;

	digest_of(digest, kept->rt, id);
	if (memcmp(digest, kept->digest, ALLOW_DIGEST) != 0)
		return FORBIDDEN;
	if (kept->params == NULL)
		return ALLOWED;
	for (n = 0; kept->params[n].name != NULL; n++) {
		params[n] = kept->params[n];
		if (identity_is_name(params[n].name))
			params[n].value = identity_value(id, params[n].name);
	}
	params[n].name = NULL;
	return allow_judge(kept->rt, params);
}
