#include "auth/token.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "auth/bytes.h"
#include "logic/message.h"
#include "sse/utf8.h"

/* A double holds whole seconds exactly up to here. */
#define TIME_MAX 9e15

/* The three parts, still encoded. */
struct parts {
	const char *header, *payload, *signature;
	size_t header_len, payload_len, signature_len;
};

/* The rules are checked one after the other, and the first that is broken is reported. */
struct token_check {
	const struct token_settings *settings;
	int64_t now;
	const char *why;
};

static bool
breaks(struct token_check *rd, const char *rule)
{
	rd->why = rule;
	return false;
}

static bool
split(struct parts *parts, const char *text, size_t len)
{
	const char *end = text + len, *dot = memchr(text, '.', len), *second;

	if (dot == NULL || (second = memchr(dot + 1, '.', (size_t)(end - dot - 1))) == NULL ||
	    memchr(second + 1, '.', (size_t)(end - second - 1)) != NULL)
		return false;
	*parts = (struct parts){.header = text,
				.header_len = (size_t)(dot - text),
				.payload = dot + 1,
				.payload_len = (size_t)(second - dot - 1),
				.signature = second + 1,
				.signature_len = (size_t)(end - second - 1)};
	return parts->header_len > 0 && parts->payload_len > 0 && parts->signature_len > 0;
}

/* A JSON object in which no name is repeated, the caller's; else NULL. */
static struct json_object *
parse_object(const char *p, size_t len)
{
	struct json_object *object = NULL;
	struct message msg;

	if (utf8_valid_len(p, len) != len)
		return NULL;
	message_init(&msg, "", 0, p, len);
	if (json_object_is_type(message_json(&msg), json_type_object) &&
	    message_has_unique_names(&msg))
		object = json_object_get(message_json(&msg));
	message_fini(&msg);
	return object;
}

static struct json_object *
decode_object(const char *text, size_t len)
{
	struct json_object *object = NULL;
	struct buf b;

	buf_init(&b, TOKEN_LEN_MAX);
	if (bytes_decode_base64url(&b, text, len) == 0 && b.len > 0 && buf_putc(&b, '\0') == 0)
		object = parse_object(b.p, b.len - 1);
	buf_fini(&b);
	return object;
}

/* May a token be verified with the key by this algorithm? */
static bool
is_allowed(const struct token_settings *settings, const struct auth_key *key, const char *algorithm)
{
	if (settings->algorithms == NULL)
		return auth_key_suits(key, algorithm);
	for (size_t i = 0; settings->algorithms[i] != NULL; i++) {
		if (strcmp(algorithm, settings->algorithms[i]) == 0)
			return auth_key_fits(key, algorithm);
	}
	return false;
}

/* What the token's header says of the signature. */
struct signing {
	const char *algorithm, *kid; /* kid NULL: it does not say */
};

/* Is it signed with this key? */
static bool
is_signed(const struct auth_key *key, const struct parts *parts, const struct signing *how)
{
	struct buf signature;
	bool is_ok;

	buf_init(&signature, TOKEN_LEN_MAX);
	is_ok =
	    bytes_decode_base64url(&signature, parts->signature, parts->signature_len) == 0 &&
	    auth_key_verify(key, how->algorithm, parts->header,
			    parts->header_len + 1 + parts->payload_len, signature.p, signature.len);
	buf_fini(&signature);
	return is_ok;
}

static bool
is_called(const struct auth_keys *keys, const char *kid)
{
	for (size_t i = 0; i < keys->n; i++) {
		if (auth_key_has_name(keys->v[i], kid))
			return true;
	}
	return false;
}

/*
 * A kid that no key has says nothing: keys in files of their own have none. Then all keys are
 * tried.
 */
