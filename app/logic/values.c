#include "logic/values.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "logic/json_text.h"
#include "logic/message.h"
#include "logic/sandbox.h"

#define PLAIN (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

/* The tag of a userdata; no other library of the state makes one that a text could get at. */
enum tag { TAG_VIEW, TAG_WIDE, TAG_PARAMS, N_TAGS };

struct view {
	enum tag tag;
	struct json_object *json;
	uint64_t turn; /* the call for which it holds */
};

/* An integer beyond 64 bits, as its digits. */
struct wide {
	enum tag tag;
	double value;
	size_t len;
	char text[];
};

/* Keys of the registry: their addresses count. */
static const char metatables[N_TAGS], array_metatable;

/* In the metatable of an object's copy. */
enum { OBJECT_KEYS = 1, OBJECT_NULLS = 2 };

static const void *
tagged(lua_State *L, int index, enum tag tag)
{
	const enum tag *p = lua_type(L, index) == LUA_TUSERDATA ? lua_touserdata(L, index) : NULL;

	return p != NULL && *p == tag ? p : NULL;
}

static bool
is_null(lua_State *L, int index)
{
	return lua_type(L, index) == LUA_TLIGHTUSERDATA;
}

static void
set_metatable(lua_State *L, enum tag tag)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, &metatables[tag]);
	lua_setmetatable(L, -2);
}

/* Scalars */

static void
push_wide(lua_State *L, const char *text, size_t len)
{
	struct wide *wide = lua_newuserdatauv(L, sizeof(*wide) + len + 1, 0);

	wide->tag = TAG_WIDE;
	wide->len = len;
	memcpy(wide->text, text, len);
	wide->text[len] = '\0';
	wide->value = strtod(wide->text, NULL);
	set_metatable(L, TAG_WIDE);
}

static void
push_integer(lua_State *L, struct json_object *json)
{
	int64_t n = json_object_get_int64(json);
	const char *text;

	if (n == INT64_MAX && json_object_get_uint64(json) > (uint64_t)INT64_MAX) {
		text = json_object_to_json_string_ext(json, PLAIN);
		push_wide(L, text, strlen(text));
		return;
	}
	lua_pushinteger(L, n);
}

static void
push_double(lua_State *L, struct json_object *json)
{
	const char *text = json_object_to_json_string_ext(json, PLAIN);

	if (text[strspn(text, "-0123456789")] == '\0')
		push_wide(L, text, strlen(text));
	else
		lua_pushnumber(L, json_object_get_double(json));
}

/* What is no container; false if it is one. */
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

/* null in an array is a value: with nil the array would end there. */
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
	set_metatable(L, TAG_VIEW);
}

static struct json_object *
check_view(lua_State *L, int index)
{
	const struct view *view = tagged(L, index, TAG_VIEW);

	if (view == NULL)
		luaL_error(L, "no part of a message");
	else if (view->turn != sandbox_turn(sandbox_of(L)))
		luaL_error(L, "a part of an earlier message");
	return view->json;
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
	struct json_object *json = check_view(L, 1), *member;

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
	struct json_object *json = check_view(L, 1);

	lua_pushinteger(L, json_object_is_type(json, json_type_array)
			       ? (lua_Integer)json_object_array_length(json)
			       : 0);
	return 1;
}

static int
next(lua_State *L)
{
	lua_settop(L, 2);
	return lua_next(L, 1) != 0 ? 2 : (lua_pushnil(L), 1);
}

static int
view_pairs(lua_State *L)
{
	struct json_object *json = check_view(L, 1);
	lua_Integer i, n;

	lua_pushcfunction(L, next);
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
	const struct view *a = tagged(L, 1, TAG_VIEW), *b = tagged(L, 2, TAG_VIEW);

	lua_pushboolean(L, a != NULL && b != NULL && a->json == b->json);
	return 1;
}

static int
view_tostring(lua_State *L)
{
	struct json_object *json = check_view(L, 1);
	size_t len;
	const char *text = json_object_to_json_string_length(json, PLAIN, &len);

	sandbox_charge(L, len);
	lua_pushlstring(L, text, len);
	return 1;
}

/* Copies */

/* Where null stood there is nothing; who sets it to nil wants it to be away. */
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

/* Its metatable remembers the order of the names, and which were null. */
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
	lua_rawgetp(L, LUA_REGISTRYINDEX, &array_metatable);
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
	push(L, message_json(msg));
	nil_to_null(L);
}

/* Wide numbers */

static double
number_at(lua_State *L, int index)
{
	const struct wide *wide = tagged(L, index, TAG_WIDE);

	return wide != NULL ? wide->value : luaL_checknumber(L, index);
}

