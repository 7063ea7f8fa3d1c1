#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/units.h"

void
address_map(struct in6_addr *out, const struct in_addr *four)
{
	memset(out, 0, sizeof(*out));
	out->s6_addr[10] = out->s6_addr[11] = 0xff;
	memcpy(&out->s6_addr[12], four, sizeof(*four));
}

int
address_parse(struct in6_addr *out, const char *text)
{
	struct in_addr four;

	if (inet_pton(AF_INET, text, &four) == 1) {
		address_map(out, &four);
		return 0;
	}
	return inet_pton(AF_INET6, text, out) == 1 ? 0 : -EINVAL;
}

int
address_split(const char *text, char *host, size_t size, bool *is_bracketed, uint16_t *port)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon != NULL ? (size_t)(colon - text) : 0;
	uint64_t n;

	if (len == 0)
		return -EINVAL;
	if (units_number(&n, colon + 1) < 0 || n < 1 || n > UINT16_MAX)
		return -ERANGE;
	*is_bracketed = len >= 2 && text[0] == '[' && colon[-1] == ']';
	text += *is_bracketed;
	len -= *is_bracketed ? 2 : 0;
	if (len >= size)
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	*port = (uint16_t)n;
	return 0;
}
