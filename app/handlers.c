#include "handlers.h"

#include <string.h>

extern const struct handler relay, health, status, job;

static const struct handler *const handlers[] = {&relay, &job, &health, &status};

const struct handler *
handlers_nth(size_t n)
{
	return n < sizeof(handlers) / sizeof(handlers[0]) ? handlers[n] : NULL;
}

const struct handler *
handlers_find(const char *name)
{
	const struct handler *h;
	size_t n;

	for (n = 0; (h = handlers_nth(n)) != NULL; n++) {
		if (strcmp(h->name, name) == 0)
			return h;
	}
	return NULL;
}
