/*
 * signed.c - the credential "signed": a signed link. What follows the signature was added by
 * whoever holds the link, so no parameter that the route uses may stand there.
 */
#include <errno.h>
#include <string.h>

#include "auth/credential.h"
#include "auth/signed_link.h"
#include "base/percent.h"

enum { NAME_MAX_LEN = 4096 };

/* What a client adds by itself: to read, and to acknowledge or steer what it reads by POST. */
static const struct {
	const char *name;
	bool is_of_post;
} addable[] = {
    {"last_event_id", false}, {"lastEventId", false}, {"lastEventID", false},
    {"Last-Event-ID", false}, {"mode", false},        {"timeout", false},
    {"after", false},         {"ack", true},          {"connection", true},
};

/* What it may not add, even if no route uses it. */
static const char *const ours[] = {"signature", "expires", "user", "may", "s"};

static bool
is_of_route(const struct asked *a, const char *name)
{
	const char *named;

	for (size_t n = 0; (named = a->named(a, n)) != NULL; n++) {
		if (strcmp(named + (*named == '?'), name) == 0)
			return true;
	}
	return false;
}

static bool
may_be_added(const struct auth_settings *as, const struct asked *a, const char *name)
{
	for (size_t i = 0; i < sizeof(addable) / sizeof(addable[0]); i++) {
		if (strcmp(addable[i].name, name) == 0)
			return a->is_post || !addable[i].is_of_post;
	}
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (strcmp(ours[i], name) == 0)
			return false;
	}
	return !is_of_route(a, name) && (as->jwt_query == NULL || strcmp(as->jwt_query, name) != 0);
}

/* "&a=1&b=2" */
static bool
may_all_be_added(const struct auth_settings *as, const struct asked *a, const char *p)
{
	char name[NAME_MAX_LEN + 1];

	while (*p == '&') {
		size_t len = strcspn(++p, "&"), name_len = strcspn(p, "=&");

		if (name_len > NAME_MAX_LEN || percent_decode(name, p, name_len, ' ') < 0 ||
		    (*name != '\0' && !may_be_added(as, a, name)))
			return false;
		p += len;
	}
	return true;
}

static enum finding
take(const struct auth_settings *as, const struct asked *a, struct signed_link *link,
     struct identity *who, struct refusal *no)
{
	if (!may_all_be_added(as, a, link->behind))
		return credential_refuse(no, HTTP_UNAUTHORIZED,
					 "what follows the signature is for the site to sign");
	if (a->is_publishing && !link->may_publish)
		return credential_refuse(
		    no, HTTP_FORBIDDEN,
		    "it is signed to read; who publishes needs may=publish in what is signed");
	who->user = link->user;
	who->expires = link->expires;
	link->user = NULL;
	return FOUND_RIGHT;
}

/* The path with its query: a proxy may send the whole URL (RFC 9112, 3.2.2). */
static const char *
uri_of(const struct asked *a)
{
	const char *uri = a->variable(a, "REQUEST_URI"), *host;

	if (uri == NULL || *uri == '/' || (host = strstr(uri, "://")) == NULL)
		return uri;
	return strchr(host + 3, '/');
}

static enum finding
find(const struct auth_settings *as, const struct asked *a, struct identity *who,
     struct refusal *no)
{
	const char *uri = uri_of(a), *why = "";
	struct signed_link link = {0};
	enum finding found = FOUND_AWAY; /* out of memory */
	int rc = -ENOENT;

	if (uri != NULL)
		rc = signed_link_check(&link, uri, &as->link_keys, a->now, &why);
	if (rc == 0)
		found = take(as, a, &link, who, no);
	else if (rc == -ENOENT)
		found = FOUND_NONE;
	else if (rc == -EINVAL)
		found = credential_refuse(no, HTTP_UNAUTHORIZED, why);
	signed_link_fini(&link);
	return found;
}

static const char *
missing(const struct auth_settings *as)
{
	return as->link_keys.n == 0 ? "signed needs a signed_key_file or signed_key in [auth]"
				    : NULL;
}

const struct credential credential_signed = {
    .word = "signed",
    .shown = "link",
    .missing = missing,
    .find = find,
};
