#include "logic/values_private.h"

#include <lauxlib.h>
#include <stdint.h>
#include <string.h>

#include "logic/message.h"
#include "logic/sandbox.h"
#include "logic/wide.h"

/* A key of the registry; only its address is used. */
const char values_array_metatable;

static bool
is_null(lua_State *L, int index)
{
	return lua_type(L, index) == LUA_TLIGHTUSERDATA;
}

/* Scalars */

static void
push_integer(lua_State *L, struct json_object *json)
{
	int64_t n = json_object_get_int64(json);
	const char *text;

	if (n == INT64_MAX && json_object_get_uint64(json) > (uint64_t)INT64_MAX) {
		text = json_object_to_json_string_ext(json, VALUES_PLAIN);
		wide_push(L, text, strlen(text));
		return;
	}
	lua_pushinteger(L, n);
}

static void
push_double(lua_State *L, struct json_object *json)
{
	const char *text = json_object_to_json_string_ext(json, VALUES_PLAIN);

	if (text[strspn(text, "-0123456789")] == '\0')
		wide_push(L, text, strlen(text));
	else
		lua_pushnumber(L, json_object_get_double(json));
}

/* Pushes a value that is no container; false if it is one. */
static bool
push_scalar(lua_State *L, struct json_object *json)
{
	switch (json_object_get_type(json)) {
	case json_type_null:
		lua_pushnil(L);
		return true;
	case json_type_boolean:
		lua_pushboolean(L, json_object_get_boolean(json));
		return true;
	case json_type_int:
		push_integer(L, json);
		return true;
	case json_type_double:
		push_double(L, json);
		return true;
	case json_type_string:
		lua_pushlstring(L, json_object_get_string(json),
				(size_t)json_object_get_string_len(json));
		return true;
	default:
		return false;
	}
}

/* null in an array becomes a value of its own, because nil would end the array. */
static void
nil_to_null(lua_State *L)
{
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		lua_pushlightuserdata(L, NULL);
	}
}

/* Views */

void
values_push_view(lua_State *L, struct json_object *json)
{
	struct view *view;

	if (push_scalar(L, json))
		return;
	view = lua_newuserdatauv(L, sizeof(*view), 0);
	view->tag = TAG_VIEW;
	view->json = json;
	view->turn = sandbox_turn(sandbox_of(L));
	values_tag_set(L, TAG_VIEW);
}

struct json_object *
values_check_view(lua_State *L, int index)
{
	const struct view *view = values_tagged(L, index, TAG_VIEW);

	if (view != NULL && view->turn == sandbox_turn(sandbox_of(L)))
		return view->json;
	luaL_error(L, view == NULL ? "no part of a message" : "a part of an earlier message");
	return NULL; /* an error does not come back here */
}

static void
push_element(lua_State *L, struct json_object *array, lua_Integer i)
{
	if (i < 1 || (lua_Unsigned)i > json_object_array_length(array)) {
		lua_pushnil(L);
		return;
	}
	values_push_view(L, json_object_array_get_idx(array, (size_t)i - 1));
	nil_to_null(L);
}

static int
view_index(lua_State *L)
{
	struct json_object *json = values_check_view(L, 1), *member;

	if (json_object_is_type(json, json_type_array)) {
		push_element(L, json, lua_tointeger(L, 2));
		return 1;
	}
	if (lua_type(L, 2) != LUA_TSTRING ||
	    !json_object_object_get_ex(json, lua_tostring(L, 2), &member))
		return 0;
	values_push_view(L, member);
	return 1;
}

static int
view_newindex(lua_State *L)
{
	return luaL_error(L, "an expression cannot change the message");
}

static int
view_len(lua_State *L)
{
	struct json_object *json = values_check_view(L, 1);

	lua_pushinteger(L, json_object_is_type(json, json_type_array)
			       ? (lua_Integer)json_object_array_length(json)
			       : 0);
	return 1;
}

static int
view_pairs(lua_State *L)
{
	struct json_object *json = values_check_view(L, 1);
	lua_Integer i, n;

	lua_pushcfunction(L, values_next);
	lua_newtable(L);
	if (json_object_is_type(json, json_type_array)) {
		n = (lua_Integer)json_object_array_length(json);
		sandbox_charge(L, (uint64_t)n);
		for (i = 1; i <= n; i++) {
			push_element(L, json, i);
			lua_rawseti(L, -2, i);
		}
		return 2;
	}
	sandbox_charge(L, (uint64_t)json_object_object_length(json));
	json_object_object_foreach(json, name, member)
	{
		values_push_view(L, member);
		lua_setfield(L, -2, name);
	}
	return 2;
}

static int
view_eq(lua_State *L)
{
	const struct view *a = values_tagged(L, 1, TAG_VIEW), *b = values_tagged(L, 2, TAG_VIEW);

	lua_pushboolean(L, a != NULL && b != NULL && a->json == b->json);
	return 1;
}

static int
view_tostring(lua_State *L)
{
	struct json_object *json = values_check_view(L, 1);
	size_t len;
	const char *text = json_object_to_json_string_length(json, VALUES_PLAIN, &len);

	sandbox_charge(L, len);
	lua_pushlstring(L, text, len);
	return 1;
}

/* Copies */

