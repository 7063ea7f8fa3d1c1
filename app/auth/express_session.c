/*
 * express_session.c - sessions of Express, with express-session and connect-redis. The cookie is
 * "s:ID.MAC"; the MAC is HMAC-SHA-256 of the ID in base64 without padding. Redis keeps the session
 * as JSON.
 * Source: the documentation of the packages cookie-signature, express-session and connect-redis.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "auth/bytes.h"
#include "auth/session_format.h"
#include "auth/session_json.h"

enum { MAC = 32, MAC_TEXT = 43, PADDED_TEXT = 44 };

static bool
is_of(const struct session_secret *secret, const char *id, size_t id_len, const char *mac_text)
{
	unsigned char mac[BYTES_HMAC_MAX], text[PADDED_TEXT + 1];

	if (bytes_hmac(mac, 256, secret->p, secret->len, id, id_len) != MAC)
		return false;
	EVP_EncodeBlock(text, mac, MAC);
	return bytes_equal(text, MAC_TEXT, mac_text, strlen(mac_text));
}

static int
open_cookie(const struct session_secrets *secrets, const struct session_cookie *cookie,
	    struct buf *name, const char **why)
{
	const char *id = cookie->value + 2, *dot = strrchr(cookie->value, '.');

	*why = "the cookie is not s:ID.SIGNATURE, as Express signs it";
	if (strncmp(cookie->value, "s:", 2) != 0 || dot == NULL || dot <= id)
		return -EINVAL;
	*why = "the cookie's signature is not by the secret of session_secret_file";
	for (size_t i = 0; i < secrets->n; i++) {
		if (is_of(&secrets->v[i], id, (size_t)(dot - id), dot + 1))
			return buf_put(name, id, (size_t)(dot - id));
	}
	return -EINVAL;
}

const struct session_format session_format_express = {
    .name = "express",
    .open = open_cookie,
    .read = session_json_read,
    .unread = "the session is not JSON, as connect-redis stores it",
    .cookie_max = 512,
};
