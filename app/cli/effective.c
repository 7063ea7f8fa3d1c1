#include "cli/effective.h"

#include <stdio.h>
#include <string.h>

#include "config/keys.h"

char *
effective_value(const struct route *rt, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = rt->source; *line != '\0'; line += strcspn(line, "\n") + 1) {
		if (strncmp(line, key, len) == 0 && strncmp(line + len, " = ", 3) == 0)
			return strndup(line + len + 3, strcspn(line + len + 3, "\n"));
	}
	return NULL;
}

/* Has the table of "routes" a column for this key? */
static bool
is_in_table(const char *key)
{
	for (size_t i = 0; i < N_SUBJECT_KINDS; i++) {
		if (strcmp(key, subject_traits[i].key) == 0)
			return true;
	}
	return strcmp(key, "path") == 0 || strcmp(key, "handler") == 0;
}

/* Is this line of the source the default? */
static bool
is_plain(const char *line, size_t len)
{
	size_t key_len = strcspn(line, " ");
	const char *value = line + key_len + 3;
	const struct config_key *key;
	char name[128];

	snprintf(name, sizeof(name), "%.*s", (int)key_len, line);
	if (is_in_table(name))
		return true;
	key = config_key_find(CONFIG_ROUTE, name);
	return key != NULL && key->fallback != NULL && strlen(key->fallback) == len - key_len - 3 &&
	       memcmp(value, key->fallback, strlen(key->fallback)) == 0;
}

void
effective_print(const struct route *rt)
{
	size_t len;

	for (const char *line = rt->source; *line != '\0'; line += len + 1) {
		len = strcspn(line, "\n");
		if (!is_plain(line, len))
			printf("    %.*s\n", (int)len, line);
	}
}
