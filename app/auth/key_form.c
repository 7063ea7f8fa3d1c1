#include "auth/key_form.h"

#include <stdint.h>
#include <string.h>

#include "sse/utf8.h"

#define PEM_BEGIN "-----BEGIN "

#define TO_PEM    "openssl pkey -pubin -inform DER -out key.pem"
#define OF_CERT   "openssl x509 -pubkey -noout"

enum { DECODED_MAX = 16 * 1024, OIDS_WITHIN = 64 };

static bool
holds(const char *p, size_t len, const char *text)
{
	return memmem(p, len, text, strlen(text)) != NULL;
}

static bool
begins(const char *p, size_t len, const char *text)
{
	return len >= strlen(text) && memcmp(p, text, strlen(text)) == 0;
}

bool
key_form_is_pem(const char *text, size_t len)
{
	return holds(text, len, PEM_BEGIN);
}

static size_t
blanks(const char *p, size_t len)
{
	size_t n = 0;

	while (n < len && strchr(" \t\r\n", p[n]) != NULL && p[n] != '\0')
		n++;
	return n;
}

bool
key_form_is_json(const char *text, size_t len)
{
	size_t n = blanks(text, len);

	return n < len && (text[n] == '{' || text[n] == '[');
}

/*
 * What the header line of a PEM says. The first that is found counts; a public key is none of
 * these.
 */
static const char *
pem_advice(const char *p, size_t len)
{
	static const struct {
		const char *heading, *advice;
	} kinds[] = {
	    {"PRIVATE KEY-----", "it is a private key; what verifies is the public one: openssl "
				 "pkey -in FILE -pubout -out key.pem"},
	    {"BEGIN CERTIFICATE REQUEST", "it is a request for a certificate; what verifies is its "
					  "public key: openssl req -pubkey -noout -in FILE"},
	    {"CERTIFICATE-----",
	     "it is a certificate; what verifies is its public key: " OF_CERT " -in FILE"},
	    {"BEGIN RSA PUBLIC KEY", "it is a public key of RSA alone (PKCS #1): openssl rsa "
				     "-RSAPublicKey_in -in FILE -pubout -out key.pem"},
	    {"PGP ", "it is a key of PGP, with which tokens are not signed"},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (holds(p, len, kinds[i].heading))
			return kinds[i].advice;
	}
	return NULL;
}

/* DER */

/*
 * Reads the head of one DER element: how long its content is. Returns the head's own length, 0 if
 * it is none.
 */
static size_t
der_head(const unsigned char *p, size_t len, size_t *content)
{
	size_t n = len > 1 ? p[1] : 0;

	*content = n;
	if (len < 2 || n < 0x80)
		return len < 2 ? 0 : 2;
	n &= 0x7f;
	if (n == 0 || n > 3 || len < 2 + n)
		return 0;
	*content = 0;
	for (size_t i = 0; i < n; i++)
		*content = *content << 8 | p[2 + i];
	return 2 + n;
}

/*
 * Is it DER? A sequence that is as long as the text; or one that names a kind of public key near
 * its beginning, as a key does that was cut off.
 */
static bool
is_der(const char *text, size_t len, size_t n_ends)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t near = len < OIDS_WITHIN ? len : OIDS_WITHIN, head, content, inner;

	if (len < 2 || p[0] != 0x30 || (head = der_head(p, len, &content)) == 0)
		return false;
	if (memmem(p, near, "\x2a\x86\x48\x86\xf7\x0d\x01\x01", 8) != NULL ||
	    memmem(p, near, "\x2a\x86\x48\xce\x3d\x02\x01", 7) != NULL ||
	    memmem(p, near, "\x30\x05\x06\x03\x2b\x65", 6) != NULL)
		return true;
	if (head + content < len || head + content > len + n_ends || len < head + 2 ||
	    (p[head] != 0x30 && p[head] != 0x02))
		return false;
	return der_head(p + head, len - head, &inner) > 0 && inner < content;
}

/*
 * A certificate has a serial number behind its version, and is long; a key begins with its kind, or
 * with its number.
 */
