#ifndef SLUICE_ROUTE_SECTION_H
#define SLUICE_ROUTE_SECTION_H

/*
 * section - a route's section while its handler's check() looks at it. The configuration is read in
 * a folder above the handlers, so they reach it through these two pointers.
 */
#include <sluice/handler.h>

struct handler_section {
	/* The value of a key, with [defaults]; NULL: there is none. */
	const char *(*text)(const struct handler_section *hs, const char *key);
	/* Reports a fault; key NULL: of the section as a whole. */
	void (*fault)(const struct handler_section *hs, const char *key, const char *why);
};

#endif
