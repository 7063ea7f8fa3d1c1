#ifndef SLUICE_LOGIC_SHAPE_H
#define SLUICE_LOGIC_SHAPE_H

/*
 * shape - a message's object with some fields left out and others added, without an expression.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "logic/template.h"

struct shape_add {
	char *name;
	struct template *value;
};

struct shape {
	char **fields; /* fields to keep; ends with NULL; NULL: all */
	struct shape_add *adds;
	size_t n_adds;
};

void shape_fini(struct shape *sh);
bool shape_is_empty(const struct shape *sh); /* nothing is taken away, nothing added */

/*
 * shape_render - appends the object to b: its fields in the message's order, then those that are
 * added, which replace the message's fields of the same name. Returns 0, -EINVAL if the message is
 * no object, -ENOENT if a field of a template is missing, -EMSGSIZE, -ENOMEM; then b is as it was.
 */
int shape_render(const struct shape *sh, const struct template_scope *scope, struct buf *b);

#endif
