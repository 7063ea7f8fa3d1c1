#ifndef SLUICE_LOGIC_LIBRARY_H
#define SLUICE_LOGIC_LIBRARY_H

/*
 * library - the names of an expression or a script: those of Lua's standard library that can
 * neither reach out of the state nor work long within one C function, and a few of ours.
 */
#include <lua.h>
#include <stddef.h>

/* library_open - make them the state's globals. May raise a Lua error for lack of memory. */
void library_open(lua_State *L);

/* library_name - the n-th, NULL past the last: for suggestions. */
const char *library_name(size_t n);

/* library_member - the n-th of string, math or table; NULL past the last, or for another name. */
const char *library_member(const char *table, size_t len, size_t n);

#endif
