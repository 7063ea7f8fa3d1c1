#include "base/digest.h"

#include <stddef.h>

uint64_t
digest_add(uint64_t state, const char *text)
{
	uint64_t h = state != 0 ? state : 0xcbf29ce484222325U; /* FNV-1a */

	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3U;
	return (h ^ 0xff) * 0x100000001b3U; /* so that "ab" "c" and "a" "bc" differ */
}

void
digest_put(char out[DIGEST_TEXT + 1], uint64_t state)
{
	state ^= state >> 32; /* the low bits of FNV are its weakest */
	state ^= state >> 15;
	for (size_t i = 0; i < DIGEST_TEXT; i++, state >>= 5)
		out[i] = DIGEST_DIGITS[state & 31];
	out[DIGEST_TEXT] = '\0';
}
