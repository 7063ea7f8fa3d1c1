#include "hub/log.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * The first chunk is small, because most feeds send one short frame a turn. Each of the next has a
 * quarter of what the log holds. Memory is given back by whole chunks, so a log that always holds
 * something does not come to need several times as much; in a flood there are still few of them.
 */
enum { CHUNK_MIN = 1024, CHUNK_MAX = 65536, CHUNK_PART = 4 };

/* A frame never spans two chunks, so that log_boundary() finds its end within one. */
struct chunk {
	struct list node;
	uint64_t base; /* offset of bytes[0] */
	size_t len;
	size_t cap;
	size_t last;      /* where in bytes the newest frame begins */
	size_t n_cursors; /* cursors whose next byte is in this chunk */
	size_t n_pieces;  /* that are taken of it */
	char bytes[];
};

static struct chunk *
chunk_of(struct list *node)
{
	return LIST_ENTRY(node, struct chunk, node);
}

static struct chunk *
last_chunk(const struct log *lg) /* of a log that holds any */
{
	return chunk_of(lg->chunks.prev);
}

/*
 * The chunk that holds the byte at this offset. at is less than the end, and a cursor stands there
 * or before.
 */
static struct chunk *
chunk_at(const struct log *lg, uint64_t at)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &lg->chunks) {
		struct chunk *ck = chunk_of(node);

		if (at < ck->base + ck->len) {
			assert(at >= ck->base);
			return ck;
		}
	}
	assert(false && "an offset that no chunk holds");
	abort();
}

static struct chunk *
chunk_new(struct log *lg, size_t len)
{
	size_t cap = lg->n_bytes / CHUNK_PART;
	struct chunk *ck;

	if (cap < CHUNK_MIN)
		cap = CHUNK_MIN;
	if (cap > CHUNK_MAX)
		cap = CHUNK_MAX;
	if (cap < len)
		cap = len;
	if ((ck = malloc(sizeof(*ck) + cap)) == NULL)
		return NULL;
	ck->base = lg->end;
	ck->len = 0;
	ck->cap = cap;
	ck->last = 0;
	ck->n_cursors = ck->n_pieces = 0;
	list_add_tail(&lg->chunks, &ck->node);
	return ck;
}

static void
chunk_free(struct log *lg, struct chunk *ck)
{
	list_del(&ck->node);
	lg->n_bytes -= (uint32_t)ck->len;
	if (ck->n_pieces == 0)
		free(ck); /* else it is freed with its last piece */
}

/* A cursor has left the chunk. As long as one stands in the first, nothing has been passed. */
static void
leave_chunk(struct log *lg, struct chunk *ck)
{
	if (--ck->n_cursors > 0)
		return;
	while (!list_is_empty(&lg->chunks) && chunk_of(lg->chunks.next)->n_cursors == 0)
		chunk_free(lg, chunk_of(lg->chunks.next));
}

void
log_init(struct log *lg, const struct wire *wire)
{
	memset(lg, 0, sizeof(*lg));
	lg->wire = wire;
	list_init(&lg->chunks);
}

void
log_fini(struct log *lg)
{
	while (!list_is_empty(&lg->chunks))
		chunk_free(lg, chunk_of(lg->chunks.next));
}

int
log_append(struct log *lg, const char *p, size_t len)
{
	struct chunk *ck = NULL;

	if (!list_is_empty(&lg->chunks)) {
		ck = last_chunk(lg);
		if (ck->cap - ck->len < len)
			ck = NULL;
	} else if (lg->n_at_end == 0) {
		lg->end += len;
		return 0;
	}
	if (len > UINT32_MAX - lg->n_bytes || (ck == NULL && (ck = chunk_new(lg, len)) == NULL))
		return -ENOMEM;
	memcpy(ck->bytes + ck->len, p, len);
	ck->last = ck->len;
	ck->len += len;
	ck->n_cursors += lg->n_at_end;
	lg->n_at_end = 0;
	lg->n_bytes += (uint32_t)len;
	lg->end += len;
	return 0;
}

