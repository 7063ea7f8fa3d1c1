#ifndef SLUICE_LOGIC_VALUES_H
#define SLUICE_LOGIC_VALUES_H

/*
 * values - JSON in Lua and back. An expression sees a message through a read-only view, which reads
 * from json-c only what is used, and which is valid during one call. A script gets tables of its
 * own. In both, null is nil in an object and the name `null` in an array. An integer that does not
 * fit into Lua's 64 bits is a value of its own (logic/wide).
 */
#include <json-c/json.h>
#include <lua.h>

#include "base/buf.h"

/*
 * values_open - registers what follows, and sets our names for it (array, null, and Lua's functions
 * that know our values) in the table on the top of the stack. May raise a Lua error.
 */
void values_open(lua_State *L);

/*
 * Each pushes one value, and may raise a Lua error. json is borrowed; for a view, during the call.
 */
void values_push_view(lua_State *L, struct json_object *json);
void values_push_copy(lua_State *L, struct json_object *json);

/*
 * values_push_message - pushes the whole message with one of the two; nil if it is not JSON. A
 * message that is null becomes `null`, so that it differs from no message.
 */
struct message;
void values_push_message(lua_State *L, struct message *msg,
			 void (*push)(lua_State *L, struct json_object *json));

/*
 * values_put.c: values_put - appends the value at index: a string as it is, anything else as JSON.
 * Raises an error for what JSON cannot hold (a function, NaN, a table within itself), past b's cap
 * and if memory is short; b may then hold a part.
 */
void values_put(lua_State *L, int index, struct buf *b);

#endif
