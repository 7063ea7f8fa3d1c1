#include "auth/token.h"

#include <errno.h>
#include <string.h>

#include "auth/bytes.h"
#include "logic/message.h"
#include "sse/utf8.h"

static const char token_header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";

/* The three parts, as they are written. */
struct parts {
	const char *header, *payload, *signature;
	size_t header_len, payload_len, signature_len;
};

/* Reading goes from rule to rule, and the first that is broken is told. */
struct reading {
	const struct token_settings *settings;
	int64_t now;
	const char *why;
};

static bool
breaks(struct reading *rd, const char *rule)
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

/* A JSON object in which each name stands once, the caller's; else NULL. */
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

static bool
is_allowed(const struct token_settings *settings, const char *algorithm)
{
	size_t i;

	if (settings->algorithms == NULL)
		return strcmp(algorithm, auth_key_algorithm(settings->key, 0)) == 0;
	for (i = 0; settings->algorithms[i] != NULL; i++) {
		if (strcmp(algorithm, settings->algorithms[i]) == 0)
			return true;
	}
	return false;
}

static bool
check_signature(struct reading *rd, const struct parts *parts, const char *algorithm)
{
	struct buf signature;
	bool is_ok;

	buf_init(&signature, TOKEN_LEN_MAX);
	is_ok =
	    bytes_decode_base64url(&signature, parts->signature, parts->signature_len) == 0 &&
	    auth_key_verify(rd->settings->key, algorithm, parts->header,
			    parts->header_len + 1 + parts->payload_len, signature.p, signature.len);
	buf_fini(&signature);
	return is_ok || breaks(rd, "the signature is wrong");
}

static bool
has(struct json_object *object, const char *name)
{
	return json_object_object_get_ex(object, name, NULL);
}

/* What changes how the rest is to be read is refused: nobody agreed on it (RFC 7515, 4.1.11). */
static bool
check_header(struct reading *rd, const struct parts *parts)
{
	struct json_object *header = decode_object(parts->header, parts->header_len);
	const char *algorithm = header != NULL ? json_text(header, "alg") : NULL;
	bool is_ok;

	if (header == NULL)
		is_ok = breaks(rd, "the header is no JSON object in base64url");
	else if (has(header, "crit") || has(header, "b64") || has(header, "zip"))
		is_ok = breaks(rd, "the header has crit, b64 or zip");
	else if (algorithm == NULL || !is_allowed(rd->settings, algorithm))
		is_ok = breaks(rd, "the algorithm is not the key's");
	else
		is_ok = check_signature(rd, parts, algorithm);
	json_object_put(header);
	return is_ok;
}

/* A time that is not there is *out = 0; one that is no whole number of seconds is wrong. */
static bool
read_time(struct json_object *claims, const char *name, int64_t *out)
{
	struct json_object *value;

	*out = 0;
	if (!json_object_object_get_ex(claims, name, &value))
		return true;
	*out = json_object_get_int64(value);
	return json_object_is_type(value, json_type_int) && *out > 0 && *out < INT64_MAX / 2;
}

static bool
check_times(struct reading *rd, struct token *token)
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

/* A string, or one of several (RFC 7519, 4.1.3). */
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
check_claims(struct reading *rd, struct token *token)
{
	const struct token_settings *settings = rd->settings;
	struct json_object *user;

	if (!check_times(rd, token))
		return false;
	if (settings->issuer != NULL && !json_is(token->claims, "iss", settings->issuer))
		return breaks(rd, "iss is not the issuer");
	if (settings->audience != NULL && !names_audience(token->claims, settings->audience))
		return breaks(rd, "aud does not name us");
	if (!json_object_object_get_ex(token->claims, settings->user_claim, &user) ||
	    !json_object_is_type(user, json_type_string) || json_object_get_string_len(user) == 0)
		return breaks(rd, "the claim that names the user is no text");
	token->user = json_object_get_string(user);
	if (strlen(token->user) != (size_t)json_object_get_string_len(user))
		return breaks(rd, "the claim that names the user holds a NUL");
	return true;
}

int
token_read(struct token *token, const struct token_settings *settings, const char *text, size_t len,
	   int64_t now, const char **why)
{
	struct reading rd = {settings, now, ""};
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
	*why = rd.why;
	if (is_ok)
		return 0;
	token_fini(token);
	return -EINVAL;
}

void
token_fini(struct token *token)
{
	json_object_put(token->claims);
	memset(token, 0, sizeof(*token));
}

int
token_put(struct buf *b, const char *secret, size_t secret_len, struct json_object *claims)
{
	unsigned char mac[BYTES_HMAC_MAX];
	size_t begin = b->len, mac_len, len;
	const char *payload = json_object_to_json_string_length(
	    claims, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	int rc;

	if (payload == NULL)
		return -ENOMEM;
	if ((rc = bytes_put_base64url(b, token_header, sizeof(token_header) - 1)) < 0 ||
	    (rc = buf_putc(b, '.')) < 0 || (rc = bytes_put_base64url(b, payload, len)) < 0)
		return rc;
	mac_len = bytes_hmac(mac, 256, secret, secret_len, b->p + begin, b->len - begin);
	if (mac_len == 0)
		return -ENOMEM;
	if ((rc = buf_putc(b, '.')) < 0)
		return rc;
	return bytes_put_base64url(b, mac, mac_len);
}
