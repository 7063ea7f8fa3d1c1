#include "logic/library.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include <sluice/unique.h>

#include "logic/sandbox.h"
#include "logic/asker.h"
#include "logic/values.h"

/* A string of this length is work of one step. */
enum { BYTES_PER_STEP = 64, REP_MAX = 1024 * 1024 };

/*
 * Names that are taken as Lua has them. The others are below, or left out because they would reach
 * outside or work for long.
 */
static const char *const base_names[] = {"tonumber", "ipairs", "pairs"};
static const char *const string_names[] = {"byte",  "char",    "format", "len",
					   "lower", "reverse", "sub",    "upper"};
static const char *const table_names[] = {"concat", "insert", "move",  "pack",
					  "remove", "sort",   "unpack"};

static const char *const all_names[] = {"array",    "has",      "ipairs", "math",
					"null",     "pairs",    "string", "table",
					"tonumber", "tostring", "type",   "unique"};

static const char *const string_members[] = {"byte", "char",    "find", "format", "len", "lower",
					     "rep",  "reverse", "sub",  "upper",  NULL};
static const char *const table_members[] = {"concat", "insert", "move",   "pack",
					    "remove", "sort",   "unpack", NULL};
/* The last ones exist only where Lua was built compatible with 5.2. */
static const char *const math_members[] = {
    "abs",  "acos",   "asin", "atan", "ceil",       "cos",       "deg",        "exp",  "floor",
    "fmod", "huge",   "log",  "max",  "maxinteger", "min",       "mininteger", "modf", "pi",
    "rad",  "random", "sin",  "sqrt", "tan",        "tointeger", "randomseed", "type", "ult",
    "pow",  "cosh",   "sinh", "tanh", "frexp",      "ldexp",     "log10",      NULL};

static const struct {
	const char *table;
	const char *const *names;
} all_members[] = {{"string", string_members}, {"table", table_members}, {"math", math_members}};

const char *
library_name(size_t n)
{
	return n < sizeof(all_names) / sizeof(all_names[0]) ? all_names[n] : NULL;
}

const char *
library_member(const char *table, size_t len, size_t n)
{
	size_t i;

	for (i = 0; i < sizeof(all_members) / sizeof(all_members[0]); i++) {
		const char *const *name = all_members[i].names;

		if (strlen(all_members[i].table) != len ||
		    memcmp(all_members[i].table, table, len) != 0)
			continue;
		while (*name != NULL && n-- > 0)
			name++;
		return *name;
	}
	return NULL;
}

/*
 * find(s, text[, from]): text is always plain. memmem() takes time linear in both; Lua's own
 * function does not.
 */
static int
string_find(lua_State *L)
{
	size_t len, text_len;
	const char *s = luaL_checklstring(L, 1, &len), *text = luaL_checklstring(L, 2, &text_len);
	lua_Integer from = luaL_optinteger(L, 3, 1);
	const char *found;

	if (from < 0)
		from = (size_t)0 - (size_t)from > len ? 1 : (lua_Integer)len + from + 1;
	else if (from == 0)
		from = 1;
	if ((size_t)from > len + 1)
		return luaL_pushfail(L), 1;
	sandbox_charge(L, (len + text_len) / BYTES_PER_STEP);
	found = memmem(s + from - 1, len - (size_t)from + 1, text, text_len);
	if (found == NULL)
		return luaL_pushfail(L), 1;
	lua_pushinteger(L, found - s + 1);
	lua_pushinteger(L, found - s + (lua_Integer)text_len);
	return 2;
}

/* Lua's own function would repeat an empty text for hours. */
static int
string_rep(lua_State *L)
{
	size_t len, sep_len;
	const char *s = luaL_checklstring(L, 1, &len), *sep = luaL_optlstring(L, 3, "", &sep_len);
	lua_Integer n = luaL_checkinteger(L, 2), i;
	luaL_Buffer b;

	if (n <= 0 || len + sep_len == 0)
		return lua_pushliteral(L, ""), 1;
	if ((lua_Unsigned)n > REP_MAX / (len + sep_len))
		return luaL_error(L, "string.rep makes at most %d bytes", REP_MAX);
	sandbox_charge(L, (uint64_t)n);
	luaL_buffinit(L, &b);
	for (i = 0; i < n; i++) {
		if (i > 0)
			luaL_addlstring(&b, sep, sep_len);
		luaL_addlstring(&b, s, len);
	}
	luaL_pushresult(&b);
	return 1;
}

/*
 * Calls a function of a table whose work grows with the table, and charges it. Upvalue 1 is Lua's
 * own function.
 */
static int
call_charged(lua_State *L)
{
	lua_Unsigned n;

	luaL_checkany(L, 1);
	n = (lua_Unsigned)luaL_len(L, 1);
	sandbox_charge(L, n);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
	return lua_gettop(L);
}

/* sort(t[, less]): the work that C does between two calls of less is charged, too. */
static int
table_sort(lua_State *L)
{
	lua_Unsigned n, steps = 1;

	luaL_checkany(L, 1);
	for (n = (lua_Unsigned)luaL_len(L, 1); n >> steps != 0; steps++)
		;
	sandbox_charge(L, n * steps);
	return call_charged(L);
}

/* concat and unpack go from argument i to argument j, however much the table holds. */
static int
table_range(lua_State *L)
{
	int at = (int)lua_tointeger(L, lua_upvalueindex(2)); /* where i stands */
	lua_Integer i = luaL_optinteger(L, at, 1), j;

	luaL_checkany(L, 1);
	j = lua_isnoneornil(L, at + 1) ? luaL_len(L, 1) : luaL_checkinteger(L, at + 1);
	if (j >= i)
		sandbox_charge(L, (lua_Unsigned)j - (lua_Unsigned)i + 1);
	return call_charged(L);
}

