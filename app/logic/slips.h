#ifndef SLUICE_LOGIC_SLIPS_H
#define SLUICE_LOGIC_SLIPS_H

/*
 * slips - finds what belongs to another language, or to a full Lua: operators such as "!=",
 * functions such as string.match. Lua itself would report the former without a hint, and the latter
 * only when a message comes.
 */
#include <stdbool.h>
#include <stddef.h>

/*
 * slips_check - is_file: it is a script, which may have methods of its own; then why begins with
 * the line. Returns 0; or -EINVAL with why, which says what to write instead.
 */
int slips_check(const char *text, bool is_file, char *why, size_t why_len);

/*
 * slips_look - as slips_check(), for what is probably a slip but not for certain: a method that
 * strings do not have here ("text:match(x)").
 */
int slips_look(const char *text, bool is_file, char *why, size_t why_len);

#endif
