#include "fcgi/params.h"

#include <string.h>

const char *
params_get(const struct params *p, const char *name)
{
	size_t len = strlen(name);
	char **var;

	for (var = p->envp; *var != NULL; var++) {
		/* The first letter tells most of them apart, and is seen without a call. */
		if (**var == *name && strncmp(*var, name, len) == 0 && (*var)[len] == '=')
			return (*var)[len + 1] != '\0' ? *var + len + 1 : NULL;
	}
	return NULL;
}
