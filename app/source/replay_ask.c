/*
 * replay_ask.c - what Redis is asked for a replay: what became of the streams, where the newest
 * entries begin that a client may have, and the entries, page by page.
 *
 * Each page but the first begins with the last entry of the page before, which was kept back. If
 * that is missing, the stream was trimmed meanwhile, and the client is told.
 */
#include "source/replay_parts.h"

#include "base/clock.h"
#include "hub/refusal.h"
#include "redis/stream_entry.h"

enum {
	AGAIN_MS = 300,  /* Redis did not answer */
	FRESH_MS = 60000 /* a client that was cut has come back by then */
};

/*
 * Asks again later. The place in the log is given up, because nobody knows how long this takes, and
 * what is published meanwhile would have to be kept.
 */
static void
try_again(struct replay *rp)
{
	replay_leave_place(rp);
	uv_timer_start(&rp->again, rp->on_again,
		       rp->is_refused ? class_retry_ms(rp->feed->class) : AGAIN_MS, 0);
}

void
replay_answered(struct replay *rp)
{
	if (--rp->n_pending > 0)
		return;
	if (rp->has_failed)
		try_again(rp);
	else
		rp->on_answered(rp);
}

void
replay_expect(struct replay *rp)
{
	rp->has_failed = rp->is_refused = false;
	rp->n_pending++;
}

bool
replay_waits(struct replay *rp)
{
	if (--rp->n_pending > 0)
		return true;
	if (rp->has_failed)
		try_again(rp);
	return rp->has_failed;
}

/* The answer is of no use: there is none, or Redis cannot or will not answer. */
static void
fail(struct replay_part *part, const redisReply *reply)
{
	struct replay *rp = part->rp;

	rp->has_failed = true;
	/* The answer may have been too large, which breaks the link. */
	if (part->entry_size < SIZE_MAX / 8)
		part->entry_size *= 4;
	if (reply == NULL || reply->type != REDIS_REPLY_ERROR || stream_reply_is_passing(reply))
		return;
	rp->is_refused = true;
	class_tell_refusal(rp->feed->class, source_name(replay_source_of(part)), reply->str);
}

static void
ask(struct replay_part *part, const struct past_range *range,
    void (*fn)(struct past_reading *reading, const struct past_answer *answer))
{
	struct replay *rp = part->rp;
	struct past *past = rp->feed->class->hub->past;
	char key[STREAM_KEY_MAX];
	int rc;

	source_print_key(key, replay_source_of(part));
	part->reading.on_answer = fn;
	rc = range != NULL ? past_read(past, &part->reading, key, range)
			   : past_look(past, &part->reading, key);
	if (rc < 0)
		rp->has_failed = true;
	else
		rp->n_pending++;
}

/*
 * Reads the last entries that the client had: its connection may have been cut before it was told
 * that these were the end.
 */

static void
on_said(struct past_reading *reading, const struct past_answer *answer)
{
	struct replay_part *part = LIST_ENTRY(reading, struct replay_part, reading);
	const redisReply *reply = answer->reply;

	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
		fail(part, reply);
	} else {
		replay_keep_page(part, reply, PAST_OLDEST_FIRST);
		part->rp->ends = replay_ends_with(part) || part->rp->ends;
		replay_forget_entries(part);
	}
	replay_answered(part->rp);
}

/*
 * Was what the client names written a moment ago? Then it may have been cut between that event and
 * stream-done. Else it more likely has never had it: stream-open names the newest entry to whoever
 * comes without an id, and a stream may be used again after its end.
 */
static bool
is_fresh(const struct replay_part *part)
{
	return (double)part->said.ms + FRESH_MS > clock_unix_ms();
}

void
replay_ask_said(struct replay *rp)
{
	for (unsigned i = 0; i < rp->n; i++) {
		struct replay_part *part = &rp->parts[i];
		const struct past_range range = {.from = part->said, .to = part->said, .count = 1};

		if (is_fresh(part))
			ask(part, &range, on_said);
	}
}

/* Reads what became of the streams. */

static void
on_info(struct past_reading *reading, const struct past_answer *answer)
{
	struct replay_part *part = LIST_ENTRY(reading, struct replay_part, reading);
	struct replay *rp = part->rp;
	struct stream_info info;

	if (answer->reply == NULL || stream_info_read(&info, answer->reply) < 0) {
		fail(part, answer->reply);
	} else {
		part->length = info.length;
		part->entry_size = info.entry_size;
		if (replay_is_resumed(rp) && stream_id_compare(&part->said, &info.newest) > 0)
			rp->unknown = REPLAY_UNKNOWN_ID;
		else if (replay_is_resumed(rp) && stream_info_lacks(&info, &part->said))
			rp->is_trimmed = true;
	}
	replay_answered(rp);
}

static bool
begins_at(const redisReply *reply, const struct stream_id *id)
{
	struct stream_entry first;

	return reply->elements > 0 && stream_entry_parse(&first, reply->element[0]) &&
	       stream_id_compare(&first.id, id) == 0;
}

