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
 * script_new - text is copied; name stands before the line in errors; sb is borrowed for the
 * script's life. The text is run once, so that a script that returns no function is found at once.
 * Returns 0, -ENOMEM, or -EINVAL with why.
 */
int script_new(struct script **out, struct sandbox *sb, const char *name, const char *text,
	       char *why, size_t why_len);
void script_free(struct script *sc); /* takes NULL */
const char *script_text(const struct script *sc);

/*
 * script_sees_text - does it use a message's bytes? Then it takes messages that are not JSON, too.
 */
bool script_sees_text(const struct script *sc);

/*
 * script_open - runs the file for one feed, which then has the locals of this run. scope has the
 * parameters. Returns 0 and *callback, and in *after_ms when the file wants to be called, or 0; or
 * -EINVAL with why, and SCRIPT_NONE.
 */
int script_open(struct script *sc, const struct template_scope *scope, int *callback,
		uint64_t *after_ms, char *why, size_t why_len);
void script_close(struct script *sc, int callback); /* takes SCRIPT_NONE */

/*
 * script_run - calls it for scope's message, or without one if that is NULL, and adds the events
 * that it sends to r. Returns 0; or -EINVAL with why, and nothing is added.
 */
int script_run(struct script *sc, int callback, const struct template_scope *scope,
	       struct rendering *r, char *why, size_t why_len);

#endif
