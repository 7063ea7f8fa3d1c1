/*
 * replay_buffer.c - the newest frames of a feed that can resume stay in its log for a while, so
 * that a client that was away for a moment is sent what it missed without asking Redis: when a web
 * server is restarted, all come back at once.
 *
 * There is no index: an event's id stands in its frame, and what is held is short.
 */
#include <string.h>

#include "source/live.h"

enum { HELD_MAX = 16 * 1024, PIECES_MAX = 64 };

/* Moves on by whole chunks, because the log frees nothing smaller: a quarter of the buffer. */
static void
forget_oldest(struct live *live, struct log *lg)
{
	while (lg->end - live->replay_buffer_from > HELD_MAX) {
		uint64_t next = log_next_chunk(lg, live->replay_buffer_from);

		log_move(lg, live->replay_buffer_from, next);
		live->replay_buffer_from = next;
	}
}

void
replay_buffer_hold(struct feed *fd)
{
	struct log *lg = &fd->out.log;
	struct live *live = live_need(fd);

	if (live == NULL)
		return; /* out of memory: a client that comes back is served from Redis */
	if (!live->holds_log) {
		live->holds_log = true;
		live->replay_buffer_from = log_enter(lg);
	}
	forget_oldest(live, lg);
}

void
replay_buffer_release(struct feed *fd)
{
	struct live *live = live_of(fd);

	if (live == NULL || !live->holds_log)
		return;
	live->holds_log = false;
	log_leave(&fd->out.log, live->replay_buffer_from);
}

/* The event that is searched for among frames, and what was found. */
struct search {
	const struct wire *wire;
	char id[CURSOR_TEXT];
	size_t len;
	bool is_found;
	uint64_t at;       /* where the next frame begins */
	unsigned n_behind; /* events behind it */
};

/* Searches a piece of the log that holds whole frames and begins at the offset base. */
static void
search_piece(struct search *s, const char *begin, size_t len, uint64_t base)
{
	const char *p = begin, *end = begin + len, *next, *id;
	size_t id_len;

	for (; p < end; p = next) {
		next = s->wire->boundary(begin, p + 1, end);
		if ((id = s->wire->find_id(p, next, &id_len)) == NULL)
			continue;
		s->n_behind++;
		if (id_len != s->len || memcmp(id, s->id, s->len) != 0)
			continue;
		s->is_found = true;
		s->at = base + (uint64_t)(next - begin);
		s->n_behind = 0;
	}
}

bool
replay_buffer_find(struct feed *fd, const struct stream_id *ids, uint64_t *at, unsigned *n_behind)
{
	const struct cursor *c = feed_cursor(fd);
	const struct live *live = live_of(fd);
	struct iovec pieces[PIECES_MAX];
	struct search s = {.wire = fd->out.log.wire};
	int n = PIECES_MAX, i;
	uint64_t base;

	if (live == NULL || !live->holds_log)
		return false;
	base = live->replay_buffer_from;
	s.len = cursor_print(s.id, c->whose, ids, c->n);
	if (strcmp(s.id, CURSOR_NONE) == 0)
		return false; /* so may be the ids of others */
	if (log_gather(&fd->out.log, base, fd->out.log.end, pieces, &n) != fd->out.log.end - base)
		return false; /* it is in more pieces than are searched */
	for (i = 0; i < n; i++) {
		search_piece(&s, pieces[i].iov_base, pieces[i].iov_len, base);
		base += pieces[i].iov_len;
	}
	*at = s.at;
	*n_behind = s.n_behind;
	return s.is_found;
}
