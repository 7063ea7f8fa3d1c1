#include "base/suggest.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define WORD_MAX 64

void
suggest_init(struct suggest *s, const char *word)
{
	*s = (struct suggest){.word = word, .best = NULL, .distance = SIZE_MAX};
}

void
suggest_try(struct suggest *s, const char *name)
{
	size_t d = suggest_distance(s->word, name);

	if (d < s->distance) {
		s->distance = d;
		s->best = name;
	}
}

const char *
suggest_best(const struct suggest *s)
{
	size_t len;

	if (s->best == NULL)
		return NULL;
	len = strlen(s->best);
	return s->distance <= (len < 3 ? 1 : (len + 2) / 3) ? s->best : NULL;
}

static int
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static size_t
min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

size_t
suggest_distance(const char *a, const char *b)
{
	size_t row[3][WORD_MAX + 1]; /* the last three rows of the table; i counts them round */
	size_t n = strlen(a), m = strlen(b);

	if (n > WORD_MAX || m > WORD_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= m; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *cur = row[i % 3];
		const size_t *up = row[(i - 1) % 3], *up2 = row[(i + 1) % 3];

		cur[0] = i;
		for (size_t j = 1; j <= m; j++) {
			bool same = lower(a[i - 1]) == lower(b[j - 1]);

			cur[j] = min3(up[j] + 1, cur[j - 1] + 1, up[j - 1] + (same ? 0 : 1));
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
			    lower(a[i - 2]) == lower(b[j - 1]) && up2[j - 2] + 1 < cur[j])
				cur[j] = up2[j - 2] + 1;
		}
	}
	return row[n % 3][m];
}