static const char *
der_advice(const char *p, size_t len, size_t n_ends)
{
	const unsigned char *at = (const unsigned char *)p;
	size_t head, inner, content;

	if (!is_der(p, len, n_ends))
		return NULL;
	head = der_head(at, len, &content);
	if (len > head && at[head] == 0x02)
		return "it is a key in DER, maybe a private one: openssl pkey -inform DER -in FILE "
		       "-pubout -out key.pem";
	inner = der_head(at + head, len - head, &content);
	if (inner > 0 && len > head + inner && at[head + inner] == 0xa0)
		return "it is a certificate in DER: " OF_CERT " -inform DER -in FILE";
	return "it is a public key in DER: " TO_PEM " -in FILE";
}

/* Texts of text */

static int
sextet(char c)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at;

	if (c == '-' || c == '_') /* base64url */
		c = (char)(c == '-' ? '+' : '/');
	at = c != '\0' ? memchr(alphabet, c, 64) : NULL;
	return at != NULL ? (int)(at - alphabet) : -1;
}

/*
 * Decodes base64 of either alphabet, in any lines, padded or not. Returns 0 if there are other
 * bytes.
 */
static size_t
decode_base64(char out[DECODED_MAX], const char *p, size_t len)
{
	size_t n = 0, n_bits = 0;
	uint32_t bits = 0;

	while (len > 0 && (p[len - 1] == '=' || blanks(p + len - 1, 1) == 1))
		len--;
	for (size_t i = 0; i < len; i++) {
		int six = sextet(p[i]);

		if (blanks(p + i, 1) == 1)
			continue;
		if (six < 0 || n == DECODED_MAX)
			return 0;
		bits = bits << 6 | (uint32_t)six;
		n_bits += 6;
		if (n_bits < 8)
			continue;
		n_bits -= 8;
		out[n++] = (char)(bits >> n_bits);
	}
	return n;
}

static int
nibble(char c)
{
	const char *digits = "0123456789abcdef0123456789ABCDEF", *at = strchr(digits, c);

	return c != '\0' && at != NULL ? (int)(at - digits) % 16 : -1;
}

static size_t
decode_hex(char out[DECODED_MAX], const char *p, size_t len)
{
	size_t n = 0;
	int high = -1;

	for (size_t i = 0; i < len; i++) {
		int four = nibble(p[i]);

		if (blanks(p + i, 1) == 1 || p[i] == ':')
			continue;
		if (four < 0 || n == DECODED_MAX)
			return 0;
		if (high >= 0)
			out[n++] = (char)(high << 4 | four);
		high = high < 0 ? four : -1;
	}
	return n;
}

static bool
is_ssh_blob(const char *p, size_t len)
{
	static const char *const kinds[] = {"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"};

	for (size_t i = 0; len > 4 && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (memcmp(p, "\0\0\0", 3) == 0 && begins(p + 4, len - 4, kinds[i]))
			return true;
	}
	return false;
}

static const char *
encoded_advice(const char *p, size_t len)
{
	char bytes[DECODED_MAX];
	size_t n = decode_hex(bytes, p, len);

	if (n > 0 && is_der(bytes, n, 0))
		return "it is a public key in DER, in hexadecimal digits: xxd -r -p FILE | " TO_PEM;
	if ((n = decode_base64(bytes, p, len)) == 0)
		return NULL;
	if (key_form_is_pem(bytes, n))
		return "it is a PEM in base64: base64 -d FILE > key.pem";
	if (is_ssh_blob(bytes, n))
		return "it is a key of SSH without its first word: ssh-keygen -e -m PKCS8 -f FILE "
		       "> "
		       "key.pem reads the whole line";
	if (key_form_is_json(bytes, n) && holds(bytes, n, "\"kty\""))
		return "it is a JWK in base64: base64 -d FILE > keys.json, which jwt_key_file "
		       "names";
	if (der_advice(bytes, n, 0) == NULL)
		return NULL;
	if (strstr(der_advice(bytes, n, 0), "certificate") != NULL)
		return "it is a certificate without its PEM lines: base64 -d FILE | " OF_CERT
		       " -inform DER";
	return "it is a public key without its PEM lines: base64 -d FILE | " TO_PEM;
}

