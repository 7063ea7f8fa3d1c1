#ifndef SLUICE_BASE_ADDRESS_H
#define SLUICE_BASE_ADDRESS_H

/* address - addresses of the Internet as text. Pure: no name service is asked. */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* address_parse - of either family; an IPv4 address as the IPv6 one that it is mapped to. Returns
 * 0, -EINVAL. */
int address_parse(struct in6_addr *out, const char *text);
void address_map(struct in6_addr *out, const struct in_addr *four);

/*
 * address_split - "HOST:PORT" and "[HOST]:PORT": the host, without its brackets, and the port.
 * Returns 0; -EINVAL if there is no host or no colon, or the host is longer than size; -ERANGE for
 * a port that is none from 1 to 65535.
 */
int address_split(const char *text, char *host, size_t size, bool *is_bracketed, uint16_t *port);

#endif