/* By digits where both are wide: as floats they may be equal and are not. */
static int
compare(lua_State *L)
{
	const struct wide *a = tagged(L, 1, TAG_WIDE), *b = tagged(L, 2, TAG_WIDE);
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
	lua_pushboolean(L, tagged(L, 1, TAG_WIDE) && tagged(L, 2, TAG_WIDE) && compare(L) == 0);
	return 1;
}

/* Upvalue 1 is the operator of lua_arith(). */
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
	const struct wide *wide = tagged(L, 1, TAG_WIDE);

	if (wide == NULL)
		return luaL_error(L, "no number");
	lua_pushlstring(L, wide->text, wide->len);
	return 1;
}

/* Parameters */

static int
params_index(lua_State *L)
{
	const struct template_scope *scope = sandbox_scope(sandbox_of(L));
	const char *name = luaL_checkstring(L, 2);
	const struct template_value *v = scope != NULL ? scope->params : NULL;

	for (; v != NULL && v->name != NULL; v++) {
		if (strcmp(v->name, name) == 0) {
			lua_pushstring(L, v->value);
			return 1;
		}
	}
	return 0;
}

static int
params_newindex(lua_State *L)
{
	return luaL_error(L, "parameters cannot be changed");
}

static int
params_pairs(lua_State *L)
{
	const struct template_scope *scope = sandbox_scope(sandbox_of(L));
	const struct template_value *v = scope != NULL ? scope->params : NULL;

	lua_pushcfunction(L, next);
	lua_newtable(L);
	for (; v != NULL && v->name != NULL; v++) {
		lua_pushstring(L, v->value);
		lua_setfield(L, -2, v->name);
	}
	return 2;
}

static void
push_params(lua_State *L)
{
	enum tag *p = lua_newuserdatauv(L, sizeof(*p), 0);

	*p = TAG_PARAMS;
	set_metatable(L, TAG_PARAMS);
}

/* Names of ours, and Lua's that know our values */

static int
global_array(lua_State *L)
{
	if (lua_isnone(L, 1))
		lua_newtable(L);
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &array_metatable);
	lua_setmetatable(L, 1);
	return 1;
}

static int
global_type(lua_State *L)
{
	luaL_checkany(L, 1);
	if (is_null(L, 1))
		lua_pushliteral(L, "null");
	else if (tagged(L, 1, TAG_WIDE) != NULL)
		lua_pushliteral(L, "number");
	else if (lua_type(L, 1) == LUA_TUSERDATA)
		lua_pushliteral(L, "table");
	else
		lua_pushstring(L, luaL_typename(L, 1));
	return 1;
}

/* A table's or function's address is nobody's business: it would tell where memory lies. */
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
	const struct wide *wide = tagged(L, 1, TAG_WIDE);

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
static const luaL_Reg wide_functions[] = {
    {"__lt", wide_lt}, {"__le", wide_le}, {"__eq", wide_eq}, {"__tostring", wide_tostring},
    {NULL, NULL},
};
static const luaL_Reg params_functions[] = {
    {"__index", params_index},
    {"__newindex", params_newindex},
    {"__pairs", params_pairs},
    {NULL, NULL},
};
static const luaL_Reg globals[] = {
    {"array", global_array},
    {"type", global_type},
    {"tostring", global_tostring},
    {NULL, NULL},
};
static const struct {
	const char *name;
	int op;
} operators[] = {
    {"__add", LUA_OPADD}, {"__sub", LUA_OPSUB}, {"__mul", LUA_OPMUL},   {"__div", LUA_OPDIV},
    {"__mod", LUA_OPMOD}, {"__pow", LUA_OPPOW}, {"__idiv", LUA_OPIDIV}, {"__unm", LUA_OPUNM},
};

static void
add_metatable(lua_State *L, enum tag tag, const char *name, const luaL_Reg *functions)
{
	lua_newtable(L);
	luaL_setfuncs(L, functions, 0);
	lua_pushstring(L, name);
	lua_setfield(L, -2, "__name"); /* for the texts of errors */
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &metatables[tag]);
}

void
values_open(lua_State *L)
{
	size_t i;

	luaL_setfuncs(L, globals, 0);
	lua_pushlightuserdata(L, NULL);
	lua_setfield(L, -2, "null");
	lua_getfield(L, -1, "tonumber");
	lua_pushcclosure(L, global_tonumber, 1);
	lua_setfield(L, -2, "tonumber");
	add_metatable(L, TAG_VIEW, "JSON value", view_functions);
	add_metatable(L, TAG_PARAMS, "params", params_functions);
	add_metatable(L, TAG_WIDE, "number", wide_functions);
	for (i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		lua_pushinteger(L, operators[i].op);
		lua_pushcclosure(L, wide_arith, 1);
		lua_setfield(L, -2, operators[i].name);
	}
	lua_pop(L, 3);
	lua_newtable(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &array_metatable);
	push_params(L);
	lua_setfield(L, -2, "params");
}