/*
 * move(from, f, e, t[, to]): the number of moved values is charged; Lua's own function checks the
 * rest.
 */
static int
table_move(lua_State *L)
{
	lua_Integer f = luaL_checkinteger(L, 2), e = luaL_checkinteger(L, 3);

	luaL_checkany(L, 1);
	if (e >= f)
		sandbox_charge(L, (lua_Unsigned)e - (lua_Unsigned)f);
	return call_charged(L);
}

/* Does the format of len bytes, NULs among them, ask for an address? */
static bool
has_address(const char *p, size_t len)
{
	const char *end = p + len;

	while ((p = memchr(p, '%', (size_t)(end - p))) != NULL) {
		for (p++; p < end && *p != '\0' && strchr("-+ #0123456789.", *p) != NULL; p++)
			;
		if (p == end || *p == 'p')
			return p < end;
		p++;
	}
	return false;
}

/*
 * format(text, ...): refuses %p, which would tell where memory lies, and writes values as
 * tostring() does.
 */
static int
string_format(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	int i, n = lua_gettop(L);

	if (has_address(text, len))
		return luaL_error(L, "string.format has no %%p here");
	for (i = 2; i <= n; i++) {
		if (lua_type(L, i) == LUA_TNUMBER || lua_type(L, i) == LUA_TSTRING)
			continue;
		lua_getglobal(L, "tostring");
		lua_pushvalue(L, i);
		lua_call(L, 1, 1);
		lua_replace(L, i);
	}
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, n, 1);
	return 1;
}

/* Is the value on the top of the stack one of the words, separated by blanks, of the text at 1? */
static int
has_word(lua_State *L)
{
	size_t len, word_len;
	const char *p = lua_tolstring(L, 1, &len), *end = p + len, *word, *found;

	if (lua_type(L, 2) != LUA_TSTRING)
		return lua_pushboolean(L, false), 1;
	word = lua_tolstring(L, 2, &word_len);
	sandbox_charge(L, (len + word_len) / BYTES_PER_STEP);
	while (word_len > 0 && (found = memmem(p, (size_t)(end - p), word, word_len)) != NULL) {
		p = found + word_len;
		if ((found == lua_tostring(L, 1) || found[-1] == ' ') && (p == end || *p == ' '))
			return lua_pushboolean(L, true), 1;
	}
	return lua_pushboolean(L, false), 1;
}

/* has(list, value): is the value in the array, or a word of the text? nil holds nothing. */
static int
has(lua_State *L)
{
	lua_Integer i, n;

	luaL_checkany(L, 2);
	if (lua_isnil(L, 1))
		return lua_pushboolean(L, false), 1;
	if (lua_type(L, 1) == LUA_TSTRING)
		return has_word(L);
	n = luaL_len(L, 1);
	for (i = 1; i <= n; i++) {
		sandbox_charge(L, 1);
		lua_geti(L, 1, i);
		if (lua_compare(L, -1, 2, LUA_OPEQ))
			return lua_pushboolean(L, true), 1;
		lua_pop(L, 1);
	}
	return lua_pushboolean(L, false), 1;
}

static int
unique(lua_State *L)
{
	char text[UNIQUE_LEN];

	unique_make(text);
	lua_pushstring(L, text);
	return 1;
}

/* Copies from the table on the top of the stack to the one below it. */
static void
copy_names(lua_State *L, const char *const *names, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		lua_getfield(L, -1, names[i]);
		lua_setfield(L, -3, names[i]);
	}
}

#define COPY(names) copy_names(L, names, sizeof(names) / sizeof((names)[0]))

static void
set_function(lua_State *L, const char *name, lua_CFunction fn)
{
	lua_pushcfunction(L, fn);
	lua_setfield(L, -2, name);
}

/* Replaces the function of the table below by fn, which charges for it. */
static void
charge(lua_State *L, const char *name, lua_CFunction fn, int at)
{
	lua_getfield(L, -1, name);
	lua_pushinteger(L, at);
	lua_pushcclosure(L, fn, 2);
	lua_setfield(L, -2, name);
}

/* Leaves the table on the stack; its functions are also the methods of strings. */
static void
push_string(lua_State *L)
{
	lua_newtable(L);
	luaopen_string(L);
	COPY(string_names);
	lua_pop(L, 1);
	charge(L, "format", string_format, 0);
	set_function(L, "find", string_find);
	set_function(L, "rep", string_rep);
	lua_pushliteral(L, "");
	lua_getmetatable(L, -1);
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 2);
}

static void
push_table(lua_State *L)
{
	lua_newtable(L);
	luaopen_table(L);
	COPY(table_names);
	lua_pop(L, 1);
	charge(L, "insert", call_charged, 0);
	charge(L, "remove", call_charged, 0);
	charge(L, "sort", table_sort, 0);
	charge(L, "concat", table_range, 3);
	charge(L, "unpack", table_range, 2);
	charge(L, "move", table_move, 0);
}

void
library_open(lua_State *L)
{
	lua_newtable(L);
	luaopen_base(L);
	COPY(base_names);
	lua_pop(L, 1);
	push_string(L);
	lua_setfield(L, -2, "string");
	push_table(L);
	lua_setfield(L, -2, "table");
	luaopen_math(L);
	lua_setfield(L, -2, "math");
	set_function(L, "has", has);
	set_function(L, "unique", unique);
	values_open(L);
	asker_open(L);
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}
