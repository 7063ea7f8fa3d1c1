#ifndef SLUICE_LOGIC_ASKER_H
#define SLUICE_LOGIC_ASKER_H

/*
 * asker - what Lua can ask about the request: `params`, `claims` and `user`, of the scope of a
 * call. They are read-only, and are made only when they are used.
 */
#include <lua.h>

struct template_scope;

/*
 * asker_open - sets params and claims in the table on the top of the stack. May raise a Lua error.
 */
void asker_open(lua_State *L);

/* asker_push_user - pushes the user of the scope's params; nil: nobody. May raise a Lua error. */
void asker_push_user(lua_State *L, const struct template_scope *scope);

#endif
