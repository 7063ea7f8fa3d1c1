#include "base/strings.h"

#include <stdlib.h>
#include <string.h>

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
