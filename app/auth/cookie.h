#ifndef SLUICE_AUTH_COOKIE_H
#define SLUICE_AUTH_COOKIE_H

/*
 * cookie - one cookie's value out of the header (RFC 6265, 4.2.1). Pure.
 */
#include <stddef.h>

/*
 * cookie_find - finds the cookie in header, which may be NULL and in which servers join two Cookie
 * fields by a comma. Its value is percent-decoded once if that is possible, else it is copied as it
 * came; value has room for max + 1 bytes. Returns 1; 0 if there is none; -EINVAL if there are two
 * that differ, or it is longer than max.
 */
int cookie_find(const char *header, const char *name, char *value, size_t max);

#endif
