#ifndef SLUICE_REDIS_TLS_H
#define SLUICE_REDIS_TLS_H

/*
 * tls - TLS on a transport's descriptor, by OpenSSL. The server's certificate and name are always
 * checked; there is no setting that leaves it out.
 */
#include <stddef.h>

struct transport;
struct tls;

struct tls_settings {
	char *ca;          /* a file of certificates; NULL: those that the system trusts */
	char *cert, *key;  /* ours, for a server that asks for one; NULL: none */
	char *server_name; /* that the certificate bears; NULL: the host of the URL */
};
void tls_settings_fini(struct tls_settings *ts);

/*
 * tls_new - what all connections share: certificates, and the last session, which saves the next
 * one a round trip. On failure why says which file is wrong. Returns 0, -EINVAL, -ENOMEM.
 */
int tls_new(struct tls **out, const struct tls_settings *ts, char *why, size_t why_len);
void tls_free(struct tls *tls); /* takes NULL; after its transports */

/* tls_begin - t, which is connecting, will speak TLS with host. Returns 0, -ENOMEM, and t->why. */
int tls_begin(struct tls *tls, struct transport *t, const char *host);

#endif
