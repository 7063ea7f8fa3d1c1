#include "route/origin.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "route/cors.h"

/* Pages */

static bool
is_secure(const struct request *req)
{
	const char *https = params_get(req->vars, "HTTPS");
	const char *scheme = params_get(req->vars, "REQUEST_SCHEME");

	if (https != NULL)
		return strcmp(https, "off") != 0;
	return scheme != NULL && strcmp(scheme, "https") == 0;
}

/*
 * Is it the site's own origin, "https://host:8443" as browsers write it (RFC 6454, 6.2)? A web
 * server may pass the host on without its port, and the port in another variable.
 */
static bool
is_own(const struct request *req, const char *origin, size_t len)
{
	const char *host = request_header(req, "Host"),
		   *port = params_get(req->vars, "SERVER_PORT");
	const char *scheme = is_secure(req) ? "https://" : "http://";
	size_t begin = host != NULL ? strlen(scheme) + strlen(host) : 0;

	if (host == NULL || len < begin || strncmp(origin, scheme, strlen(scheme)) != 0 ||
	    memcmp(origin + strlen(scheme), host, strlen(host)) != 0)
		return false;
	if (len == begin)
		return true;
	return port != NULL && host[strcspn(host, ":]")] == '\0' && origin[begin] == ':' &&
	       len == begin + 1 + strlen(port) &&
	       memcmp(origin + begin + 1, port, strlen(port)) == 0;
}

bool
origin_is_ours(const struct request *req)
{
	const char *origin = request_header(req, "Origin"), *site, *referer, *path;

	if (origin != NULL)
		return is_own(req, origin, strlen(origin)) || cors_lists(req, origin);
	if ((site = request_header(req, "Sec-Fetch-Site")) != NULL)
		return strcmp(site, "same-origin") == 0;
	if ((referer = request_header(req, "Referer")) == NULL ||
	    (path = strstr(referer, "://")) == NULL)
		return false;
	return is_own(req, referer, (size_t)(path - referer) + 3 + strcspn(path + 3, "/?#"));
}

bool
origin_may_read(const struct request *req, bool by_cookie)
{
	const char *origin = request_header(req, "Origin");

	if (origin == NULL || is_own(req, origin, strlen(origin)))
		return true;
	return by_cookie ? req->route->cors_credentials && cors_lists(req, origin)
			 : cors_lists(req, origin) || cors_lists(req, "*");
}

/* Addresses */

/*
 * Reads an address of either family: returns 4 or 16 bytes; 0 if it is none. An IPv4 address in
 * IPv6's form counts as IPv4.
 */
static size_t
parse_address(unsigned char bytes[16], const char *text)
{
	struct in6_addr six;
	size_t skip;

	if (address_parse(&six, text) < 0)
		return 0;
	skip = IN6_IS_ADDR_V4MAPPED(&six) ? sizeof(six) - sizeof(struct in_addr) : 0;
	memcpy(bytes, six.s6_addr + skip, sizeof(six) - skip);
	return sizeof(six) - skip;
}

/* Reads "192.0.2.0/24"; if there is no slash, *bits is all bits of the address. */
static size_t
parse_network(unsigned char bytes[16], unsigned *bits, const char *text)
{
	char address[ORIGIN_ADDRESS_MAX], *end;
	size_t len = strcspn(text, "/"), n;
	unsigned long width;

	if (len >= sizeof(address))
		return 0;
	memcpy(address, text, len);
	address[len] = '\0';
	if ((n = parse_address(bytes, address)) == 0)
		return 0;
	*bits = (unsigned)n * 8;
	if (text[len] == '\0')
		return n;
	width = strtoul(text + len + 1, &end, 10);
	if (text[len + 1] < '0' || text[len + 1] > '9' || *end != '\0' || width > *bits)
		return 0;
	*bits = (unsigned)width;
	return n;
}

bool
origin_check_network(const char *text)
{
	unsigned char bytes[16];
	unsigned bits;

	return parse_network(bytes, &bits, text) > 0;
}

static bool
is_in(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned rest = bits % 8;

	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return rest == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - rest)) == 0;
}

static bool
is_proxy(const char *address, char *const *proxies)
{
	unsigned char a[16], b[16];
	size_t n = parse_address(a, address);
	unsigned bits;

	for (; n > 0 && proxies != NULL && *proxies != NULL; proxies++) {
		if (parse_network(b, &bits, *proxies) == n && is_in(a, b, bits))
			return true;
	}
	return false;
}

/*
 * Copies the last member of a list up to len, without a port and brackets, into address. Returns
 * where the list before it ends.
 */
static size_t
last_of(char address[ORIGIN_ADDRESS_MAX], const char *list, size_t len)
{
	size_t from, begin, end = len;

	for (from = len; from > 0 && list[from - 1] != ','; from--)
		;
	for (begin = from; begin < end && list[begin] == ' '; begin++)
		;
	while (end > begin && list[end - 1] == ' ')
		end--;
	snprintf(address, ORIGIN_ADDRESS_MAX, "%.*s", (int)(end - begin), list + begin);
	if (*address == '[') { /* [2001:db8::1]:443 */
		memmove(address, address + 1, strlen(address));
		address[strcspn(address, "]")] = '\0';
	} else if (strchr(address, ':') != NULL && strchr(address, ':') == strrchr(address, ':')) {
		*strchr(address, ':') = '\0'; /* 192.0.2.1:443 */
	}
	return from > 0 ? from - 1 : 0;
}

void
origin_address(char address[ORIGIN_ADDRESS_MAX], const struct request *req, char *const *proxies)
{
	const char *peer = params_get(req->vars, "REMOTE_ADDR");
	const char *list = request_header(req, "X-Forwarded-For");
	unsigned char bytes[16];
	char hop[ORIGIN_ADDRESS_MAX];
	size_t len = list != NULL ? strlen(list) : 0;

	snprintf(address, ORIGIN_ADDRESS_MAX, "%s", peer != NULL ? peer : "");
	while (len > 0 && is_proxy(address, proxies)) {
		len = last_of(hop, list, len);
		/* The client may have made this up, so the proxy that passed it on counts. */
		if (parse_address(bytes, hop) == 0)
			break;
		memcpy(address, hop, sizeof(hop));
	}
	/*
	 * A client with one address of IPv6 has the other 2^64 of its network, too (RFC 4291,
	 * 2.5.1).
	 */
	if (parse_address(bytes, address) == sizeof(bytes)) {
		memset(bytes + 8, 0, 8);
		(void)inet_ntop(AF_INET6, bytes, address, ORIGIN_ADDRESS_MAX);
	}
}
