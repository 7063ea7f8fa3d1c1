#ifndef SLUICE_LOGIC_VALUES_TAG_H
#define SLUICE_LOGIC_VALUES_TAG_H

/*
 * values_tag - the userdata that stand for our values in Lua. Each begins with its tag, which is
 * checked before anything else of it is read. No other library of the state makes a userdata that a
 * text can reach.
 */
#include <lauxlib.h>
#include <lua.h>

enum values_tag { TAG_VIEW, TAG_WIDE, TAG_PARAMS, TAG_CLAIMS, N_TAGS };

/*
 * values_tag_add - functions are the metatable of all with this tag, from now on; name stands in
 * the texts of errors; it is left on the top of the stack. values_tag_set: the userdata on the top
 * of the stack, which begins with its tag, gets it. May raise a Lua error.
 */
void values_tag_add(lua_State *L, enum values_tag tag, const char *name, const luaL_Reg *functions);
void values_tag_set(lua_State *L, enum values_tag tag);

/* values_tagged - the userdata at index, if it has this tag; else NULL. */
const void *values_tagged(lua_State *L, int index, enum values_tag tag);

/* values_next - Lua's next() over a table; __pairs returns it together with a table of ours. */
int values_next(lua_State *L);

#endif
