#include "fcgi/params.h"

#include <string.h>

const char *
params_get(const struct params *p, const char *name)
{
	size_t len = strlen(name);
	char **var;

	for (var = p->envp; *var != NULL; var++) {
		if (strncmp(*var, name, len) == 0 && (*var)[len] == '=')
			return (*var)[len + 1] != '\0' ? *var + len + 1 : NULL;
	}
	return NULL;
}
