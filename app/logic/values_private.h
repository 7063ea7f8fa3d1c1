#ifndef SLUICE_LOGIC_VALUES_PRIVATE_H
#define SLUICE_LOGIC_VALUES_PRIVATE_H

/*
 * What values.c (JSON to Lua) and values_put.c (Lua to JSON) know of each other.
 */
#include <stdint.h>

#include "logic/values.h"
#include "logic/values_tag.h"

#define VALUES_PLAIN (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

struct view {
	enum values_tag tag;
	struct json_object *json;
	uint64_t turn; /* the call during which it is valid */
};

/* The key of the arrays' metatable in the registry; only its address is used. */
extern const char values_array_metatable;

/*
 * Fields in the metatable of an object's copy: its names in their order, and those that were null.
 */
enum { OBJECT_KEYS = 1, OBJECT_NULLS = 2 };

/*
 * values_check_view - the JSON of the view at index. Raises an error for another value, or for a
 * view of an earlier call.
 */
struct json_object *values_check_view(lua_State *L, int index);

#endif
