/*
 * recent.c - the newest frames of a feed that can resume stay in its log for a while, so that a
 * client that was away for a moment is sent what it missed without asking Redis: when a web server
 * is restarted, all come back at once.
 *
 * There is no index: an event's id stands in its frame, and what is held is short.
 */
#include <string.h>

#include "hub/private.h"

enum { HELD_MAX = 16 * 1024, PIECES_MAX = 64 };

static const char id_field[] = "id: ";

void
recent_hold(struct feed *fd)
{
	struct feed_more *more = fd->more;

	if (more == NULL || more->n_streams == 0)
		return;
	if (!more->has_recent) {
		more->has_recent = true;
		more->recent_from = log_enter(&fd->log);
	}
	/* Not frame by frame: half of it goes when it is full. */
	if (fd->log.end - more->recent_from > HELD_MAX) {
		uint64_t to = log_boundary(&fd->log, fd->log.end - HELD_MAX / 2);

		log_move(&fd->log, more->recent_from, to);
		more->recent_from = to;
	}
}

void
recent_forget(struct feed *fd)
{
	if (fd->more == NULL || !fd->more->has_recent)
		return;
	fd->more->has_recent = false;
	log_leave(&fd->log, fd->more->recent_from);
}

/* What is looked for among frames, and what was found. */
struct search {
	char line[sizeof(id_field) + STREAM_CURSOR_TEXT];
	size_t len;
	bool is_found;
	uint64_t at;
	unsigned n_behind; /* events behind it */
};

/* Lines of one piece, which holds whole frames and begins at an offset. */
static void
search_piece(struct search *s, const char *p, size_t len, uint64_t base)
{
	const char *begin = p, *end = p + len, *eol;

	for (; p < end && (eol = memchr(p, '\n', (size_t)(end - p))) != NULL; p = eol + 1) {
		if ((size_t)(eol - p) <= strlen(id_field) ||
		    memcmp(p, id_field, strlen(id_field)) != 0)
			continue;
		s->n_behind++;
		if ((size_t)(eol - p) != s->len || memcmp(p, s->line, s->len) != 0)
			continue;
		s->is_found = true;
		s->at = base + (uint64_t)(eol - begin); /* within its frame: what follows is next */
		s->n_behind = 0;
	}
}

bool
recent_find(const struct feed *fd, const struct stream_id *ids, uint64_t *at, unsigned *n_behind)
{
	const struct feed_more *more = fd->more;
	struct iovec pieces[PIECES_MAX];
	struct search s = {.is_found = false};
	int n = PIECES_MAX, i;
	uint64_t base;

	if (more == NULL || !more->has_recent)
		return false;
	base = more->recent_from;
	memcpy(s.line, id_field, sizeof(id_field));
	s.len =
	    strlen(id_field) + stream_cursor_print(s.line + strlen(id_field), ids, more->n_streams);
	if (log_gather(&fd->log, base, fd->log.end, pieces, &n) != fd->log.end - base)
		return false; /* in more pieces than one looks through */
	for (i = 0; i < n; i++) {
		search_piece(&s, pieces[i].iov_base, pieces[i].iov_len, base);
		base += pieces[i].iov_len;
	}
	if (!s.is_found)
		return false;
	*at = log_boundary(&fd->log, s.at);
	*n_behind = s.n_behind;
	return true;
}