/*
 * Nothing can be sent of this page, because all its entries are too large as JSON. The next page
 * begins with its last entry. Returns false if it brings us no further.
 */
static bool
pass_page(struct replay_part *part, const redisReply *reply)
{
	struct stream_entry last;

	if (part->rp->has_failed || reply->elements == 0 ||
	    !stream_entry_parse(&last, reply->element[reply->elements - 1]) ||
	    stream_id_compare(&last.id, &part->from) <= 0)
		return false;
	part->from = last.id;
	part->is_entry = true;
	return true;
}

static void
on_page(struct past_reading *reading, const struct past_answer *answer)
{
	struct replay_part *part = LIST_ENTRY(reading, struct replay_part, reading);
	const redisReply *reply = answer->reply;

	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
		fail(part, reply);
	} else {
		if (part->has_next ? !begins_at(reply, &part->next)
				   : part->is_entry && !begins_at(reply, &part->from))
			part->rp->is_trimmed = true;
		replay_keep_page(part, reply, PAST_OLDEST_FIRST);
		part->has_reached = answer->is_whole || (part->n_v == 0 && !pass_page(part, reply));
		part->has_next = !part->has_reached && replay_keep_back(part);
	}
	replay_answered(part->rp);
}

bool
replay_ask_pages(struct replay *rp)
{
	unsigned i;

	replay_expect(rp);
	for (i = 0; i < rp->n; i++) {
		struct replay_part *part = &rp->parts[i];
		struct past_range range = {.from = part->from, .to = part->to};

		if (part->has_reached || part->at < part->n_v)
			continue;
		if (part->has_next)
			range.from = part->next;
		else if (!part->is_entry)
			range.from = stream_id_after(part->from);
		range.count = past_count(part->entry_size);
		ask(part, &range, on_page);
	}
	return replay_waits(rp);
}

/* If the gap is long, or there is no id, the client gets only the newest entries: how many? */

static bool
is_last(const struct replay *rp)
{
	const struct feed_settings *fs = rp->feed->class->settings;

	return rp->begins == REPLAY_FROM_START && fs->start.last > 0 &&
	       fs->start.last <= fs->history;
}

static unsigned
limit_of(const struct replay *rp)
{
	const struct feed_settings *fs = rp->feed->class->settings;

	return is_last(rp) ? fs->start.last : fs->history;
}

/* There is one entry more than the client may have: the replay begins behind it. */
static void
begin_behind(struct replay_part *part, const struct stream_id *id)
{
	part->from = *id;
	part->is_entry = true;
	if (!is_last(part->rp))
		part->rp->is_trimmed = true;
}

/* The newest are first. */
static void
count_page(struct replay_part *part, const struct past_answer *answer)
{
	const redisReply *reply = answer->reply;
	unsigned limit = limit_of(part->rp);
	struct stream_entry entry;
	size_t i;

	if (part->n_counted == 0 && answer->is_whole && reply->elements <= limit) {
		/* The page is kept so that it need not be read again. */
		replay_keep_page(part, reply, PAST_NEWEST_FIRST);
		part->has_reached = true;
		return;
	}
	for (i = 0; i < reply->elements; i++) {
		if (!stream_entry_parse(&entry, reply->element[i]))
			continue;
		part->counted = entry.id;
		if (part->n_counted++ == limit) {
			begin_behind(part, &entry.id);
			return;
		}
	}
	if (answer->is_whole)
		part->n_counted = limit + 1; /* it may have all */
}

static void
on_count(struct past_reading *reading, const struct past_answer *answer)
{
	struct replay_part *part = LIST_ENTRY(reading, struct replay_part, reading);

	if (answer->reply == NULL || answer->reply->type != REDIS_REPLY_ARRAY)
		fail(part, answer->reply);
	else
		count_page(part, answer);
	replay_answered(part->rp);
}

static void
ask_count(struct replay_part *part)
{
	struct past_range range = {.order = PAST_NEWEST_FIRST, .to = part->to};
	unsigned rest = limit_of(part->rp) + 1 - part->n_counted;

	range.from = stream_id_after(part->from);
	if (part->n_counted > 0)
		range.to = stream_id_before(part->counted);
	range.count = past_count(part->entry_size);
	if (range.count > rest)
		range.count = rest;
	ask(part, &range, on_count);
}

static bool
is_counted(const struct replay_part *part)
{
	unsigned limit = limit_of(part->rp);

	return part->has_reached || part->length <= limit || part->n_counted > limit;
}

void
replay_ask_info(struct replay *rp)
{
	for (unsigned i = 0; i < rp->n; i++)
		ask(&rp->parts[i], NULL, on_info);
}

void
replay_ask_counts(struct replay *rp)
{
	for (unsigned i = 0; i < rp->n; i++) {
		if (!is_counted(&rp->parts[i]))
			ask_count(&rp->parts[i]);
	}
}