bool
log_has(const struct log *lg, uint64_t at)
{
	return at == lg->end || (at < lg->end && !list_is_empty(&lg->chunks) &&
				 at >= chunk_of(lg->chunks.next)->base);
}

uint64_t
log_enter(struct log *lg)
{
	lg->n_at_end++;
	return lg->end;
}

uint64_t
log_enter_at(struct log *lg, uint64_t at)
{
	if (at == lg->end)
		return log_enter(lg);
	chunk_at(lg, at)->n_cursors++;
	return at;
}

void
log_leave(struct log *lg, uint64_t at)
{
	if (at == lg->end) {
		assert(lg->n_at_end > 0);
		lg->n_at_end--;
		return;
	}
	leave_chunk(lg, chunk_at(lg, at));
}

void
log_move(struct log *lg, uint64_t from, uint64_t to)
{
	struct chunk *old;

	assert(from <= to && to <= lg->end);
	if (from == to)
		return;
	old = chunk_at(lg, from);
	if (to == lg->end) {
		lg->n_at_end++;
	} else if (to < old->base + old->len) {
		return; /* it is still in the same chunk, as after most short writes */
	} else {
		chunk_at(lg, to)->n_cursors++;
	}
	leave_chunk(lg, old);
}

size_t
log_gather(const struct log *lg, uint64_t from, uint64_t to, struct iovec *iov, int *n_iov)
{
	struct list *node;
	size_t total = 0;
	int n = 0;

	if (from >= to || *n_iov == 0) {
		*n_iov = 0;
		return 0;
	}
	for (node = &chunk_at(lg, from)->node; node != &lg->chunks && n < *n_iov && from < to;
	     node = node->next) {
		struct chunk *ck = chunk_of(node);
		uint64_t upto = to < ck->base + ck->len ? to : ck->base + ck->len;

		iov[n].iov_base = ck->bytes + (from - ck->base);
		iov[n].iov_len = (size_t)(upto - from);
		total += iov[n++].iov_len;
		from = upto;
	}
	*n_iov = n;
	return total;
}

uint64_t
log_boundary(const struct log *lg, uint64_t at)
{
	const struct chunk *ck;

	if (at >= lg->end)
		return lg->end;
	ck = chunk_at(lg, at);
	if (at - ck->base > ck->last)
		return ck->base + ck->len; /* a long frame is not searched */
	return ck->base + (uint64_t)(lg->wire->boundary(ck->bytes, ck->bytes + (at - ck->base),
							ck->bytes + ck->len) -
				     ck->bytes);
}

uint64_t
log_next_chunk(const struct log *lg, uint64_t at)
{
	const struct chunk *ck;

	if (at >= lg->end)
		return lg->end;
	ck = chunk_at(lg, at);
	return ck->base + ck->len;
}

void
log_take(const struct log *lg, uint64_t from, uint64_t to, struct log_piece *piece)
{
	struct chunk *ck;

	*piece = (struct log_piece){0};
	if (from == to)
		return;
	ck = chunk_at(lg, from);
	assert(to - ck->base <= ck->len);
	ck->n_pieces++;
	*piece = (struct log_piece){
	    .chunk = ck, .at = (uint32_t)(from - ck->base), .len = (uint32_t)(to - from)};
}

const char *
log_piece_bytes(const struct log_piece *piece)
{
	return piece->chunk != NULL ? piece->chunk->bytes + piece->at : NULL;
}

void
log_piece_consume(struct log_piece *piece, size_t len)
{
	assert(len <= piece->len);
	if (piece->len == 0)
		return;
	piece->at += (uint32_t)len;
	piece->len -= (uint32_t)len;
	if (piece->len > 0)
		return;
	if (--piece->chunk->n_pieces == 0 && list_is_empty(&piece->chunk->node))
		free(piece->chunk); /* the log had freed its part before */
	*piece = (struct log_piece){0};
}
