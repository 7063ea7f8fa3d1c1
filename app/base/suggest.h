#ifndef SLUICE_BASE_SUGGEST_H
#define SLUICE_BASE_SUGGEST_H

/*
 * suggest - the name that was most likely meant by one that does not exist.
 *
 *	struct suggest s;
 *	suggest_init(&s, "chanel");
 *	suggest_try(&s, "channels");			(for each valid name)
 *	suggest_best(&s)				"channels", or NULL if nothing comes near
 */
#include <stddef.h>

struct suggest {
	const char *word;
	const char *best;
	size_t distance;
};

/* word and the names are borrowed while s is in use. */
void suggest_init(struct suggest *s, const char *word);
void suggest_try(struct suggest *s, const char *name);

/* suggest_best - the nearest name, if at most a third of its letters differ from the word. */
const char *suggest_best(const struct suggest *s);

/*
 * suggest_distance - how many letters must be added, left out, changed or swapped with their
 * neighbour to make b of a; upper and lower case are the same (Damerau-Levenshtein, optimal
 * string alignment). Words longer than 64 bytes are SIZE_MAX apart from all others.
 */
size_t suggest_distance(const char *a, const char *b);

#endif
