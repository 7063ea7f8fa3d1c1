#include "redis/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis/transport.h"

struct tls {
	SSL_CTX *ctx;
	SSL_SESSION *last; /* NULL: none yet */
	char *server_name; /* NULL: the host's */
};

void
tls_settings_fini(struct tls_settings *ts)
{
	free(ts->ca);
	free(ts->cert);
	free(ts->key);
	free(ts->server_name);
	memset(ts, 0, sizeof(*ts));
}

static const char *
reason(unsigned long err)
{
	const char *text = err != 0 ? ERR_reason_error_string(err) : NULL;

	return text != NULL ? text : "unknown";
}

static int
refuse_file(char *why, size_t why_len, const char *key, const char *path)
{
	unsigned long err = ERR_peek_last_error();
	const char *text = ERR_SYSTEM_ERROR(err) ? strerror(ERR_GET_REASON(err)) : reason(err);

	snprintf(why, why_len, "%s cannot be used as %s: %s", path, key, text);
	ERR_clear_error();
	return -EINVAL;
}

/* Our certificate goes with a key; one file may hold both. */
static int
load_own(SSL_CTX *ctx, const struct tls_settings *ts, char *why, size_t why_len)
{
	const char *key = ts->key != NULL ? ts->key : ts->cert;

	if (ts->cert == NULL)
		return 0;
	if (SSL_CTX_use_certificate_chain_file(ctx, ts->cert) != 1)
		return refuse_file(why, why_len, "tls_cert", ts->cert);
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		return refuse_file(why, why_len, "tls_key", key);
	return 0;
}

static int
load(SSL_CTX *ctx, const struct tls_settings *ts, char *why, size_t why_len)
{
	ERR_clear_error();
	if (ts->ca == NULL)
		SSL_CTX_set_default_verify_paths(ctx);
	else if (SSL_CTX_load_verify_locations(ctx, ts->ca, NULL) != 1)
		return refuse_file(why, why_len, "tls_ca", ts->ca);
	return load_own(ctx, ts, why, why_len);
}

/* OpenSSL has a ticket for the next connection; by returning 1 we keep it. */
static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	SSL_SESSION_free(tls->last);
	tls->last = session;
	return 1;
}

static void
set_up(struct tls *tls)
{
	SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(tls->ctx, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(tls->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
				       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				       SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(tls->ctx,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(tls->ctx, on_session);
	SSL_CTX_set_app_data(tls->ctx, tls);
}

int
tls_new(struct tls **out, const struct tls_settings *ts, char *why, size_t why_len)
{
	struct tls *tls = calloc(1, sizeof(*tls));
	int rc = -ENOMEM;

	snprintf(why, why_len, "out of memory");
	if (tls == NULL || (tls->ctx = SSL_CTX_new(TLS_client_method())) == NULL)
		goto fail;
	if (ts->server_name != NULL && (tls->server_name = strdup(ts->server_name)) == NULL)
		goto fail;
	set_up(tls);
	if ((rc = load(tls->ctx, ts, why, why_len)) < 0)
		goto fail;
	*out = tls;
	return 0;
fail:
	tls_free(tls);
	return rc;
}

void
tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	SSL_SESSION_free(tls->last);
	SSL_CTX_free(tls->ctx);
	free(tls->server_name);
	free(tls);
}

/* The words for what went wrong. If the certificate is refused, OpenSSL's own reason is better. */
static int
fail_tls(struct transport *t, SSL *ssl)
{
	long verdict = SSL_get_verify_result(ssl);
	unsigned long err = ERR_peek_last_error();
	char why[sizeof(t->why)];

	if (verdict != X509_V_OK)
		snprintf(why, sizeof(why), "its certificate is refused: %s",
			 X509_verify_cert_error_string(verdict));
	else if (ERR_GET_REASON(err) == SSL_R_WRONG_VERSION_NUMBER ||
		 ERR_GET_REASON(err) == SSL_R_PACKET_LENGTH_TOO_LONG)
		snprintf(why, sizeof(why), "it does not speak TLS there");
	else if (err == 0)
		snprintf(why, sizeof(why), "it closed the connection");
	else
		snprintf(why, sizeof(why), "TLS: %s", reason(err));
	ERR_clear_error();
	return transport_fail(t, -ECONNRESET, why);
}

/* Judges what OpenSSL returned, if it was no success. */
static int
judge(struct transport *t, int ret)
{
	SSL *ssl = t->session;

	t->wants_write = false;
	switch (SSL_get_error(ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		t->wants_write = true;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return transport_fail(t, -ECONNRESET, "it closed the connection");
	default:
		return fail_tls(t, ssl);
	}
}

static int
tls_handshake(struct transport *t)
{
	int ret;

	ERR_clear_error();
	ret = SSL_connect(t->session);
	if (ret != 1)
		return judge(t, ret);
	t->wants_write = false;
	return 0;
}

static ssize_t
tls_read(struct transport *t, void *p, size_t len)
{
	size_t n = 0;
	int ret;

	ERR_clear_error();
	ret = SSL_read_ex(t->session, p, len, &n);
	return ret == 1 ? (ssize_t)n : judge(t, ret);
}

static ssize_t
tls_write(struct transport *t, const void *p, size_t len)
{
	size_t n = 0;
	int ret;

	ERR_clear_error();
	ret = SSL_write_ex(t->session, p, len, &n);
	return ret == 1 ? (ssize_t)n : judge(t, ret);
}

static bool
tls_has_pending(const struct transport *t)
{
	return SSL_pending(t->session) > 0;
}

static void
tls_close(struct transport *t)
{
	SSL_shutdown(t->session); /* says goodbye, if the descriptor takes it */
	ERR_clear_error();
	SSL_free(t->session);
}

static const struct transport_kind kind_tls = {
    .handshake = tls_handshake,
    .read = tls_read,
    .write = tls_write,
    .has_pending = tls_has_pending,
    .close = tls_close,
};

/* An address has no name for SNI, and a certificate bears it in another field. */
static bool
expect_name(SSL *ssl, const char *name)
{
	struct in6_addr any;

	if (inet_pton(AF_INET, name, &any) == 1 || inet_pton(AF_INET6, name, &any) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
	return SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name) == 1;
}

int
tls_begin(struct tls *tls, struct transport *t, const char *host)
{
	SSL *ssl = SSL_new(tls->ctx);

	if (ssl == NULL || SSL_set_fd(ssl, t->fd) != 1 ||
	    !expect_name(ssl, tls->server_name != NULL ? tls->server_name : host)) {
		SSL_free(ssl);
		ERR_clear_error();
		return transport_fail(t, -ENOMEM, "out of memory");
	}
	if (tls->last != NULL)
		SSL_set_session(ssl, tls->last);
	t->session = ssl;
	t->kind = &kind_tls;
	return 0;
}
