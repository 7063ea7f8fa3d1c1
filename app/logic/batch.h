#ifndef SLUICE_LOGIC_BATCH_H
#define SLUICE_LOGIC_BATCH_H

/*
 * batch - several events as one: {"batch":[{"channel":C,"data":D}...],"count":N}. Pure.
 */
#include <stddef.h>

#include "base/buf.h"

struct batch {
	struct buf text; /* the beginning of the object, up to the newest event */
	unsigned n;
};

void batch_init(struct batch *b, size_t cap);
void batch_fini(struct batch *b);
void batch_clear(struct batch *b);

/*
 * batch_add - adds an event. Data that is JSON stands there as it is, any other as a string.
 * Returns 0, -EMSGSIZE past the cap, -ENOMEM; then nothing has changed.
 */
int
batch_add(struct batch *b, const char *channel, size_t channel_len, const char *data, size_t len);

/* batch_finish - completes the text, which is valid until batch_clear(). Errors as batch_add(). */
int batch_finish(struct batch *b);

#endif
