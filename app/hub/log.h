#ifndef SLUICE_HUB_LOG_H
#define SLUICE_HUB_LOG_H

/*
 * log - the frames of a feed: it is append-only, and any number of cursors read it.
 *
 * A cursor is an offset, which is counted from the feed's first byte and never reset. The log knows
 * only how many cursors stand in each chunk. When none stands in the first chunks any more they are
 * freed, so an idle feed holds no bytes. Cursors at the end, which are most of them, stand in no
 * chunk and cost nothing.
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
	uint64_t end;      /* offset behind the newest byte */
	uint32_t n_at_end; /* cursors that have read all */
	uint32_t n_bytes;  /* held in chunks */
};

void log_init(struct log *lg, const struct wire *wire);
void log_fini(struct log *lg);

/*
 * log_append - appends one frame, or bytes that say nothing between two frames. If no cursor will
 * read it, only end moves. Returns 0, -ENOMEM (then nothing has changed).
 */
int log_append(struct log *lg, const char *p, size_t len);

uint64_t log_enter(struct log *lg); /* adds a cursor at the end; returns its offset */
/*
 * log_enter_at - adds a cursor at an offset whose bytes are there, because a cursor stands there or
 * before. Returns the offset.
 */
uint64_t log_enter_at(struct log *lg, uint64_t at);
void log_move(struct log *lg, uint64_t from,
	      uint64_t to); /* moves a cursor forward; frees the chunks that all have passed */
void log_leave(struct log *lg, uint64_t at); /* a cursor is gone */

bool log_has(const struct log *lg, uint64_t at); /* may a cursor stand there? */

/* log_gather - the bytes [from, to) as at most *n_iov pieces. Sets *n_iov. Returns their length. */
size_t log_gather(const struct log *lg, uint64_t from, uint64_t to, struct iovec *iov, int *n_iov);

/*
 * log_boundary - the first offset at or after at where a frame begins, or the end. A cursor must
 * stand at this offset or before it.
 */
uint64_t log_boundary(const struct log *lg, uint64_t at);

/* log_next_chunk - where the next chunk begins, and so a frame, or the end: a cursor that is moved
 * there lets go of memory. A cursor must stand at at or before it. */
uint64_t log_next_chunk(const struct log *lg, uint64_t at);

/*
 * A piece of one frame, which its reader keeps when it leaves the log. The bytes are not copied,
 * and the log can free what stands before them. A piece of no bytes holds nothing.
 */
struct log_piece {
	struct chunk *chunk;
	uint32_t at; /* in the chunk */
	uint32_t len;
};

/* log_take - takes the bytes [from, to), where to is the end of the frame that from is in. */
void log_take(const struct log *lg, uint64_t from, uint64_t to, struct log_piece *piece);
const char *log_piece_bytes(const struct log_piece *piece);  /* NULL: it holds nothing */
void log_piece_consume(struct log_piece *piece, size_t len); /* its first bytes are done with */

#endif