/*
 * A null of the message is absent in the copy, and remembered as a null. If the script assigns to
 * its name, even nil, it is forgotten.
 */
static int
object_newindex(lua_State *L)
{
	lua_getmetatable(L, 1);
	lua_rawgeti(L, -1, OBJECT_NULLS);
	lua_pushvalue(L, 2);
	lua_pushnil(L);
	lua_rawset(L, -3);
	lua_settop(L, 3);
	lua_rawset(L, 1);
	return 0;
}

static void
note_null(lua_State *L, int metatable, const char *name)
{
	if (lua_rawgeti(L, metatable, OBJECT_NULLS) == LUA_TNIL) {
		lua_pop(L, 1);
		lua_newtable(L);
		lua_pushvalue(L, -1);
		lua_rawseti(L, metatable, OBJECT_NULLS);
		lua_pushcfunction(L, object_newindex);
		lua_setfield(L, metatable, "__newindex");
	}
	lua_pushboolean(L, true);
	lua_setfield(L, -2, name);
	lua_pop(L, 1);
}

/* The copy's metatable remembers the order of the names, and which were null. */
static void
copy_object(lua_State *L, struct json_object *json)
{
	int table, metatable, keys, n = json_object_object_length(json);
	lua_Integer i = 0;

	lua_createtable(L, 0, n);
	table = lua_gettop(L);
	lua_createtable(L, 2, 0);
	metatable = table + 1;
	lua_createtable(L, n, 0);
	keys = table + 2;
	json_object_object_foreach(json, name, member)
	{
		lua_pushstring(L, name);
		lua_pushvalue(L, -1);
		lua_rawseti(L, keys, ++i);
		if (member == NULL) {
			note_null(L, metatable, name);
			lua_pop(L, 1);
			continue;
		}
		values_push_copy(L, member);
		lua_rawset(L, table);
	}
	lua_rawseti(L, metatable, OBJECT_KEYS);
	lua_setmetatable(L, table);
}

static void
copy_array(lua_State *L, struct json_object *json)
{
	size_t i, n = json_object_array_length(json);

	lua_createtable(L, (int)n, 0);
	for (i = 0; i < n; i++) {
		values_push_copy(L, json_object_array_get_idx(json, i));
		nil_to_null(L);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	lua_rawgetp(L, LUA_REGISTRYINDEX, &values_array_metatable);
	lua_setmetatable(L, -2);
}

void
values_push_copy(lua_State *L, struct json_object *json)
{
	luaL_checkstack(L, 8, "a message nested too deep");
	if (push_scalar(L, json))
		return;
	if (json_object_is_type(json, json_type_array))
		copy_array(L, json);
	else
		copy_object(L, json);
}

void
values_push_message(lua_State *L, struct message *msg,
		    void (*push)(lua_State *L, struct json_object *json))
{
	if (!message_is_json(msg)) {
		lua_pushnil(L);
		return;
	}
	push(L, message_json(msg));
	nil_to_null(L);
}

/* Names of our own, and Lua's functions that must know our values */

static int
global_array(lua_State *L)
{
	if (lua_isnone(L, 1))
		lua_newtable(L);
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &values_array_metatable);
	lua_setmetatable(L, 1);
	return 1;
}

static int
global_type(lua_State *L)
{
	luaL_checkany(L, 1);
	if (is_null(L, 1))
		lua_pushliteral(L, "null");
	else if (values_tagged(L, 1, TAG_WIDE) != NULL)
		lua_pushliteral(L, "number");
	else if (lua_type(L, 1) == LUA_TUSERDATA)
		lua_pushliteral(L, "table");
	else
		lua_pushstring(L, luaL_typename(L, 1));
	return 1;
}

/* The address of a table or a function is not shown, because it would tell where memory lies. */
static int
global_tostring(lua_State *L)
{
	luaL_checkany(L, 1);
	if (is_null(L, 1))
		lua_pushliteral(L, "null");
	else if (lua_istable(L, 1) || lua_isfunction(L, 1))
		lua_pushstring(L, luaL_typename(L, 1));
	else
		luaL_tolstring(L, 1, NULL);
	return 1;
}

static int
global_tonumber(lua_State *L)
{
	const struct wide *wide = values_tagged(L, 1, TAG_WIDE);

	if (wide != NULL) {
		lua_pushnumber(L, wide->value);
		return 1;
	}
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, 1);
	return 1;
}

static const luaL_Reg view_functions[] = {
    {"__index", view_index},
    {"__newindex", view_newindex},
    {"__len", view_len},
    {"__pairs", view_pairs},
    {"__eq", view_eq},
    {"__tostring", view_tostring},
    {NULL, NULL},
};
static const luaL_Reg globals[] = {
    {"array", global_array},
    {"type", global_type},
    {"tostring", global_tostring},
    {NULL, NULL},
};
void
values_open(lua_State *L)
{
	luaL_setfuncs(L, globals, 0);
	lua_pushlightuserdata(L, NULL);
	lua_setfield(L, -2, "null");
	lua_getfield(L, -1, "tonumber");
	lua_pushcclosure(L, global_tonumber, 1);
	lua_setfield(L, -2, "tonumber");
	values_tag_add(L, TAG_VIEW, "JSON value", view_functions);
	lua_pop(L, 1);
	wide_open(L);
	lua_newtable(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &values_array_metatable);
}