static bool
check_signature(struct token_check *rd, const struct parts *parts, const struct signing *how)
{
	const struct auth_keys *keys = &rd->settings->keys;
	bool is_chosen = is_called(keys, how->kid), is_any = false;

	for (size_t i = 0; i < keys->n; i++) {
		if ((is_chosen && !auth_key_has_name(keys->v[i], how->kid)) ||
		    !is_allowed(rd->settings, keys->v[i], how->algorithm))
			continue;
		if (is_signed(keys->v[i], parts, how))
			return true;
		is_any = true;
	}
	return breaks(rd, is_any ? "the signature is wrong" : "the algorithm is not the key's");
}

static bool
has(struct json_object *object, const char *name)
{
	return json_object_object_get_ex(object, name, NULL);
}

/*
 * A header that changes how the rest is to be read is refused: nobody agreed on it (RFC 7515,
 * 4.1.11).
 */
static bool
check_header(struct token_check *rd, const struct parts *parts)
{
	struct json_object *header = decode_object(parts->header, parts->header_len);
	struct signing how = {0};
	bool is_ok;

	how.kid = header != NULL ? json_text(header, "kid") : NULL;
	if (header == NULL)
		is_ok = breaks(rd, "the header is no JSON object in base64url");
	else if (has(header, "crit") || has(header, "b64") || has(header, "zip"))
		is_ok = breaks(rd, "the header has crit, b64 or zip");
	else if ((how.algorithm = json_text(header, "alg")) == NULL)
		is_ok = breaks(rd, "the algorithm is not the key's");
	else
		is_ok = check_signature(rd, parts, &how);
	json_object_put(header);
	return is_ok;
}

/*
 * A time that is missing gives *out = 0. A time is a number, maybe with a fraction (RFC 7519, 2).
 * One beyond all calendars counts as the last moment.
 */
static bool
read_time(struct json_object *claims, const char *name, int64_t *out)
{
	struct json_object *value;
	double seconds;

	*out = 0;
	if (!json_object_object_get_ex(claims, name, &value))
		return true;
	if (!json_object_is_type(value, json_type_int) &&
	    !json_object_is_type(value, json_type_double))
		return false;
	seconds = json_object_get_double(value);
	if (!isfinite(seconds) || seconds < 1)
		return false;
	*out = seconds < TIME_MAX ? (int64_t)seconds : (int64_t)TIME_MAX;
	return true;
}

static bool
check_times(struct token_check *rd, struct token *token)
{
	int64_t not_before;

	if (!read_time(token->claims, "exp", &token->expires))
		return breaks(rd, "exp is no time");
	if (!read_time(token->claims, "nbf", &not_before))
		return breaks(rd, "nbf is no time");
	if (token->expires != 0 && rd->now > token->expires + TOKEN_GRACE_S)
		return breaks(rd, "it has expired");
	if (rd->now < not_before - TOKEN_GRACE_S)
		return breaks(rd, "it is not valid yet");
	return true;
}

/* aud is a string, or a list with one that fits (RFC 7519, 4.1.3). */
static bool
names_audience(struct json_object *claims, const char *audience)
{
	struct json_object *value, *one;
	size_t i;

	if (json_is(claims, "aud", audience))
		return true;
	if (!json_object_object_get_ex(claims, "aud", &value) ||
	    !json_object_is_type(value, json_type_array))
		return false;
	for (i = 0; i < json_object_array_length(value); i++) {
		one = json_object_array_get_idx(value, i);
		if (json_object_is_type(one, json_type_string) &&
		    strcmp(json_object_get_string(one), audience) == 0)
			return true;
	}
	return false;
}

static bool
check_claims(struct token_check *rd, struct token *token)
{
	const struct token_settings *settings = rd->settings;
	struct json_object *user;

	if (!check_times(rd, token))
		return false;
	if (settings->issuer != NULL && !json_is(token->claims, "iss", settings->issuer))
		return breaks(rd, "iss is not the issuer");
	if (settings->audience != NULL && !names_audience(token->claims, settings->audience))
		return breaks(rd, "aud does not name us");
	if (!json_object_object_get_ex(token->claims, settings->user_claim, &user) || user == NULL)
		return breaks(rd, "it has no claim that names the user");
	token->user = json_object_get_string(user);
	return true;
}

