/*
 * recorded - what feeds of recorded channels do: messages come by pub/sub, each with its id; and
 * whenever some may have been missed, they are read from the channel's log before anything newer is
 * sent.
 *
 * While the log is looked at and read, messages that arrive are not taken: they stand in the log,
 * too, and it is looked at again until none has come meanwhile.
 */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "hub/refusal.h"
#include "logic/entry.h"
#include "redis/past.h"
#include "redis/recorded.h"
#include "redis/stream_entry.h"
#include "source/kinds.h"
#include "source/live.h"

enum { AGAIN_MS = 300 };

enum recorded_state {
	RECORDED_UNSURE,  /* Redis has not confirmed the subscription */
	RECORDED_READING, /* its log is being read: messages are dropped, because they stand in the
			     log */
	RECORDED_DIRTY,   /* some came meanwhile, so the log is read again */
	RECORDED_SURE,
	RECORDED_FAILED, /* its log will be read again, soon */
};

struct recorded {
	struct source source;
	struct past_reading reading;
	enum recorded_state state;
	bool is_known;   /* place holds */
	bool is_refused; /* its log, by Redis */
	/* everything up to here was passed on, or came before the feed */
	struct stream_place place;
	struct stream_id to;        /* it is read up to here */
	struct stream_id read_from; /* where the newest reading of the log began */
	size_t entry_size;          /* of one entry in bytes, as far as is known */
	uv_timer_t again;           /* to look at it again */
};

static void look(struct recorded *rec);

static struct recorded *
recorded_of(struct source *so)
{
	return LIST_ENTRY(so, struct recorded, source);
}

static void
on_again(uv_timer_t *timer)
{
	struct recorded *rec = timer->data;

	if (rec->state == RECORDED_FAILED)
		look(rec);
}

/* The answer is of no use: there is none, or Redis cannot or will not answer. */
static void
fail(struct recorded *rec, const redisReply *reply)
{
	struct feed *fd = rec->source.feed;

	rec->state = RECORDED_FAILED;
	if (reply != NULL && reply->type == REDIS_REPLY_ERROR && !stream_reply_is_passing(reply)) {
		rec->is_refused = true;
		class_tell_refusal(fd->class, source_name(&rec->source), reply->str);
	}
	uv_timer_start(&rec->again, on_again,
		       rec->is_refused ? class_retry_ms(fd->class) : AGAIN_MS, 0);
}

/* Everything that had been missed has been read. */
static void
settle(struct recorded *rec)
{
	rec->state = RECORDED_SURE;
	replay_go_on(rec->source.feed);
	source_ready(&rec->source);
}

static void
set_place(struct recorded *rec, const struct stream_place *place)
{
	struct cursor *c = rec->source.feed->cursor;
	unsigned i = rec->source.sn.index;

	rec->place = *place;
	c->at[i] = c->settled[i] = place->last;
}

/* What is read holds each message once. */
static void
take_entry(struct recorded *rec, const redisReply *reply)
{
	struct feed *fd = rec->source.feed;
	struct stream_entry entry;
	struct entry en;

	if (!stream_entry_parse(&entry, reply) ||
	    stream_id_compare(&entry.id, &rec->place.last) <= 0)
		return;
	stream_place_advance(&rec->place, &entry.id);
	if (entry_read(&en, source_name(&rec->source), &entry.id, entry.fields) < 0) {
		feed_count_drop(fd, -ENOMEM);
		return;
	}
	source_advance(&rec->source, &entry.id);
	feed_count(fd, COUNTER_MESSAGES, 1);
	feed_message(fd, &en.msg);
	entry_fini(&en);
}

static void read_on(struct recorded *rec);

static void
go_on(struct recorded *rec)
{
	if (stream_id_compare(&rec->place.last, &rec->to) < 0)
		read_on(rec);
	else if (rec->state == RECORDED_DIRTY)
		look(rec);
	else
		settle(rec);
}

static void
on_page(struct past_reading *reading, const struct past_answer *answer)
{
	struct recorded *rec = LIST_ENTRY(reading, struct recorded, reading);
	const redisReply *reply = answer->reply;
	size_t i;

	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
		rec->entry_size = rec->entry_size * 4 + 1;
		fail(rec, reply);
		return;
	}
	for (i = 0; i < reply->elements; i++)
		take_entry(rec, reply->element[i]);
	if (reply->elements > 0)
		rec->entry_size = stream_entry_bytes(reply) / reply->elements + 1;
	if (answer->is_whole)
		rec->to = rec->place.last;
	go_on(rec);
}

static void
ask(struct recorded *rec, const struct past_range *range,
    void (*fn)(struct past_reading *reading, const struct past_answer *answer))
{
	struct past *past = rec->source.feed->class->hub->past;
	char key[STREAM_KEY_MAX];

	source_print_key(key, &rec->source);
	rec->reading.on_answer = fn;
	if ((range != NULL ? past_read(past, &rec->reading, key, range)
			   : past_look(past, &rec->reading, key)) < 0)
		fail(rec, NULL);
}

