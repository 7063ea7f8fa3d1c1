#ifndef SLUICE_BASE_STRINGS_H
#define SLUICE_BASE_STRINGS_H

/* strings - lists of texts on the heap that end with NULL; NULL itself is an empty one. */

void strings_free(char **list);

/* strings_copy - the caller's; NULL if out of memory. */
char **strings_copy(char *const *list);

#endif
