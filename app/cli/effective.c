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

/* Is this line of the source what would hold without it? */
static bool
is_plain(const char *line, size_t len)
{
	static const char *const in_table[] = {"path",     "handler", "channels",
					       "patterns", "streams", "keyspace"};
	size_t key_len = strcspn(line, " ");
	const char *value = line + key_len + 3;
	const struct config_key *key;
	char name[128];

	snprintf(name, sizeof(name), "%.*s", (int)key_len, line);
	for (size_t i = 0; i < sizeof(in_table) / sizeof(in_table[0]); i++) {
		if (strcmp(name, in_table[i]) == 0)
			return true;
	}
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
