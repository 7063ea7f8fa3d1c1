#ifndef SLUICE_REDIS_COMMAND_WORDS_H
#define SLUICE_REDIS_COMMAND_WORDS_H

/*
 * command_words - what kind of command a route names: one that reads, as it should, or one that is
 * surely a mistake. Pure. A command that is not known here may be either.
 */
#include <stdbool.h>
#include <stddef.h>

/*
 * command_words_fault - NULL, or what is wrong: it would change the server itself, or has too few
 * or too many words. why has room for the text.
 */
const char *command_words_fault(char *const *words, char *why, size_t why_len);

bool command_words_write(const char *name); /* to keys, or to channels */

#endif
