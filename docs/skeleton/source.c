/*
 * source.c - to be copied: a kind of source, here a channel whose messages count only once Redis
 * has been confirmed for "quiet_ms": what comes before that is left out.
 *
 * To have it: put it into app/source/, name its table in source/kinds.h, and say in source/kinds.c
 * which kind of feed follows what by it:
 *
 *	static const struct feed_kind calm = {
 *	    .name = "calm",
 *	    .follows = {[SUBJECT_CHANNEL] = &source_calm},
 *	};
 *
 * and in feed_kind_of() for which sections that is. The hub calls both tables, and knows neither.
 */
#include <stdlib.h>

#include "hub/source.h"

enum { QUIET_MS = 100 };

/* What it keeps for each thing that a feed follows. Its first member must be the source itself. */
struct calm {
	struct source so;
	uint64_t from_ms; /* the loop's time from which on messages count */
};

static struct calm *
calm_of(struct source *so)
{
	return (struct calm *)(void *)so;
}

static uint64_t
now_ms(const struct source *so)
{
	return uv_now(so->feed->class->hub->loop);
}

/*
 * Redis has confirmed: at the beginning, and again after each lost link. If another feed's
 * subscription had confirmed it before, this is not called; begin() is for that.
 */
static void
calm_confirmed(struct source *so)
{
	calm_of(so)->from_ms = now_ms(so) + QUIET_MS;
	source_ready(so); /* may be called later: subscribers are let in only then */
}

/* feed_message() calls the handler and the stages, and sends what they let through. */
static void
calm_message(struct source *so, struct message *msg, const struct stream_id *id)
{
	(void)id; /* the id of a stream's entry, or of a recorded channel's message */
	if (now_ms(so) >= calm_of(so)->from_ms)
		feed_message(so->feed, msg);
}

/* The feed does not follow it any more: free it, now or later. */
static void
calm_end(struct source *so)
{
	free(calm_of(so));
}

extern const struct source_kind source_calm;
const struct source_kind source_calm = {
    .name = "calm",
    .size = sizeof(struct calm),
    .confirmed = calm_confirmed,
    .message = calm_message,
    .end = calm_end,
};