/* Back to JSON, under lua_pcall(): what goes wrong is raised, and all memory is Lua's or the
 * buffer's.
 */

/* So much of a result is work of one step: a result of 1 MiB is within what an expression may. */
enum { RESULT_BYTES_PER_STEP = 16 };

struct out {
	lua_State *L;
	struct buf *b;
	size_t charged; /* b's length up to which steps were taken */
	unsigned depth;
};

static void put_value(struct out *out, int index);

static void
check(struct out *out, int rc)
{
	size_t steps = (out->b->len - out->charged) / RESULT_BYTES_PER_STEP;

	if (rc < 0)
		luaL_error(out->L, rc == -EMSGSIZE ? "the result is too long" : "out of memory");
	sandbox_charge(out->L, steps);
	out->charged += steps * RESULT_BYTES_PER_STEP;
}

/* The shortest text that reads as the same number. */
static void
put_float(struct out *out, double value)
{
	char text[32];
	int digits;

	if (!isfinite(value))
		luaL_error(out->L, "JSON has no number such as %f", value);
	for (digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	check(out, buf_puts(out->b, text));
}

static void
put_userdata(struct out *out, int index)
{
	const struct wide *wide = tagged(out->L, index, TAG_WIDE);
	const char *text;
	size_t len;

	if (wide != NULL) {
		check(out, buf_put(out->b, wide->text, wide->len));
		return;
	}
	text = json_object_to_json_string_length(check_view(out->L, index), PLAIN, &len);
	check(out, text == NULL ? -ENOMEM : buf_put(out->b, text, len));
}

/* A key of a table, for the order in which they go out: integers, then texts. */
struct key {
	const char *text; /* the table's; NULL: an integer */
	size_t len;
	lua_Integer n;
};

static int
compare_keys(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	size_t len = x->len < y->len ? x->len : y->len;
	int order;

	if (x->text == NULL || y->text == NULL) {
		if (x->text != y->text)
			return x->text == NULL ? -1 : 1;
		return x->n < y->n ? -1 : x->n > y->n;
	}
	order = memcmp(x->text, y->text, len);
	return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* One member: its key is below its value, which is on the top of the stack and is taken off. */
static void
put_member(struct out *out, const struct key *key, bool *is_first)
{
	char number[32];

	if (!*is_first)
		check(out, buf_putc(out->b, ','));
	*is_first = false;
	if (key->text != NULL) {
		check(out, json_put_string(out->b, key->text, key->len));
	} else {
		snprintf(number, sizeof(number), "\"%lld\"", (long long)key->n);
		check(out, buf_puts(out->b, number));
	}
	check(out, buf_putc(out->b, ':'));
	put_value(out, lua_gettop(out->L));
	lua_pop(out->L, 1);
}

/*
 * The members that the copy of a message had, in their order. done is the index of a table that
 * learns their names, so that only the others are left.
 */
static void
put_known(struct out *out, int table, int metatable, int done, bool *is_first)
{
	lua_State *L = out->L;
	lua_Integer i, n;
	struct key key = {0};
	int keys;

	lua_rawgeti(L, metatable, OBJECT_KEYS);
	keys = lua_gettop(L);
	n = (lua_Integer)lua_rawlen(L, keys);
	for (i = 1; i <= n; i++) {
		lua_rawgeti(L, keys, i);
		key.text = lua_tolstring(L, -1, &key.len);
		lua_pushvalue(L, -1);
		lua_pushboolean(L, true);
		lua_rawset(L, done);
		lua_pushvalue(L, -1);
		if (lua_rawget(L, table) == LUA_TNIL) {
			lua_pop(L, 1);
			lua_pushlightuserdata(L, NULL);
			if (lua_rawgeti(L, metatable, OBJECT_NULLS) == LUA_TNIL ||
			    lua_getfield(L, -1, key.text) == LUA_TNIL) {
				lua_settop(L, keys);
				continue;
			}
			lua_settop(L, keys + 2);
		}
		put_member(out, &key, is_first);
		lua_settop(L, keys);
	}
	lua_pop(L, 1);
}

static bool
is_done(lua_State *L, int done)
{
	bool known;

	if (done == 0)
		return false;
	lua_pushvalue(L, -1);
	known = lua_rawget(L, done) != LUA_TNIL;
	lua_pop(L, 1);
	return known;
}

/* The members that are not done, in the order of their keys: Lua's own differs between workers. */
static void
put_others(struct out *out, int table, int done, bool *is_first)
{
	lua_State *L = out->L;
	struct key *keys;
	size_t n = 0, i;

	for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
		n++;
	keys = lua_newuserdatauv(L, (n + 1) * sizeof(*keys), 0);
	n = 0;
	for (lua_pushnil(L); lua_next(L, table);) {
		lua_pop(L, 1);
		if (is_done(L, done))
			continue;
		keys[n] = (struct key){0};
		if (lua_type(L, -1) == LUA_TSTRING)
			keys[n].text = lua_tolstring(L, -1, &keys[n].len);
		else if (lua_isinteger(L, -1))
			keys[n].n = lua_tointeger(L, -1);
		else
			luaL_error(L, "a key of a table is neither text nor integer");
		n++;
	}
	qsort(keys, n, sizeof(*keys), compare_keys);
	for (i = 0; i < n; i++) {
		if (keys[i].text != NULL)
			lua_pushlstring(L, keys[i].text, keys[i].len);
		else
			lua_pushinteger(L, keys[i].n);
		lua_rawget(L, table);
		put_member(out, &keys[i], is_first);
	}
	lua_pop(L, 1);
}

/* The index of the metatable with the names of a message's object, pushed; 0, and nothing pushed.
 */
static int
object_metatable(lua_State *L, int table)
{
	if (!lua_getmetatable(L, table))
		return 0;
	if (lua_rawgeti(L, -1, OBJECT_KEYS) == LUA_TTABLE) {
		lua_pop(L, 1);
		return lua_gettop(L);
	}
	lua_pop(L, 2);
	return 0;
}

static void
put_object(struct out *out, int table)
{
	lua_State *L = out->L;
	bool is_first = true;
	int top = lua_gettop(L), metatable = object_metatable(L, table), done = 0;

	check(out, buf_putc(out->b, '{'));
	if (metatable != 0) {
		lua_newtable(L);
		done = lua_gettop(L);
		put_known(out, table, metatable, done, &is_first);
	}
	put_others(out, table, done, &is_first);
	lua_settop(L, top);
	check(out, buf_putc(out->b, '}'));
}

static void
put_array(struct out *out, int table, lua_Integer n)
{
	lua_Integer i;

	check(out, buf_putc(out->b, '['));
	for (i = 1; i <= n; i++) {
		if (i > 1)
			check(out, buf_putc(out->b, ','));
		lua_rawgeti(out->L, table, i);
		put_value(out, lua_gettop(out->L));
		lua_pop(out->L, 1);
	}
	check(out, buf_putc(out->b, ']'));
}

static bool
is_marked_array(lua_State *L, int table)
{
	bool is_array;

	if (!lua_getmetatable(L, table))
		return false;
	lua_rawgetp(L, LUA_REGISTRYINDEX, &array_metatable);
	is_array = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	return is_array;
}

/*
 * An array has the keys 1 to n and no others; *n is then its length. An empty table is an object,
 * unless it came as an array.
 */
static bool
is_array(lua_State *L, int table, lua_Integer *n)
{
	lua_Integer count = 0;

	*n = (lua_Integer)lua_rawlen(L, table);
	if (*n == 0 && !is_marked_array(L, table))
		return false;
	for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
		if (++count > *n || !lua_isinteger(L, -2)) {
			lua_pop(L, 2);
			return false;
		}
	}
	return count == *n;
}

static void
put_table(struct out *out, int table)
{
	lua_Integer n;

	if (++out->depth > JSON_DEPTH_MAX)
		luaL_error(out->L, "the result is nested more than %d deep", JSON_DEPTH_MAX);
	luaL_checkstack(out->L, 12, "the result is nested too deep");
	if (is_array(out->L, table, &n))
		put_array(out, table, n);
	else
		put_object(out, table);
	out->depth--;
}

static void
put_value(struct out *out, int index)
{
	lua_State *L = out->L;
	const char *text;
	size_t len;

	switch (lua_type(L, index)) {
	case LUA_TNIL:
	case LUA_TLIGHTUSERDATA:
		check(out, buf_puts(out->b, "null"));
		return;
	case LUA_TBOOLEAN:
		check(out, buf_puts(out->b, lua_toboolean(L, index) ? "true" : "false"));
		return;
	case LUA_TNUMBER:
		if (lua_isinteger(L, index))
			check(out, buf_printf(out->b, "%lld", (long long)lua_tointeger(L, index)));
		else
			put_float(out, lua_tonumber(L, index));
		return;
	case LUA_TSTRING:
		text = lua_tolstring(L, index, &len);
		check(out, json_put_string(out->b, text, len));
		return;
	case LUA_TTABLE:
		put_table(out, index);
		return;
	case LUA_TUSERDATA:
		put_userdata(out, index);
		return;
	default:
		luaL_error(L, "a %s cannot be sent", luaL_typename(L, index));
	}
}

void
values_put(lua_State *L, int index, struct buf *b)
{
	struct out out = {.L = L, .b = b, .charged = b->len};
	const char *text;
	size_t len;

	if (lua_type(L, index) != LUA_TSTRING) {
		put_value(&out, lua_absindex(L, index));
		return;
	}
	text = lua_tolstring(L, index, &len);
	check(&out, buf_put(b, text, len));
}
