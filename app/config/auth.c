#include "config/auth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/identity.h"
#include "base/logger.h"
#include "base/suggest.h"
#include "config/keys.h"
#include "route/origin.h"

enum { KEY_FILE_MAX = 64 * 1024, PATH_LEN_MAX = 1024, WHY_LEN = 512, QUOTED_MAX = 80 };

/* Only a text makes a name: {user} must not come out of a number by accident. */
#define SESSION_USER "(function(v) return type(v) == 'string' and v or nil end)(%s)"

#define REFUSE(...)  (snprintf(why, why_len, __VA_ARGS__), -EINVAL)

/* Keys */

/* The whole file, the caller's, and its length. Returns 0, -ENOMEM, -EINVAL with why. */
static int
read_key_file(const char *path, char **text, size_t *len, char *why, size_t why_len)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	int rc = 0;

	if (f == NULL || fstat(fileno(f), &st) < 0)
		rc = REFUSE("%.*s: %s", QUOTED_MAX, path, strerror(errno));
	else if (!S_ISREG(st.st_mode) || st.st_size > KEY_FILE_MAX)
		rc = REFUSE("%.*s is no regular file of at most 64 KiB", QUOTED_MAX, path);
	else if ((*text = malloc(KEY_FILE_MAX)) == NULL)
		rc = -ENOMEM;
	else
		*len = fread(*text, 1, KEY_FILE_MAX, f);
	if (rc == 0 && (st.st_mode & S_IROTH) != 0)
		logger_warn("%s holds a key and can be read by everybody: chmod 0640", path);
	if (f != NULL)
		fclose(f);
	return rc;
}

/* A list of files, or none of them: one key and one file would leave open which counts. */
static int
set_keys_of_files(struct auth_settings *auth, struct auth_keys *keys, const char *paths, char *why,
		  size_t why_len)
{
	char path[PATH_LEN_MAX], reason[WHY_LEN];
	const char *one;
	size_t len;
	int rc = 0;

	if (keys->n > 0)
		return REFUSE("there is a key already: one of the key and the files");
	while (rc == 0 && (one = config_list_next(&paths, &len)) != NULL) {
		char *text = NULL;
		size_t text_len = 0;

		snprintf(path, sizeof(path), "%.*s", (int)len, one);
		if ((rc = read_key_file(path, &text, &text_len, why, why_len)) == 0) {
			auth_settings_note(auth, text, text_len);
			rc = keys_add(keys, text, text_len, KEYS_OF_FILE, reason, sizeof(reason));
			if (rc == -EINVAL)
				rc = REFUSE("%.*s: %s", QUOTED_MAX, path, reason);
		}
		free(text);
	}
	return rc;
}

static int
set_key(struct auth_keys *keys, const char *text, const char *file_key, char *why, size_t why_len)
{
	if (keys->n > 0)
		return REFUSE("there is a key already: one of the key and the files");
	if (*text == '/' && access(text, F_OK) == 0)
		return REFUSE("it is a file's name, which is no secret: %s = %.*s", file_key,
			      QUOTED_MAX, text);
	return keys_add(keys, text, strlen(text), KEYS_OF_VALUE, why, why_len);
}

/* Links are made by whoever has the key: it must be a secret. */
static int
check_secrets(const struct auth_keys *keys, int rc, char *why, size_t why_len)
{
	if (rc == 0 && !keys_are_secrets(keys))
		return REFUSE("links are signed with a secret, not with a public key");
	return rc;
}

CONFIG_SETTER(config_set_jwt_key_file)
{
	struct auth_settings *auth = field;

	(void)key;
	return set_keys_of_files(auth, &auth->jwt.keys, text, why, why_len);
}

CONFIG_SETTER(config_set_jwt_key)
{
	(void)key;
	return set_key(&((struct auth_settings *)field)->jwt.keys, text, "jwt_key_file", why,
		       why_len);
}

CONFIG_SETTER(config_set_link_key_file)
{
	struct auth_settings *auth = field;
	int rc = set_keys_of_files(auth, &auth->link_keys, text, why, why_len);

	(void)key;
	return check_secrets(&auth->link_keys, rc, why, why_len);
}

CONFIG_SETTER(config_set_link_key)
{
	struct auth_settings *auth = field;
	int rc = set_key(&auth->link_keys, text, "signed_key_file", why, why_len);

	(void)key;
	return check_secrets(&auth->link_keys, rc, why, why_len);
}

/* Sessions */

CONFIG_SETTER(config_set_session_user)
{
	struct auth_settings *auth = field;
	char *wrapped;
	int rc;

	(void)key;
	if (*text == '\0')
		return 0;
	if ((rc = sandbox_new(&auth->sandbox)) < 0)
		return rc;
	/* By itself first: what is wrong with it is told in its own words. */
	if ((rc = expression_new(&auth->session_user, auth->sandbox, text, why, why_len)) < 0)
		return rc;
	expression_free(auth->session_user);
	auth->session_user = NULL;
	if (asprintf(&wrapped, SESSION_USER, text) < 0)
		return -ENOMEM;
	rc = expression_new(&auth->session_user, auth->sandbox, wrapped, why, why_len);
	free(wrapped);
	return rc;
}

