#include "config/auth_values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/strings.h"
#include "auth/identity.h"
#include "base/logger.h"
#include "base/suggest.h"
#include "config/keys.h"
#include "config/route_values.h"
#include "logic/names.h"
#include "logic/library.h"
#include "route/origin.h"

enum { KEY_FILE_MAX = 64 * 1024, PATH_LEN_MAX = 1024, WHY_LEN = 512 };

/*
 * The result of the expression, by its type: a text or an integer names the user and gets a "="
 * before it; nil and false give nothing; anything else gives the name of its type.
 */
#define SESSION_USER \
	"(function(v) if type(v) == 'string' then return '=' .. v end " \
	"if math.type(v) == 'integer' then return '=' .. tostring(v) end " \
	"return v and type(v) or nil end)(%s)"

/* Keys */

/*
 * Reads the whole file, which is the caller's, its length, and whether everybody may read it.
 * Returns 0, -ENOMEM, -EINVAL with why.
 */
static int
read_key_file(const char *path, char **text, size_t *len, bool *is_open, char *why, size_t why_len)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	int rc = 0;

	if (f == NULL || fstat(fileno(f), &st) < 0)
		rc = CONFIG_REFUSE("%.*s: %s", CONFIG_QUOTED_MAX, path, strerror(errno));
	else if (!S_ISREG(st.st_mode) || st.st_size > KEY_FILE_MAX)
		rc = CONFIG_REFUSE("%.*s is no regular file of at most 64 KiB", CONFIG_QUOTED_MAX,
				   path);
	else if ((*text = malloc(KEY_FILE_MAX)) == NULL)
		rc = -ENOMEM;
	else
		*len = fread(*text, 1, KEY_FILE_MAX, f);
	*is_open = rc == 0 && (st.st_mode & S_IROTH) != 0;
	if (f != NULL)
		fclose(f);
	return rc;
}

static void
warn_of_open_file(const char *path)
{
	logger_warn("%s holds a secret and can be read by everybody: chmod 0640", path);
}

/* Are there secrets among the keys behind the first n? What verifies alone may be read by all. */
static bool
has_secrets(const struct auth_keys *keys, size_t n)
{
	size_t len;

	while (n < keys->n && auth_key_secret(keys->v[n], &len) == NULL)
		n++;
	return n < keys->n;
}

/*
 * A list of files. It is refused if there is a key already: with one key and one file it would be
 * open which of them counts.
 */
static int
set_keys_of_files(struct auth_settings *auth, struct auth_keys *keys, const char *paths, char *why,
		  size_t why_len)
{
	char path[PATH_LEN_MAX], reason[WHY_LEN];
	const char *one;
	size_t len;
	int rc = 0;

	if (keys->n > 0)
		return CONFIG_REFUSE("there is a key already: one of the key and the files");
	while (rc == 0 && (one = strings_next(&paths, &len)) != NULL) {
		char *text = NULL;
		size_t text_len = 0, n = keys->n;
		bool is_open;

		snprintf(path, sizeof(path), "%.*s", (int)len, one);
		if ((rc = read_key_file(path, &text, &text_len, &is_open, why, why_len)) == 0) {
			auth_settings_note(auth, text, text_len);
			rc = keys_add(keys, text, text_len, KEYS_OF_FILE, reason, sizeof(reason));
			if (rc == -EINVAL)
				rc = CONFIG_REFUSE("%.*s: %s", CONFIG_QUOTED_MAX, path, reason);
			if (is_open && has_secrets(keys, n))
				warn_of_open_file(path);
		}
		free(text);
	}
	return rc;
}

/*
 * Does the text look like "/etc/sluice/jwt.key"? It does if its first folder exists, even if the
 * file does not, because a secret may begin with a slash, too.
 */
static bool
is_file_name(const char *text)
{
	char folder[64];
	size_t len = *text == '/' ? 1 + strcspn(text + 1, "/") : 0;

	if (len < 2 || len >= sizeof(folder) || text[len] != '/')
		return *text == '/' && access(text, F_OK) == 0;
	snprintf(folder, sizeof(folder), "%.*s", (int)len, text);
	return access(folder, F_OK) == 0;
}

