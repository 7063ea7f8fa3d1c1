#ifndef SLUICE_AUTH_COOKIE_H
#define SLUICE_AUTH_COOKIE_H

/*
 * cookie - one cookie's value out of the header (RFC 6265, 4.2.1). Pure.
 */
#include <stddef.h>

/*
 * cookie_find - header may be NULL; servers join two of them by a comma. value, with room for
 * max + 1 bytes, is percent-decoded once if it can be, else as it came. Returns 1; 0 if there is
 * none; -EINVAL if there are two that differ, or it is longer than max.
 */
int cookie_find(const char *header, const char *name, char *value, size_t max);

#endif
