#ifndef SLUICE_HUB_CURSOR_H
#define SLUICE_HUB_CURSOR_H

/*
 * cursor - where a feed, or one of its clients, stands in what can be read again: in streams, or in
 * the logs of recorded channels. The id of an event is a cursor: the entries' ids
 * (redis/stream_id.h), and a "~" with a digest of the streams' names behind them, if the user or a
 * claim names the streams. A browser keeps its id when another user logs in; what the first one has
 * read says nothing about what the second one has missed. Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "redis/stream_id.h"

enum { CURSOR_TEXT = STREAM_CURSOR_TEXT + 1 + DIGEST_TEXT };

/* Where a feed stands in each of its streams, in the order of subscribing. */
struct cursor {
	unsigned n;
	struct stream_id at[STREAM_CURSOR_MAX];
	/* While events are held back: all events up to here were sent, and later ones wait. */
	struct stream_id settled[STREAM_CURSOR_MAX];
	uint64_t digest; /* of their names */
	char whose[DIGEST_TEXT +
		   1]; /* the digest as text; "": the streams are the same for everybody */
};

/* Whether a client's id is one of this feed. */
enum cursor_said {
	CURSOR_OURS,
	CURSOR_OTHER,  /* it belongs to streams of other names */
	CURSOR_UNKNOWN /* it is no id that we send */
};

/* cursor_add - adds a stream. is_of_user: its name becomes part of the digest. */
void cursor_add(struct cursor *c, const char *name, bool is_of_user);

/*
 * cursor_print - writes n ids; whose is as in struct cursor. If they need more than EVENT_ID_MAX
 * bytes, the text is CURSOR_NONE: who comes back with it is told that it may have missed something.
 * Returns the length.
 */
#define CURSOR_NONE "~" /* cursor_parse() takes it for CURSOR_UNKNOWN */
size_t
cursor_print(char text[CURSOR_TEXT], const char *whose, const struct stream_id *ids, size_t n);

/*
 * cursor_parse - reads an id. One without a digest counts as ours: whoever adds entries knows their
 * ids, and may begin at one.
 */
enum cursor_said cursor_parse(struct stream_id *ids, const struct cursor *c, const char *text);

#endif
