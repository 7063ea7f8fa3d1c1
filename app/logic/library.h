#ifndef SLUICE_LOGIC_LIBRARY_H
#define SLUICE_LOGIC_LIBRARY_H

/*
 * library - the names that expressions and scripts can use: functions of Lua's standard library
 * that can neither reach outside of the state nor work for long within one C function, and a few of
 * our own.
 */
#include <lua.h>
#include <stddef.h>

/* library_open - makes them globals of the state. May raise a Lua error if memory is short. */
void library_open(lua_State *L);

/* library_name - the n-th name, NULL past the last; for suggestions. */
const char *library_name(size_t n);

/* library_member - the n-th of string, math or table; NULL past the last, or for another name. */
const char *library_member(const char *table, size_t len, size_t n);

#endif
