/*
 * replay_place.c - where a client stands in the streams, and the place in the log at which a round
 * ends.
 */
#include "source/replay_parts.h"

#define OTHER "{\"reason\":\"other\"}"

const char *
replay_parse_client(struct replay *rp, const char *text)
{
	static const char *const reasons[] = {
	    [CURSOR_OURS] = NULL, [CURSOR_OTHER] = OTHER, [CURSOR_UNKNOWN] = REPLAY_UNKNOWN_ID};
	struct stream_id said[STREAM_CURSOR_MAX] = {0};
	enum cursor_said is = cursor_parse(said, feed_cursor(rp->feed), text);

	for (unsigned i = 0; i < rp->n; i++)
		rp->parts[i].said = said[i];
	return reasons[is];
}

const char *
replay_whose(const struct replay *rp)
{
	return feed_cursor(rp->feed)->whose;
}

void
replay_make_cursor(struct stream_id cursor[STREAM_CURSOR_MAX], const struct replay *rp)
{
	unsigned i;

	for (i = 0; i < rp->n; i++)
		cursor[i] = rp->parts[i].from;
}

size_t
replay_print_cursor(char text[CURSOR_TEXT], const struct replay *rp)
{
	struct stream_id cursor[STREAM_CURSOR_MAX];

	replay_make_cursor(cursor, rp);
	return cursor_print(text, replay_whose(rp), cursor, rp->n);
}

/*
 * Writes where the client stands, as it is told: where it says; or before the first entry that it
 * will be sent; or, if there is none, where the round ends.
 */
void
replay_print_beginning(char text[CURSOR_TEXT], const struct replay *rp)
{
	struct stream_id cursor[STREAM_CURSOR_MAX];
	unsigned i;

	for (i = 0; i < rp->n; i++) {
		const struct replay_part *part = &rp->parts[i];

		if (replay_is_known(rp))
			cursor[i] = part->said;
		else if (part->at < part->n_v)
			cursor[i] = stream_id_before(part->v[part->at].id);
		else
			cursor[i] = part->to;
	}
	cursor_print(text, replay_whose(rp), cursor, rp->n);
}

void
replay_take_place(struct replay *rp)
{
	struct stream_id from[STREAM_CURSOR_MAX];
	const struct stream_id *to;
	unsigned i;

	if (rp->has_place)
		return;
	for (i = 0; i < rp->n; i++)
		from[i] = rp->has_begun ? rp->parts[i].from : rp->parts[i].said;
	/*
	 * This comes before the place is taken, because it may send to the log what was held back.
	 */
	to = feed_place(rp->feed, rp->has_begun || replay_is_known(rp) ? from : NULL);
	for (i = 0; i < rp->n; i++)
		rp->parts[i].to = to[i];
	rp->has_place = true;
	rp->place = log_enter(&rp->feed->out.log);
	subscriber_take_place(rp->sub);
	rp->n_feed_events = rp->feed->out.n_events;
}

void
replay_leave_place(struct replay *rp)
{
	if (!rp->has_place)
		return;
	log_leave(&rp->feed->out.log, rp->place);
	rp->has_place = false;
	rp->n_feed_events = rp->feed->out.n_events;
}

void
replay_set_round(struct replay *rp)
{
	unsigned i;

	for (i = 0; i < rp->n; i++) {
		struct replay_part *part = &rp->parts[i];

		part->has_reached = stream_id_compare(&part->from, &part->to) >= 0;
		part->has_next = false;
	}
}

/* The first round begins where the client stands, or where the route's section says. */
void
replay_set_first_round(struct replay *rp)
{
	unsigned i;

	for (i = 0; i < rp->n; i++) {
		struct replay_part *part = &rp->parts[i];

		replay_forget_entries(part);
		part->from = replay_has_past(rp) ? part->said : part->to;
		part->is_entry = false;
		part->n_counted = 0;
	}
	replay_set_round(rp);
}

bool
replay_is_ahead(const struct replay *rp)
{
	const struct stream_id *at = feed_cursor(rp->feed)->at;
	unsigned i;

	for (i = 0; replay_is_known(rp) && i < rp->n; i++) {
		if (stream_id_compare(&rp->parts[i].said, &at[i]) > 0)
			return true;
	}
	return false;
}

/*
 * The client was ahead of the feed when the place was taken, and is not any more: a snapshot is
 * newer than the place that was taken before it, and the reader may have got on while Redis was
 * asked. The client has had what lies between, so a place is taken anew.
 */
void
replay_take_later_place(struct replay *rp)
{
	bool is_later = false;

	for (unsigned i = 0; replay_is_known(rp) && i < rp->n; i++)
		is_later = is_later || stream_id_compare(&rp->parts[i].said, &rp->parts[i].to) > 0;
	if (!is_later)
		return;
	replay_leave_place(rp);
	replay_take_place(rp);
}
