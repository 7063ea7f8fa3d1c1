#ifndef SLUICE_HUB_CURSOR_H
#define SLUICE_HUB_CURSOR_H

/*
 * cursor - where a client stands in the streams of its feed, as the id of an event says it: the
 * entries' ids (redis/stream_id.h); and where the streams are named by the user or a claim, a "~"
 * and a digest of the names behind them. A browser keeps its id while another user logs in: what
 * one had read says nothing of what the other has missed.
 */
#include <stddef.h>

#include "base/digest.h"
#include "redis/stream_id.h"

struct feed;

enum { CURSOR_TEXT = STREAM_CURSOR_TEXT + 1 + DIGEST_TEXT };

/* What an id is to a feed. */
enum cursor_said {
	CURSOR_OURS,
	CURSOR_OTHER,  /* it belongs to streams of other names */
	CURSOR_UNKNOWN /* it is no id that we send */
};

/* cursor_print - of the feed's n streams, or of an entry of a queue. Returns the length. */
size_t cursor_print(char text[CURSOR_TEXT], struct feed *fd, const struct stream_id *ids, size_t n);

/* cursor_parse - an id without a digest is ours: whoever adds entries knows their ids. */
enum cursor_said cursor_parse(struct stream_id *ids, struct feed *fd, const char *text);

#endif
