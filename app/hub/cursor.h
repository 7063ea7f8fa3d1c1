#ifndef SLUICE_HUB_CURSOR_H
#define SLUICE_HUB_CURSOR_H

/*
 * cursor - where a feed, or a client of it, stands in what can be read again: in streams, or in the
 * logs of recorded channels.
 *
 * The id of an event says it: the entries' ids (redis/stream_id.h); and where the streams are named
 * by the user or a claim, a "~" and a digest of the names behind them. A browser keeps its id while
 * another user logs in: what one had read says nothing of what the other has missed. Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "redis/stream_id.h"

enum { CURSOR_TEXT = STREAM_CURSOR_TEXT + 1 + DIGEST_TEXT };

/* What a feed stands in, in the order of subscribing. */
struct cursor {
	unsigned n;
	struct stream_id at[STREAM_CURSOR_MAX];
	/* While events are held: up to here all were sent. What came later waits with them. */
	struct stream_id settled[STREAM_CURSOR_MAX];
	uint64_t digest;             /* of their names */
	char whose[DIGEST_TEXT + 1]; /* the same as text; "": anybody's are the same */
};

/* What an id is to a feed. */
enum cursor_said {
	CURSOR_OURS,
	CURSOR_OTHER,  /* it belongs to streams of other names */
	CURSOR_UNKNOWN /* it is no id that we send */
};

/* cursor_add - one more; is_of_user: its name is part of whose the ids are. */
void cursor_add(struct cursor *c, const char *name, bool is_of_user);

/* cursor_print - n ids. whose: as in struct cursor. Returns the length. */
size_t
cursor_print(char text[CURSOR_TEXT], const char *whose, const struct stream_id *ids, size_t n);

/* cursor_parse - an id without a digest is ours: whoever adds entries knows their ids. */
enum cursor_said cursor_parse(struct stream_id *ids, const struct cursor *c, const char *text);

#endif
