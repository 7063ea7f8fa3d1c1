#ifndef SLUICE_ROUTE_SECTION_H
#define SLUICE_ROUTE_SECTION_H

/*
 * section - a route's section while its handler's check() looks at it. Who reads the configuration
 * stands above the handlers, so they reach it by these two pointers.
 */
#include <sluice/handler.h>

struct handler_section {
	/* What it says of a key, with [defaults]; NULL: nothing. */
	const char *(*text)(const struct handler_section *hs, const char *key);
	/* key NULL: of the section as a whole. */
	void (*fault)(const struct handler_section *hs, const char *key, const char *why);
};

#endif
