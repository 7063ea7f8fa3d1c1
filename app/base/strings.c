#include "base/strings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool
strings_are_same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

void
strings_free(char **list)
{
	size_t i;

	for (i = 0; list != NULL && list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

char **
strings_copy(char *const *list)
{
	size_t n = 0, i;
	char **copy;

	while (list != NULL && list[n] != NULL)
		n++;
	if ((copy = calloc(n + 1, sizeof(char *))) == NULL)
		return NULL;
	for (i = 0; i < n; i++) {
		if ((copy[i] = strdup(list[i])) == NULL) {
			strings_free(copy);
			return NULL;
		}
	}
	return copy;
}

/*
 * Copies the quoted part that begins at p, behind its quote, to *to. Returns what follows the
 * closing quote; NULL: there is none.
 */
static const char *
take_quoted(const char *p, char quote, char **to)
{
	for (; *p != quote; p++) {
		if (quote == '"' && *p == '\\' && p[1] != '\0' && strchr("\"\\$`", p[1]) != NULL)
			p++;
		if (*p == '\0')
			return NULL;
		*(*to)++ = *p;
	}
	return p + 1;
}

/* One word at p, which is no blank, to to. As take_quoted(). */
static const char *
take_word(const char *p, char *to)
{
	while (p != NULL && *p != '\0' && *p != ' ' && *p != '\t') {
		if (*p == '\'' || *p == '"') {
			p = take_quoted(p + 1, *p, &to);
			continue;
		}
		if (*p == '\\' && *++p == '\0')
			return NULL;
		*to++ = *p++;
	}
	*to = '\0';
	return p;
}

static int
add_word(char ***list, size_t n, const char *word)
{
	char **v = reallocarray(*list, n + 2, sizeof(char *));

	if (v == NULL)
		return -ENOMEM;
	*list = v;
	v[n + 1] = NULL;
	v[n] = strdup(word);
	return v[n] != NULL ? 0 : -ENOMEM;
}

int
strings_split_words(char ***out, const char *text)
{
	char *word = malloc(strlen(text) + 1), **list = calloc(1, sizeof(*list));
	int rc = word != NULL && list != NULL ? 0 : -ENOMEM;
	const char *p = text + strspn(text, " \t");

	for (size_t n = 0; rc == 0 && *p != '\0'; n++) {
		if ((p = take_word(p, word)) == NULL)
			rc = -EINVAL;
		else if ((rc = add_word(&list, n, word)) == 0)
			p += strspn(p, " \t");
	}
	free(word);
	if (rc < 0)
		strings_free(list);
	else
		*out = list;
	return rc;
}

const char *
strings_next(const char **p, size_t *len)
{
	const char *start = *p + strspn(*p, " \t,");

	*len = strcspn(start, " \t,");
	*p = start + *len;
	return *len > 0 ? start : NULL;
}

size_t
strings_count(const char *text)
{
	size_t len, n = 0;

	while (strings_next(&text, &len) != NULL)
		n++;
	return n;
}
