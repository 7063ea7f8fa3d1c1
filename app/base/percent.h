#ifndef SLUICE_BASE_PERCENT_H
#define SLUICE_BASE_PERCENT_H

/* percent - "%41" for "A" (RFC 3986, 2.1). Pure. */
#include <stddef.h>

/*
 * percent_decode - decode len bytes, exactly once, into out, which has room for len + 1, and end
 * them with a NUL. plus is what a '+' stands for: '+', or ' ' in a query. Returns the length; or
 * -EINVAL for a '%' that is not followed by two hexadecimal digits.
 */
int percent_decode(char *out, const char *p, size_t len, char plus);

#endif