static int
set_key(struct auth_keys *keys, const char *text, const char *file_key, char *why, size_t why_len)
{
	if (keys->n > 0)
		return CONFIG_REFUSE("there is a key already: one of the key and the files");
	if (is_file_name(text))
		return CONFIG_REFUSE("it is a file's name, which is no secret: %s = %.*s", file_key,
				     CONFIG_QUOTED_MAX, text);
	return keys_add(keys, text, strlen(text), KEYS_OF_VALUE, why, why_len);
}

/* Whoever has the key can make links, so it must be a secret. */
static int
check_secrets(const struct auth_keys *keys, int rc, char *why, size_t why_len)
{
	if (rc == 0 && !keys_are_secrets(keys))
		return CONFIG_REFUSE("links are signed with a secret, not with a public key");
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

CONFIG_SETTER(config_set_session_format)
{
	struct suggest s;
	const char *best;
	size_t len;

	(void)key;
	suggest_init(&s, text);
	for (size_t i = 0; session_formats[i] != NULL; i++) {
		suggest_try(&s, session_formats[i]->name);
		if (strcasecmp(session_formats[i]->name, text) != 0)
			continue;
		*(const struct session_format **)field = session_formats[i];
		return 0;
	}
	if ((best = suggest_best(&s)) != NULL)
		return CONFIG_REFUSE("\"%.*s\" is no format; did you mean \"%s\"?",
				     CONFIG_QUOTED_MAX, text, best);
	len = (size_t)snprintf(why, why_len, "\"%.*s\" is none of:", CONFIG_QUOTED_MAX, text);
	for (size_t i = 0; session_formats[i] != NULL && len < why_len; i++)
		len += (size_t)snprintf(why + len, why_len - len, " %s", session_formats[i]->name);
	return -EINVAL;
}

CONFIG_SETTER(config_set_session_secret_file)
{
	struct auth_settings *auth = field;
	const char *reason;
	char *secrets = NULL;
	size_t len = 0;
	bool is_open;
	int rc = read_key_file(text, &secrets, &len, &is_open, why, why_len);

	(void)key;
	if (rc == 0) {
		if (is_open)
			warn_of_open_file(text);
		auth_settings_note(auth, secrets, len);
		rc = session_secrets_add(&auth->session_secrets, secrets, len, &reason);
		if (rc == -EINVAL)
			rc = CONFIG_REFUSE("%.*s: %s", CONFIG_QUOTED_MAX, text, reason);
	}
	free(secrets);
	return rc;
}

/* Nobody is known yet, and there is no request's message: these would be nil, or hold nothing. */
static int
on_not_there(void *ctx, const char *name, size_t len, unsigned line)
{
	static const char *const names[] = {"user", "claims", "params", "channel", "id", "text"};

	(void)line;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i]) != len || strncmp(names[i], name, len) != 0)
			continue;
		snprintf(ctx, WHY_LEN,
			 "\"%s\" says nothing when it is asked; the session is message", names[i]);
		return -EINVAL;
	}
	return 0;
}

CONFIG_SETTER(config_set_session_user)
{
	static const struct names_ops ops = {.on_free = on_not_there};
	struct auth_settings *auth = field;
	char *wrapped, reason[WHY_LEN];
	int rc;

	(void)key;
	if (*text == '\0')
		return 0;
	if (names_walk(text, strlen(text), &ops, reason) == -EINVAL)
		return CONFIG_REFUSE("%s", reason);
	if ((rc = sandbox_new(&auth->sandbox, library_open)) < 0)
		return rc;
	/*
	 * The expression is compiled by itself first, so that the error message has its own words.
	 */
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
		return CONFIG_REFUSE("the cookie's value, and nothing else, must stand in it: "
				     "PHPREDIS_SESSION:{cookie}");
	}
	*(struct template **)field = t;
	return 0;
}