static const char *
ssh_advice(const char *p, size_t len)
{
	static const char *const words[] = {"ssh-rsa ",     "ssh-ed25519 ", "ssh-dss ",
					    "ecdsa-sha2-",  "sk-ssh-",      "sk-ecdsa-",
					    "AAAAB3NzaC1y", "AAAAC3NzaC1l", "AAAAE2VjZHNh"};

	if (begins(p, len, "---- BEGIN SSH2"))
		return "it is a key of SSH: ssh-keygen -i -f FILE > key.pub, then ssh-keygen -e -m "
		       "PKCS8 -f key.pub > key.pem";
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (holds(p, len, words[i]))
			return "it is a key of SSH: ssh-keygen -e -m PKCS8 -f FILE > key.pem";
	}
	return begins(p, len, "ssh-") ? "it is a key of SSH: ssh-keygen -e -m PKCS8 -f FILE > "
					"key.pem"
				      : NULL;
}

/* "https://…": a scheme of RFC 3986, 3.1. */
static bool
is_url(const char *p, size_t len)
{
	size_t n = blanks(p, len), from = n;

	while (n < len && ((p[n] >= 'a' && p[n] <= 'z') || (p[n] >= 'A' && p[n] <= 'Z') ||
			   (n > from && memchr("0123456789+-.", p[n], 13) != NULL)))
		n++;
	return n > from && begins(p + n, len - n, "://");
}

static const char *
mark_advice(const char *p, size_t len)
{
	if (begins(p, len, "\xef\xbb\xbf"))
		return "it begins with a byte order mark, which others may or may not take for a "
		       "part of it: sed -i '1s/^\\xef\\xbb\\xbf//' FILE";
	if (len > 3 && ((begins(p, len, "\xff\xfe") && p[3] == '\0') ||
			(begins(p, len, "\xfe\xff") && p[2] == '\0')))
		return "it is a text in UTF-16: iconv -f UTF-16 -t US-ASCII FILE";
	return NULL;
}

/*
 * The same byte many times may be somebody's secret if it can be typed. If it cannot, as NUL, the
 * file was never filled.
 */
static bool
is_one_byte(const char *p, size_t len)
{
	unsigned char first = (unsigned char)*p;

	for (size_t i = 1; i < len; i++) {
		if (p[i] != p[0])
			return false;
	}
	return first <= ' ' || first >= 0x7f;
}

/* Bytes that are no text have no lines. */
static bool
has_second_line(const char *p, size_t len)
{
	bool has_line = false;

	for (size_t i = 0; i < len; i++) {
		has_line = has_line || p[i] == '\n' || p[i] == '\r';
		if ((unsigned char)p[i] < 0x20 && strchr("\t\r\n", p[i]) == NULL)
			return false;
	}
	return has_line && utf8_valid_len(p, len) == len;
}

const char *
key_form_advice(const char *text, size_t len, size_t n_ends)
{
	const char *advice;

	if ((advice = mark_advice(text, len)) != NULL || (advice = pem_advice(text, len)) != NULL)
		return advice;
	if (key_form_is_pem(text, len))
		return NULL;
	if ((advice = ssh_advice(text, len)) != NULL ||
	    (advice = der_advice(text, len, n_ends)) != NULL ||
	    (advice = encoded_advice(text, len)) != NULL)
		return advice;
	if (key_form_is_json(text, len))
		return "it is JSON: a JWK, or a set of them, stands in a file that jwt_key_file or "
		       "signed_key_file names";
	if (is_url(text, len))
		return "it is a URL, and nothing is fetched: curl -fsS URL > keys.json, which "
		       "jwt_key_file names";
	if (begins(text, len, "Modulus="))
		return "it is the number of an RSA key, which everybody may know: openssl rsa -in "
		       "FILE "
		       "-pubout -out key.pem";
	if (is_one_byte(text, len))
		return "it is one byte over and over, as of a disk that was never written: openssl "
		       "rand "
		       "-hex 32 > FILE makes a secret";
	if (text[blanks(text, len)] == '<')
		return "it is XML; what verifies is a PEM public key (-----BEGIN PUBLIC KEY-----)";
	if (has_second_line(text, len))
		return "it has a second line, and a secret has one: openssl rand -hex 32 > FILE "
		       "makes one";
	return NULL;
}
