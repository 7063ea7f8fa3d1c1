#ifndef SLUICE_LOGIC_EXPRESSION_H
#define SLUICE_LOGIC_EXPRESSION_H

/*
 * expression - a Lua expression from the configuration, compiled once.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "logic/sandbox.h"

struct expression;

/*
 * expression_new - text is copied, sb borrowed for its life. Returns 0, -ENOMEM, or -EINVAL with
 * why: it does not compile, or uses a name that does not exist.
 */
int expression_new(struct expression **out, struct sandbox *sb, const char *text, char *why,
		   size_t why_len);
void expression_free(struct expression *ex); /* takes NULL */

/* Does it look at the message as JSON, and does it look at its bytes? */
bool expression_sees_message(const struct expression *ex);
bool expression_sees_text(const struct expression *ex);

/*
 * expression_is_true - evaluates it for scope's message. Returns 0 and *is_true; or -EINVAL with
 * why it failed.
 */
int expression_is_true(struct expression *ex, const struct template_scope *scope, bool *is_true,
		       char *why, size_t why_len);

/*
 * expression_render - appends the result to b: a string as it is, anything else as JSON. If it is
 * nil or false, *is_some is false and nothing is appended. Returns 0; or -EINVAL with why, and b is
 * as it was.
 */
int expression_render(struct expression *ex, const struct template_scope *scope, struct buf *b,
		      bool *is_some, char *why, size_t why_len);

/*
 * expression_check_names - does the text use only names that exist for it? Returns 0, or -EINVAL
 * with why, which names the line if is_file.
 */
int expression_check_names(const char *text, bool is_file, char *why, size_t why_len);

#endif