/* Names of cookies and parameters */

/* RFC 6265, 4.1.1: a token of HTTP. No browser sends another. */
CONFIG_SETTER(config_set_cookie_name)
{
	(void)key;
	for (const char *p = text; *p != '\0'; p++) {
		if (*p <= ' ' || *p > '~' || strchr("()<>@,;:\\\"/[]?={}", *p) != NULL)
			return CONFIG_REFUSE("\"%.*s\" is no cookie's name", CONFIG_QUOTED_MAX,
					     text);
	}
	return config_copy(field, text);
}

/* One that has a meaning already would be taken for both. */
CONFIG_SETTER(config_set_token_parameter)
{
	static const char *const ours[] = {
	    "mode",    "timeout",       "after",       "s",           "connection",
	    "ack",     "last_event_id", "lastEventId", "lastEventID", "Last-Event-ID",
	    "expires", "signature",     "user",        "may"};

	(void)key;
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (strcmp(text, ours[i]) == 0)
			return CONFIG_REFUSE("the parameter \"%s\" has a meaning of its own; take "
					     "another, such as token",
					     text);
	}
	return config_copy(field, text);
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
			return CONFIG_REFUSE(
			    "\"%.*s\" is none of HS256 HS384 HS512 RS256 RS384 RS512 "
			    "ES256 ES384 ES512 EdDSA",
			    CONFIG_QUOTED_MAX, list[i]);
	}
	return rc;
}

static int
add_credential(struct auth_list *list, const struct credential *cr, char *why, size_t why_len)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->v[i] == cr)
			return CONFIG_REFUSE("\"%s\" stands twice", cr->word);
	}
	if (list->n > 0 && list->v[list->n - 1] == &credential_none)
		return CONFIG_REFUSE("\"none\" lets everybody in: it stands last");
	if (list->n == CREDENTIALS_MAX)
		return CONFIG_REFUSE("there are more than %d", CREDENTIALS_MAX);
	list->v[list->n++] = cr;
	return 0;
}

static int
refuse_word(const char *text, const char *best, char *why, size_t why_len)
{
	size_t len;

	if (best != NULL)
		return CONFIG_REFUSE("\"%s\" is no credential; did you mean \"%s\"?", text, best);
	len = (size_t)snprintf(why, why_len, "\"%s\" is none of:", text);
	for (size_t i = 0; credentials[i] != NULL && len < why_len; i++)
		len += (size_t)snprintf(why + len, why_len - len, " %s", credentials[i]->word);
	return -EINVAL;
}

static int
add_word(struct auth_list *list, const char *word, size_t len, char *why, size_t why_len)
{
	struct suggest s;
	char text[64];

	snprintf(text, sizeof(text), "%.*s", (int)len, word);
	suggest_init(&s, text);
	for (size_t i = 0; credentials[i] != NULL; i++) {
		suggest_try(&s, credentials[i]->word);
		if (strcasecmp(credentials[i]->word, text) == 0)
			return add_credential(list, credentials[i], why, why_len);
	}
	return refuse_word(text, suggest_best(&s), why, why_len);
}

CONFIG_SETTER(config_set_auth_list)
{
	struct auth_list *list = field;
	const char *one;
	size_t len;
	int rc = 0;

	(void)key;
	while (rc == 0 && (one = strings_next(&text, &len)) != NULL)
		rc = add_word(list, one, len, why, why_len);
	if (rc == 0 && list->n == 0)
		return CONFIG_REFUSE("it is empty; \"none\" lets everybody in");
	return rc;
}

CONFIG_SETTER(config_set_proxies)
{
	int rc = config_set_names(key, field, text, why, why_len);
	char **list = *(char ***)field;

	for (size_t i = 0; rc == 0 && list != NULL && list[i] != NULL; i++) {
		if (!origin_check_network(list[i]))
			return CONFIG_REFUSE("\"%.*s\" is neither an address nor a network such as "
					     "192.0.2.0/24",
					     CONFIG_QUOTED_MAX, list[i]);
	}
	return rc;
}
