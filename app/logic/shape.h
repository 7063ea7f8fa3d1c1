#ifndef SLUICE_LOGIC_SHAPE_H
#define SLUICE_LOGIC_SHAPE_H

/*
 * shape - a message's object with fewer fields and others added, without an expression.
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
	char **fields; /* to keep; ends with NULL; NULL: all */
	struct shape_add *adds;
	size_t n_adds;
};

void shape_fini(struct shape *sh);
bool shape_is_empty(const struct shape *sh); /* nothing is taken away, nothing added */

/*
 * shape_render - append the object to b, its fields in the message's order and then those that are
 * added, which take the place of the message's of the same name. Returns 0, -EINVAL if the message
 * is no object, -ENOENT for a template's field that is not there, -EMSGSIZE, -ENOMEM; b is as it
 * was then.
 */
int shape_render(const struct shape *sh, const struct template_scope *scope, struct buf *b);

#endif
