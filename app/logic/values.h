#ifndef SLUICE_LOGIC_VALUES_H
#define SLUICE_LOGIC_VALUES_H

/*
 * values - JSON in Lua and back.
 *
 * An expression sees a message through a read-only view, which takes from json-c only what is asked
 * for, and is of no use beyond its call. A script gets tables of its own. In both, null reads as
 * nil in an object and as the name `null` in an array; an integer that Lua's 64 bits do not hold
 * is a value that compares, calculates and prints, and goes out as it came.
 */
#include <json-c/json.h>
#include <lua.h>

#include "base/buf.h"

/*
 * values_open - register what follows, and set our names for it (array, null and those of Lua's
 * that know our values) in the table on the top of the stack. May raise a Lua error.
 */
void values_open(lua_State *L);

/* These push one value; may raise a Lua error. json is borrowed; of a view, for the call. */
void values_push_view(lua_State *L, struct json_object *json);
void values_push_copy(lua_State *L, struct json_object *json);

/*
 * values_push_message - the whole message, by one of the two; nil if it is not JSON. A message that
 * is null is `null`, for it is not "no message".
 */
struct message;
void values_push_message(lua_State *L, struct message *msg,
			 void (*push)(lua_State *L, struct json_object *json));

/*
 * values_put - append the value at index: a string as it is, anything else as JSON. Raises an error
 * for what JSON has no form of (a function, NaN, a table within itself), past b's cap and for lack
 * of memory; b may then hold a part.
 */
void values_put(lua_State *L, int index, struct buf *b);

#endif
