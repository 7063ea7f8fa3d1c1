#ifndef SLUICE_REDIS_REPLY_MEMORY_H
#define SLUICE_REDIS_REPLY_MEMORY_H

/*
 * reply_memory - what one reply is made of, in few pieces and given back all at once.
 *
 * hiredis by itself allocates each element and each string of a reply, and frees them one by one:
 * of a message that is published this is more work than everything else that is done to it.
 */
#include <stdbool.h>
#include <stddef.h>

struct redisReader;
struct reply_piece;

struct reply_memory {
	struct reply_piece *pieces; /* the newest first */
	size_t used;                /* of the newest */
	size_t n_elements;          /* of all arrays since it was emptied */
};

void reply_memory_init(struct reply_memory *m);
void reply_memory_fini(struct reply_memory *m);

/*
 * reply_memory_serve - the reader makes its replies in m, which must live longer than it. They must
 * not be freed one by one.
 */
void reply_memory_serve(struct reply_memory *m, struct redisReader *reader);

/* reply_memory_empty - nothing that was made is used any more. */
void reply_memory_empty(struct reply_memory *m);

/*
 * reply_memory_has_too_many - did a reply announce more elements than any real one has? It was not
 * made.
 */
bool reply_memory_has_too_many(const struct reply_memory *m);

#endif