CONFIG_SETTER(config_set_session_key)
{
	const char *name;
	struct template *t;
	int rc = template_compile(&t, text, key->allow, why, why_len);

	if (rc < 0)
		return rc;
	name = template_param(t, 0);
	if (name == NULL || strcmp(name, "cookie") != 0 || template_param(t, 1) != NULL) {
		template_free(t);
		return REFUSE("the cookie's value, and nothing else, must stand in it: "
			      "PHPREDIS_SESSION:{cookie}");
	}
	*(struct template **)field = t;
	return 0;
}

/* Lists */

CONFIG_SETTER(config_set_algorithms)
{
	static const char *const known[] = {"HS256", "HS384", "HS512", "RS256", "RS384",
					    "RS512", "ES256", "ES384", "ES512", "EdDSA"};
	int rc = config_set_names(key, field, text, why, why_len);
	char **list = *(char ***)field;

	for (size_t i = 0; rc == 0 && list != NULL && list[i] != NULL; i++) {
		size_t n = 0;

		while (n < 10 && strcmp(known[n], list[i]) != 0)
			n++;
		if (n == 10)
			return REFUSE("\"%.*s\" is none of HS256 HS384 HS512 RS256 RS384 RS512 "
				      "ES256 ES384 ES512 EdDSA",
				      QUOTED_MAX, list[i]);
	}
	return rc;
}

static const char *const kinds[AUTH_KINDS] = {
    [AUTH_NONE] = "none",
    [AUTH_JWT] = "jwt",
    [AUTH_SESSION] = "session",
    [AUTH_SIGNED] = "signed",
    [AUTH_REMOTE_USER] = "remote_user",
};

static int
add_kind(struct auth_list *list, const char *word, size_t len, char *why, size_t why_len)
{
	struct suggest s;
	char text[64];

	snprintf(text, sizeof(text), "%.*s", (int)len, word);
	suggest_init(&s, text);
	for (int kind = 0; kind < AUTH_KINDS; kind++) {
		suggest_try(&s, kinds[kind]);
		if (strcasecmp(kinds[kind], text) != 0)
			continue;
		for (size_t i = 0; i < list->n; i++) {
			if ((int)list->v[i] == kind)
				return REFUSE("\"%s\" stands twice", text);
		}
		if (list->n > 0 && list->v[list->n - 1] == AUTH_NONE)
			return REFUSE("\"none\" lets everybody in: it stands last");
		list->v[list->n++] = (enum auth_kind)kind;
		return 0;
	}
	if (suggest_best(&s) != NULL)
		return REFUSE("\"%s\" is no credential; did you mean \"%s\"?", text,
			      suggest_best(&s));
	return REFUSE("\"%s\" is none of: none jwt session signed remote_user", text);
}

CONFIG_SETTER(config_set_auth_list)
{
	struct auth_list *list = field;
	const char *one;
	size_t len;
	int rc = 0;

	(void)key;
	while (rc == 0 && (one = config_list_next(&text, &len)) != NULL)
		rc = add_kind(list, one, len, why, why_len);
	if (rc == 0 && list->n == 0)
		return REFUSE("it is empty; \"none\" lets everybody in");
	return rc;
}

CONFIG_SETTER(config_set_proxies)
{
	int rc = config_set_names(key, field, text, why, why_len);
	char **list = *(char ***)field;

	for (size_t i = 0; rc == 0 && list != NULL && list[i] != NULL; i++) {
		if (!origin_check_network(list[i]))
			return REFUSE("\"%.*s\" is neither an address nor a network such as "
				      "192.0.2.0/24",
				      QUOTED_MAX, list[i]);
	}
	return rc;
}

/* What goes together */

const char *
config_auth_why(const struct auth_settings *auth, const char **at)
{
	*at = "jwt_algorithms";
	for (size_t i = 0; auth->jwt.keys.n > 0 && auth->jwt.algorithms != NULL &&
			   auth->jwt.algorithms[i] != NULL;
	     i++) {
		if (!keys_fit(&auth->jwt.keys, auth->jwt.algorithms[i]))
			return "no key is of the kind of one of these: with it nothing could be "
			       "verified";
	}
	*at = "session_cookie";
	if (auth->session_cookie != NULL && auth->session_key == NULL)
		return "which key in Redis has its session? session_key = "
		       "PHPREDIS_SESSION:{cookie}";
	return NULL;
}

/* What a credential needs of [auth]; NULL: it is all there. */
static const char *
missing(const struct auth_settings *auth, enum auth_kind kind)
{
	if (kind == AUTH_JWT && auth->jwt.keys.n == 0)
		return "jwt needs a jwt_key_file or jwt_key in [auth]";
	if (kind == AUTH_SESSION && (auth->session_cookie == NULL || auth->session_key == NULL))
		return "session needs a session_cookie and a session_key in [auth]";
	if (kind == AUTH_SIGNED && auth->link_keys.n == 0)
		return "signed needs a signed_key_file or signed_key in [auth]";
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
		if (e != NULL && (why = missing(src->auth, list->v[i])) != NULL)
			config_fault(src, e, why);
	}
}

static bool
knows_users(const struct auth_list *list)
{
	return list->n > 1 || (list->n == 1 && list->v[0] != AUTH_NONE);
}

/* The first name of who asks among the template's; NULL. */
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
