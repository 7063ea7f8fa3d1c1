#ifndef SLUICE_LOGIC_WIDE_H
#define SLUICE_LOGIC_WIDE_H

/*
 * wide - an integer that does not fit into Lua's 64 bits. It keeps its digits, which are written as
 * they came. It can be compared and printed, and calculates as a float.
 */
#include <lua.h>

#include "logic/values_tag.h"

struct wide {
	enum values_tag tag;
	double value;
	size_t len;
	char text[];
};

/* wide_open - registers the type. wide_push - pushes one; text is copied. May raise a Lua error. */
void wide_open(lua_State *L);
void wide_push(lua_State *L, const char *text, size_t len);

#endif
