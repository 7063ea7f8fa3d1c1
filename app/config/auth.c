#include "config/auth.h"

#include <stdio.h>
#include <string.h>

#include "auth/credential.h"
#include "auth/identity.h"
#include "config/keys.h"

enum { WHY_LEN = 512 };

static const char *
session_why(const struct auth_settings *auth, const char **at)
{
	/* NULL if the format itself was refused. */
	const struct session_format *format = auth->session_format;
	const char *why;

	*at = "session_secret_file";
	if (format != NULL && format->open == NULL && auth->session_secrets.n > 0)
		return "with session_format = auto nothing is signed, and no secret is read";
	*at = "session_format";
	if (format != NULL && format->open != NULL && auth->session_secrets.n == 0)
		return "its cookie is signed: with which secret? session_secret_file = FILE";
	*at = "session_secret_file";
	for (size_t i = 0;
	     format != NULL && format->secret_fault != NULL && i < auth->session_secrets.n; i++) {
		if ((why = format->secret_fault(&auth->session_secrets.v[i])) != NULL)
			return why;
	}
	*at = "session_key";
	if (format != NULL && format->is_whole && auth->session_key != NULL)
		return "the cookie of this session_format is the session itself: there is no key "
		       "in "
		       "Redis";
	return NULL;
}

const char *
config_auth_why(const struct auth_settings *auth, const char **at)
{
	const char *why;

	*at = "jwt_algorithms";
	for (size_t i = 0; auth->jwt.keys.n > 0 && auth->jwt.algorithms != NULL &&
			   auth->jwt.algorithms[i] != NULL;
	     i++) {
		if (!keys_fit(&auth->jwt.keys, auth->jwt.algorithms[i]))
			return "no key is of the kind of one of these: with it nothing could be "
			       "verified";
	}
	if ((why = session_why(auth, at)) != NULL)
		return why;
	*at = "session_cookie";
	if (auth->session_cookie != NULL && auth->session_key == NULL &&
	    (auth->session_format == NULL || !auth->session_format->is_whole))
		return "which key in Redis has its session? session_key = "
		       "PHPREDIS_SESSION:{cookie}";
	return NULL;
}

static void
check_list(const struct config_source *src, size_t section, const char *name,
	   const struct auth_list *list)
{
	const struct ini_entry *e =
	    config_find_entry(src, section, config_key_find(CONFIG_ROUTE, name));
	const char *why;

	for (size_t i = 0; i < list->n; i++) {
		if (e != NULL && !src->is_auth_faulty &&
		    (why = list->v[i]->missing(src->auth)) != NULL)
			config_fault(src, e, why);
	}
}

static bool
knows_users(const struct auth_list *list)
{
	return list->n > 1 || (list->n == 1 && list->v[0] != &credential_none);
}

/* The first name of the user or a claim in the template; NULL: there is none. */
static const char *
identity_name(const struct template *t)
{
	const char *name;

	for (size_t n = 0; t != NULL && (name = template_param(t, n)) != NULL; n++) {
		if (identity_is_name(name))
			return name;
	}
	return NULL;
}

static void
check_names(const struct config_source *src, const struct route *rt, size_t section)
{
	const struct template *t =
	    rt->publish.stream != NULL ? rt->publish.stream : rt->publish.channel;
	char why[WHY_LEN];
	const char *name;

	for (size_t n = 0; (name = route_key_param(rt, n)) != NULL; n++) {
		if (!identity_is_name(name) || knows_users(&rt->auth))
			continue;
		name += *name == '?';
		snprintf(why, sizeof(why), "names \"%s\", but its auth lets in whom nobody knows",
			 name);
		config_fault_section(src, section, why);
	}
	for (struct template *const *word = rt->allow_command; word != NULL && *word != NULL;
	     word++) {
		if ((name = identity_name(*word)) == NULL || knows_users(&rt->auth))
			continue;
		snprintf(why, sizeof(why),
			 "asks in allow_command for {%s}, but its auth lets in whom nobody knows",
			 name);
		config_fault_section(src, section, why);
	}
	if ((name = identity_name(t)) != NULL && !knows_users(&rt->publish.auth)) {
		snprintf(why, sizeof(why),
			 "publishes to {%s}, but its publish_auth lets in whom nobody knows", name);
		config_fault_section(src, section, why);
	}
}

void
config_auth_check_route(const struct config_source *src, struct route *rt, size_t section)
{
	const char *name;

	check_list(src, section, "auth", &rt->auth);
	check_list(src, section, "publish_auth", &rt->publish.auth);
	if (route_knows_users(rt))
		memcpy(rt->auth_digest, src->auth->digest, sizeof(rt->auth_digest));
	check_names(src, rt, section);
	for (size_t n = 0; rt->path != NULL && (name = path_param(rt->path, n)) != NULL; n++) {
		if (strcmp(name, "user") == 0)
			config_fault_section(
			    src, section,
			    "has a {user} in its path: that name is who the client "
			    "is proven to be; give the parameter another");
	}
}
