#include "logic/wide.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

void
wide_push(lua_State *L, const char *text, size_t len)
{
	struct wide *wide = lua_newuserdatauv(L, sizeof(*wide) + len + 1, 0);

	wide->tag = TAG_WIDE;
	wide->len = len;
	memcpy(wide->text, text, len);
	wide->text[len] = '\0';
	wide->value = strtod(wide->text, NULL);
	values_tag_set(L, TAG_WIDE);
}

static double
number_at(lua_State *L, int index)
{
	const struct wide *wide = values_tagged(L, index, TAG_WIDE);

	return wide != NULL ? wide->value : luaL_checknumber(L, index);
}

/*
 * Two wide numbers are compared by their digits, because different ones may be equal as floats.
 */
static int
compare(lua_State *L)
{
	const struct wide *a = values_tagged(L, 1, TAG_WIDE), *b = values_tagged(L, 2, TAG_WIDE);
	double x = number_at(L, 1), y = number_at(L, 2);
	int order;

	if (a == NULL || b == NULL || (a->text[0] == '-') != (b->text[0] == '-'))
		return x < y ? -1 : x > y;
	order = a->len != b->len ? (a->len < b->len ? -1 : 1) : strcmp(a->text, b->text);
	return a->text[0] == '-' ? -order : order;
}

static int
wide_lt(lua_State *L)
{
	lua_pushboolean(L, compare(L) < 0);
	return 1;
}

static int
wide_le(lua_State *L)
{
	lua_pushboolean(L, compare(L) <= 0);
	return 1;
}

static int
wide_eq(lua_State *L)
{
	lua_pushboolean(L, values_tagged(L, 1, TAG_WIDE) && values_tagged(L, 2, TAG_WIDE) &&
			       compare(L) == 0);
	return 1;
}

/* Upvalue 1 is the operator for lua_arith(). */
static int
wide_arith(lua_State *L)
{
	int op = (int)lua_tointeger(L, lua_upvalueindex(1));
	double a = number_at(L, 1), b = number_at(L, 2);

	lua_pushnumber(L, a);
	if (op != LUA_OPUNM)
		lua_pushnumber(L, b);
	lua_arith(L, op);
	return 1;
}

static int
wide_tostring(lua_State *L)
{
	const struct wide *wide = values_tagged(L, 1, TAG_WIDE);

	if (wide == NULL)
		return luaL_error(L, "no number");
	lua_pushlstring(L, wide->text, wide->len);
	return 1;
}

static const luaL_Reg wide_functions[] = {
    {"__lt", wide_lt}, {"__le", wide_le}, {"__eq", wide_eq}, {"__tostring", wide_tostring},
    {NULL, NULL},
};
static const struct {
	const char *name;
	int op;
} operators[] = {
    {"__add", LUA_OPADD}, {"__sub", LUA_OPSUB}, {"__mul", LUA_OPMUL},   {"__div", LUA_OPDIV},
    {"__mod", LUA_OPMOD}, {"__pow", LUA_OPPOW}, {"__idiv", LUA_OPIDIV}, {"__unm", LUA_OPUNM},
};

void
wide_open(lua_State *L)
{
	values_tag_add(L, TAG_WIDE, "number", wide_functions);
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		lua_pushinteger(L, operators[i].op);
		lua_pushcclosure(L, wide_arith, 1);
		lua_setfield(L, -2, operators[i].name);
	}
	lua_pop(L, 1);
}
