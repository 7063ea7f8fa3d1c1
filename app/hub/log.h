#ifndef SLUICE_HUB_LOG_H
#define SLUICE_HUB_LOG_H

/*
 * log - a feed's frames, append-only, read by any number of cursors.
 *
 * A cursor is an offset, counted from the feed's first byte and never reset.
 * The log knows only how many cursors stand in each chunk: when the first
 * chunks hold none any more they are freed, so an idle feed holds no bytes.
 * Cursors at the end, which are most of them, are in no chunk and cost nothing.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/list.h"
#include "sse/wire.h"

struct chunk;

struct log {
	const struct wire *wire; /* how its frames are written */
	struct list chunks;
	uint64_t end;    /* offset behind the newest byte */
	size_t n_at_end; /* cursors that have read all */
	size_t n_bytes;  /* held in chunks */
};

void log_init(struct log *lg, const struct wire *wire);
void log_fini(struct log *lg);

/*
 * log_append - one frame, or bytes that say nothing between two. Where no
 * cursor can read it, only end moves. Returns 0, -ENOMEM (then nothing changed).
 */
int log_append(struct log *lg, const char *p, size_t len);

uint64_t log_enter(struct log *lg); /* one more cursor, at the end: its offset */
/* log_enter_at - at an offset that is held: a cursor stands there or before. Returns it. */
uint64_t log_enter_at(struct log *lg, uint64_t at);
void log_move(struct log *lg, uint64_t from,
	      uint64_t to);                  /* a cursor goes on; frees what all have passed */
void log_leave(struct log *lg, uint64_t at); /* a cursor is gone */

bool log_has(const struct log *lg, uint64_t at); /* may a cursor stand there? */

/* log_gather - the bytes [from, to) in at most *n_iov pieces; sets *n_iov. Returns their length. */
size_t log_gather(const struct log *lg, uint64_t from, uint64_t to, struct iovec *iov, int *n_iov);

/* log_boundary - the first offset at or after at where a frame begins, or the end. A cursor must
 * stand at at or before it. */
uint64_t log_boundary(const struct log *lg, uint64_t at);

/*
 * A piece of one frame that its reader keeps when it leaves the log: the bytes are not copied, and
 * do not hold back the log. One of no bytes holds nothing.
 */
struct log_piece {
	struct chunk *chunk;
	const char *p;
	size_t len;
};

/* log_take - the bytes [from, to), which end at the end of the frame that from is in. */
void log_take(const struct log *lg, uint64_t from, uint64_t to, struct log_piece *piece);
void log_piece_consume(struct log_piece *piece, size_t len); /* its first bytes are done with */

#endif
