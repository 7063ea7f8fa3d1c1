#ifndef SLUICE_LOGIC_SCRIPT_H
#define SLUICE_LOGIC_SCRIPT_H

/*
 * script - a Lua file that returns function(channel, message, event), which is called for each
 * message of a feed.
 */
#include <lauxlib.h>
#include <stdbool.h>
#include <stddef.h>

#include "logic/rendering.h"
#include "logic/sandbox.h"

struct script;

enum { SCRIPT_LEN_MAX = 256 * 1024, SCRIPT_NONE = LUA_NOREF };

/*
 * script_new - name stands before the line in errors. The text is copied, sb borrowed for its life.
 * It is run once, so that one that gives no function is found at once. Returns 0, -ENOMEM, or
 * -EINVAL with why.
 */
int script_new(struct script **out, struct sandbox *sb, const char *name, const char *text,
	       char *why, size_t why_len);
void script_free(struct script *sc); /* takes NULL */
const char *script_text(const struct script *sc);

/* script_sees_text - does it look at a message's bytes, so that it takes one that is not JSON? */
bool script_sees_text(const struct script *sc);

/*
 * script_open - run the file for one feed: what its locals hold is that feed's. scope has the
 * parameters. Returns 0 and *callback, and in *after_ms when the file wants it to be called, or 0;
 * or -EINVAL with why, and SCRIPT_NONE.
 */
int script_open(struct script *sc, const struct template_scope *scope, int *callback,
		uint64_t *after_ms, char *why, size_t why_len);
void script_close(struct script *sc, int callback); /* takes SCRIPT_NONE */

/*
 * script_run - call it for scope's message, or without one if that is NULL, and add what it sends
 * to r. Returns 0; or -EINVAL with why, and nothing is added.
 */
int script_run(struct script *sc, int callback, const struct template_scope *scope,
	       struct rendering *r, char *why, size_t why_len);

#endif
