#ifndef SLUICE_HANDLERS_H
#define SLUICE_HANDLERS_H

#include <stddef.h>

#include <sluice/handler.h>

/* handlers_find - the handler of this name, or NULL. handlers_nth - for lists; NULL past the last.
 */
const struct handler *handlers_find(const char *name);
const struct handler *handlers_nth(size_t n);

/* handlers_of_kind - the first handler of the kind, whose keys all of the kind have. */
const struct handler *handlers_of_kind(enum handler_kind kind);

/*
 * handlers_load - adds the handlers of a module. The module stays loaded for the process's life,
 * and loading it again changes nothing. Returns 0, -ENOMEM, or -EINVAL with why.
 */
int handlers_load(const char *path, char *why, size_t why_len);

#endif
