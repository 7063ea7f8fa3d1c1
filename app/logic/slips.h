#ifndef SLUICE_LOGIC_SLIPS_H
#define SLUICE_LOGIC_SLIPS_H

/*
 * slips - what stands in a Lua text that another language has, or a fuller Lua: operators such as
 * "!=", members of the library such as string.match. Lua itself would find the one with bare words,
 * the other only when a message comes.
 */
#include <stdbool.h>
#include <stddef.h>

/*
 * slips_check - is_file: of a script, which may have methods of its own; why then begins with the
 * line. Returns 0; or -EINVAL with why, which says what to write instead.
 */
int slips_check(const char *text, bool is_file, char *why, size_t why_len);

/*
 * slips_look - as slips_check(), for what is most likely one, and cannot be told for sure: a method
 * of a string that strings do not have here ("text:match(x)").
 */
int slips_look(const char *text, bool is_file, char *why, size_t why_len);

#endif
