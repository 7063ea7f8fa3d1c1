#ifndef SLUICE_LOGIC_WIDE_H
#define SLUICE_LOGIC_WIDE_H

/*
 * wide - an integer that Lua's 64 bits do not hold: its digits, which go out as they came. It
 * compares, calculates as a float, and prints.
 */
#include <lua.h>

#include "logic/values_tag.h"

struct wide {
	enum values_tag tag;
	double value;
	size_t len;
	char text[];
};

/* wide_open - register it. wide_push - push one; text is copied. May raise a Lua error. */
void wide_open(lua_State *L);
void wide_push(lua_State *L, const char *text, size_t len);

#endif
