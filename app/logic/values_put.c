#include "logic/values_private.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "logic/sandbox.h"
#include "logic/wide.h"

/*
 * Back to JSON, under lua_pcall(): errors are raised, and all memory belongs to Lua or the buffer.
 */

/* This many bytes of a result cost one step, so an expression may have a result of 1 MiB. */
enum { RESULT_BYTES_PER_STEP = 16 };

struct out {
	lua_State *L;
	struct buf *b;
	size_t charged; /* b's length for which steps were charged already */
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

/* Writes the shortest text that reads as the same number. */
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
	const struct wide *wide = values_tagged(out->L, index, TAG_WIDE);
	const char *text;
	size_t len;

	if (wide != NULL) {
		check(out, buf_put(out->b, wide->text, wide->len));
		return;
	}
	text =
	    json_object_to_json_string_length(values_check_view(out->L, index), VALUES_PLAIN, &len);
	check(out, text == NULL ? -ENOMEM : buf_put(out->b, text, len));
}

/* A key of a table, for the order in which members are written: integers, then texts. */
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

/* Writes one member. Its key is below its value, which is on the top of the stack and is popped. */
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
 * Writes the members that the copy of a message had, in their order. done is the index of a table
 * that gets their names, so that only the others are left.
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

/*
 * Writes the members that are not done, in the order of their keys, because Lua's own order differs
 * between workers.
 */
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

/*
 * Pushes the metatable with the names of a message's object, and returns its index; 0 if there is
 * none, and nothing is pushed.
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
	lua_rawgetp(L, LUA_REGISTRYINDEX, &values_array_metatable);
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