static void
read_on(struct recorded *rec)
{
	struct past_range range = {.from = stream_id_after(rec->place.last),
				   .to = rec->to,
				   .count = past_count(rec->entry_size)};

	ask(rec, &range, on_page);
}

static void
on_info(struct past_reading *reading, const struct past_answer *answer)
{
	struct recorded *rec = LIST_ENTRY(reading, struct recorded, reading);
	struct stream_place place = rec->place;
	enum stream_change change;
	struct stream_info info;

	if (answer->reply == NULL || stream_info_read(&info, answer->reply) < 0) {
		fail(rec, answer->reply);
		return;
	}
	rec->is_refused = false;
	if (!rec->is_known) {
		rec->is_known = true;
		stream_place_begin(&place, &info);
		set_place(rec, &place);
	} else if ((change = stream_place_look(&place, &info)) != STREAM_SAME) {
		if (change != STREAM_TRIMMED)
			set_place(rec, &place);
		rec->place = place;
		live_tell_change(rec->source.feed, change);
	} else {
		rec->place = place;
	}
	rec->to = info.newest;
	rec->read_from = rec->place.last;
	rec->entry_size = info.entry_size;
	go_on(rec);
}

static void look_on(struct recorded *rec);

static void
on_had(struct past_reading *reading, const struct past_answer *answer)
{
	struct recorded *rec = LIST_ENTRY(reading, struct recorded, reading);

	if (answer->reply == NULL || stream_reply_is_passing(answer->reply)) {
		fail(rec, answer->reply);
		return;
	}
	stream_place_answer(&rec->place, answer->reply);
	look_on(rec);
}

/*
 * At first it asks where the log ends. Later it asks what came behind our place, and if it is still
 * the same log; after an interruption also which of the entries that we had are still there.
 */
static void
look_on(struct recorded *rec)
{
	struct past_range up_to = {.order = PAST_NEWEST_FIRST, .count = 1};

	if (stream_place_asks(&rec->place, &up_to.to))
		ask(rec, &up_to, on_had);
	else
		ask(rec, NULL, on_info);
}

static void
look(struct recorded *rec)
{
	rec->state = RECORDED_READING;
	look_on(rec);
}

static void
on_confirmed(struct source *so)
{
	struct recorded *rec = recorded_of(so);

	if (rec->state == RECORDED_READING)
		rec->state = RECORDED_DIRTY; /* the current reading lacks this message */
	else if (rec->state != RECORDED_DIRTY)
		look(rec);
}

/* Nobody is let in before the place in the log is known. */
static void
on_begin(struct source *so)
{
	struct recorded *rec = recorded_of(so);

	uv_timer_init(so->feed->class->hub->loop, &rec->again);
	rec->again.data = rec;
	source_await(so);
	if (subscription_is_confirmed(&so->sn))
		look(rec);
}

/*
 * Messages come in the order of their ids. If one is not newer than our place, it was read from the
 * log just now; or the log was deleted and begun anew with lower ids. So the log is looked at.
 */
static void
take_message(struct recorded *rec, const struct stream_id *id, struct message *msg)
{
	struct feed *fd = rec->source.feed;

	if (stream_id_compare(id, &rec->place.last) > 0) {
		stream_place_advance(&rec->place, id);
		source_advance(&rec->source, id);
		feed_message(fd, msg);
		replay_go_on(fd);
	} else if (stream_id_compare(id, &rec->read_from) <= 0 ||
		   stream_id_compare(id, &rec->to) > 0) {
		look(rec);
	}
}

static void
on_message(struct source *so, struct message *msg, const struct stream_id *id)
{
	struct recorded *rec = recorded_of(so);
	char text[STREAM_ID_TEXT];
	struct message own;

	/* What was published by a plain PUBLISH is in no log. */
	if (id == NULL) {
		feed_message(so->feed, msg);
		return;
	}
	if (rec->state != RECORDED_SURE) {
		if (rec->state == RECORDED_READING)
			rec->state = RECORDED_DIRTY;
		return;
	}
	stream_id_print(text, id);
	message_init(&own, msg->channel, msg->channel_len, msg->data, msg->data_len);
	own.id = text;
	own.id_len = strlen(text);
	take_message(rec, id, &own);
	message_fini(&own);
}

/* Answers that are still expected do not count any more. */
static void
on_lost(struct source *so)
{
	struct recorded *rec = recorded_of(so);

	past_cancel(&rec->reading);
	uv_timer_stop(&rec->again);
	rec->state = RECORDED_UNSURE;
	stream_place_doubt(&rec->place);
}

static void
on_timer_closed(uv_handle_t *timer)
{
	free(timer->data);
}

static void
on_end(struct source *so)
{
	struct recorded *rec = recorded_of(so);

	past_cancel(&rec->reading);
	uv_close((uv_handle_t *)&rec->again, on_timer_closed);
}

const struct source_kind source_recorded = {.name = "recorded",
					    .size = sizeof(struct recorded),
					    .is_resumable = true,
					    .suffix = RECORDED_SUFFIX,
					    .begin = on_begin,
					    .confirmed = on_confirmed,
					    .message = on_message,
					    .lost = on_lost,
					    .end = on_end};
