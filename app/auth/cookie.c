#include "auth/cookie.h"

#include <errno.h>
#include <string.h>

#include "base/percent.h"

/* The text is decoded in place, for the result is never longer. */
static void
decode(char *value, const char *raw, size_t len)
{
	int n = percent_decode(value, raw, len, '+');

	if (n >= 0 && strlen(value) == (size_t)n)
		return;
	memcpy(value, raw, len); /* a NUL would end it early */
	value[len] = '\0';
}

int
cookie_find(const char *header, const char *name, char *value, size_t max)
{
	size_t name_len = strlen(name), len, found_len = 0;
	const char *p = header, *found = NULL;

	for (; p != NULL && *p != '\0'; p += len + (p[len] != '\0')) {
		p += strspn(p, " \t");
		len = strcspn(p, ";,");
		if (strncmp(p, name, name_len) != 0 || p[name_len] != '=')
			continue;
		if (len - name_len - 1 > max ||
		    (found != NULL && (found_len != len - name_len - 1 ||
				       memcmp(found, p + name_len + 1, found_len) != 0)))
			return -EINVAL;
		found = p + name_len + 1;
		found_len = len - name_len - 1;
	}
	if (found == NULL)
		return 0;
	decode(value, found, found_len);
	return 1;
}