/* A user's name is a text or an integer. */
static bool
check_user(struct token_check *rd, const struct token *token)
{
	struct json_object *user = NULL;

	json_object_object_get_ex(token->claims, rd->settings->user_claim, &user);
	if (json_object_is_type(user, json_type_int))
		return true;
	if (!json_object_is_type(user, json_type_string))
		return breaks(rd, "the claim that names the user is neither a text nor an integer");
	if (strlen(token->user) != (size_t)json_object_get_string_len(user))
		return breaks(rd, "the claim that names the user holds a NUL");
	return *token->user != '\0' || breaks(rd, "the claim that names the user is empty");
}

int
token_read(struct token *token, const struct token_settings *settings, const char *text, size_t len,
	   int64_t now, const char **why)
{
	struct token_check rd = {settings, now, ""};
	struct parts parts;
	bool is_ok;

	memset(token, 0, sizeof(*token));
	if (len > TOKEN_LEN_MAX)
		is_ok = breaks(&rd, "it is longer than 8 KiB");
	else if (!split(&parts, text, len))
		is_ok = breaks(&rd, "it has not three parts");
	else if (!check_header(&rd, &parts))
		is_ok = false;
	else if ((token->claims = decode_object(parts.payload, parts.payload_len)) == NULL)
		is_ok = breaks(&rd, "the payload is no JSON object in base64url, each name once");
	else
		is_ok = check_claims(&rd, token);
	if (is_ok && check_user(&rd, token))
		return 0;
	*why = rd.why;
	token_fini(token);
	return is_ok ? -EPERM : -EINVAL;
}

void
token_fini(struct token *token)
{
	json_object_put(token->claims);
	memset(token, 0, sizeof(*token));
}

/* The first algorithm that the settings allow. */
static const char *
signing_algorithm(const struct token_settings *settings, const struct auth_key *key)
{
	const char *algorithm;

	for (size_t n = 0; (algorithm = auth_key_algorithm(key, n)) != NULL; n++) {
		if (is_allowed(settings, key, algorithm))
			return algorithm;
	}
	return NULL;
}

/* {"alg":"HS256","typ":"JWT"}, and the key's name if it has one. */
static int
put_header(struct buf *b, const struct auth_key *key, const char *algorithm)
{
	struct json_object *header = json_object_new_object();
	const char *text;
	size_t len;
	int rc = -ENOMEM;

	if (header == NULL)
		return rc;
	json_object_object_add(header, "alg", json_object_new_string(algorithm));
	json_object_object_add(header, "typ", json_object_new_string("JWT"));
	if (auth_key_kid(key) != NULL)
		json_object_object_add(header, "kid", json_object_new_string(auth_key_kid(key)));
	if ((text = json_object_to_json_string_length(header, JSON_C_TO_STRING_PLAIN, &len)) !=
	    NULL)
		rc = bytes_put_base64url(b, text, len);
	json_object_put(header);
	return rc;
}

int
token_put(struct buf *b, const struct token_settings *settings, struct json_object *claims)
{
	const struct auth_key *key = keys_signer(&settings->keys);
	const char *algorithm = key != NULL ? signing_algorithm(settings, key) : NULL;
	const char *payload = json_object_to_json_string_ext(
	    claims, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	unsigned char mac[BYTES_HMAC_MAX];
	size_t begin = b->len, mac_len;
	int rc;

	if (algorithm == NULL)
		return -EINVAL;
	if (payload == NULL)
		return -ENOMEM;
	if ((rc = put_header(b, key, algorithm)) < 0 || (rc = buf_putc(b, '.')) < 0 ||
	    (rc = bytes_put_base64url(b, payload, strlen(payload))) < 0)
		return rc;
	if ((mac_len = auth_key_sign(key, algorithm, mac, b->p + begin, b->len - begin)) == 0)
		return -ENOMEM;
	if ((rc = buf_putc(b, '.')) < 0)
		return rc;
	return bytes_put_base64url(b, mac, mac_len);
}
