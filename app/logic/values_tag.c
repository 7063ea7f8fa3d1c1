#include "logic/values_tag.h"

/* Keys of the registry; only their addresses are used. */
static const char metatables[N_TAGS];

void
values_tag_add(lua_State *L, enum values_tag tag, const char *name, const luaL_Reg *functions)
{
	lua_newtable(L);
	luaL_setfuncs(L, functions, 0);
	lua_pushstring(L, name);
	lua_setfield(L, -2, "__name"); /* for the texts of errors */
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &metatables[tag]);
}

void
values_tag_set(lua_State *L, enum values_tag tag)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, &metatables[tag]);
	lua_setmetatable(L, -2);
}

const void *
values_tagged(lua_State *L, int index, enum values_tag tag)
{
	const enum values_tag *p =
	    lua_type(L, index) == LUA_TUSERDATA ? lua_touserdata(L, index) : NULL;

	return p != NULL && *p == tag ? p : NULL;
}

int
values_next(lua_State *L)
{
	lua_settop(L, 2);
	return lua_next(L, 1) != 0 ? 2 : (lua_pushnil(L), 1);
}
