#ifndef SLUICE_SHARING_H
#define SLUICE_SHARING_H

/*
 * sharing - which subscribers of a route share one feed, and so the work on its messages, in words.
 */
#include "route/route.h"

enum { SHARING_TEXT = 512 };

/* sharing_text - "all", "those with the same a, b", "none" or, without a feed, "-". Returns text.
 */
const char *sharing_text(const struct route *rt, char text[SHARING_TEXT]);

#endif
