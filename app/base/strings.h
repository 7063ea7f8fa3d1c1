#ifndef SLUICE_BASE_STRINGS_H
#define SLUICE_BASE_STRINGS_H

#include <stdbool.h>
#include <stddef.h>

/* strings - lists of texts on the heap that end with NULL; NULL itself is an empty one. */

void strings_free(char **list);

/* strings_are_same - have the two texts the same bytes? Each may be NULL, which equals NULL alone.
 */
bool strings_are_same(const char *a, const char *b);

/* strings_copy - the caller's; NULL if out of memory. */
char **strings_copy(char *const *list);

/*
 * strings_split_words - text as a shell's words, without expansion: blanks separate them, and what
 * stands in '…' or "…", or behind a backslash, belongs to its word (POSIX, Shell Command Language,
 * 2.2). The caller's. Returns 0; -EINVAL if a quote is not closed or a backslash is the last;
 * -ENOMEM.
 */
int strings_split_words(char ***out, const char *text);

/*
 * strings_next - the next member of a list that blanks or commas separate: returns its start, and
 * its length in *len; NULL at the end. *p moves behind it.
 */
const char *strings_next(const char **p, size_t *len);
size_t strings_count(const char *text); /* how many members there are */

#endif
