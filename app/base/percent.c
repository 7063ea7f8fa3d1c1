#include "base/percent.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>

static bool
hex_value(char c, unsigned *out)
{
	unsigned char lower = (unsigned char)tolower((unsigned char)c);

	if (lower >= '0' && lower <= '9')
		*out = lower - '0';
	else if (lower >= 'a' && lower <= 'f')
		*out = lower - 'a' + 10U;
	else
		return false;
	return true;
}

int
percent_decode(char *out, const char *p, size_t len, char plus)
{
	size_t i, n = 0;
	unsigned high, low;

	for (i = 0; i < len; i++) {
		if (p[i] == '%') {
			if (len - i < 3 || !hex_value(p[i + 1], &high) ||
			    !hex_value(p[i + 2], &low))
				return -EINVAL;
			out[n++] = (char)(unsigned char)(high << 4 | low);
			i += 2;
		} else {
			out[n] = p[i];
			if (p[i] == '+')
				out[n] = plus;
			n++;
		}
	}
	out[n] = '\0';
	return (int)n;
}
