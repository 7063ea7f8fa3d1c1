#ifndef SLUICE_LOGIC_ASKER_H
#define SLUICE_LOGIC_ASKER_H

/*
 * asker - what Lua is told of the request: `params`, `claims` and `user`, of the scope that a call
 * looks at. They are read-only, and nothing of them is made before it is asked for.
 */
#include <lua.h>

struct template_scope;

/* asker_open - set params and claims in the table on the top of the stack. May raise a Lua error.
 */
void asker_open(lua_State *L);

/* asker_push_user - push who asks, of the scope's params; nil: nobody. May raise a Lua error. */
void asker_push_user(lua_State *L, const struct template_scope *scope);

#endif
