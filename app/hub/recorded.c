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
#include "hub/private.h"
#include "logic/entry.h"
#include "redis/recorded.h"
#include "redis/stream_entry.h"

enum { AGAIN_MS = 300 };

static void look(struct recorded *rec);

static unsigned
index_of(const struct recorded *rec)
{
	return (unsigned)(rec - rec->feed->more->recorded);
}

static struct recorded *
recorded_of(struct feed *fd, const struct feed_source *so)
{
	const struct feed_source *one;
	unsigned i = 0;

	for (one = fd->sources; one != so; one = one->next)
		i++;
	fd->more->recorded[i].feed = fd;
	return &fd->more->recorded[i];
}

static void
on_again(uv_timer_t *timer)
{
	struct feed_more *more = timer->data;
	unsigned i;

	for (i = 0; i < more->n_streams; i++) {
		if (more->recorded[i].state == RECORDED_FAILED)
			look(&more->recorded[i]);
	}
}

/* An answer that is of no use: none, or that Redis cannot or will not. */
static void
fail(struct recorded *rec, const redisReply *reply)
{
	struct feed *fd = rec->feed;

	rec->state = RECORDED_FAILED;
	if (reply != NULL && reply->type == REDIS_REPLY_ERROR && !stream_reply_is_passing(reply)) {
		rec->is_refused = true;
		class_tell_refusal(fd->class, replay_stream_name(fd, index_of(rec)), reply->str);
	}
	if (more_need_timers(fd) == 0)
		uv_timer_start(&fd->more->again, on_again,
			       rec->is_refused ? class_retry_ms(fd->class) : AGAIN_MS, 0);
}

/* All that had been missed is there. */
static void
settle(struct recorded *rec)
{
	bool was_awaited = rec->is_awaited;
	struct feed *fd = rec->feed;

	rec->state = RECORDED_SURE;
	rec->is_awaited = false;
	replay_go_on(fd);
	if (was_awaited)
		feed_confirmed(fd);
}

static void
set_place(struct recorded *rec, const struct stream_place *place)
{
	struct feed_more *more = rec->feed->more;

	rec->place = *place;
	more->cursor[index_of(rec)] = more->settled[index_of(rec)] = place->last;
}

/* In what is read there is each message once. */
static void
take_entry(struct recorded *rec, const redisReply *reply)
{
	struct feed *fd = rec->feed;
	struct stream_entry entry;
	struct entry en;

	if (!stream_entry_parse(&entry, reply) ||
	    stream_id_compare(&entry.id, &rec->place.last) <= 0)
		return;
	rec->place.last = entry.id;
	rec->place.n_added++;
	if (entry_read(&en, replay_stream_name(fd, index_of(rec)), &entry.id, entry.fields) < 0) {
		feed_count_drop(fd, -ENOMEM);
		return;
	}
	feed_advance(fd, index_of(rec), &entry.id);
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
	struct past *past = rec->feed->class->hub->past;
	char key[STREAM_KEY_MAX];

	replay_print_key(key, rec->feed, index_of(rec));
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
		set_place(rec, &(struct stream_place){info.newest, info.n_added});
	} else if ((change = stream_place_look(&place, &info)) != STREAM_SAME) {
		if (change == STREAM_BEGAN_ANEW)
			set_place(rec, &place);
		rec->place = place;
		feed_tell_change(rec->feed, change);
	} else {
		rec->place = place;
	}
	rec->to = info.newest;
	rec->read_from = rec->place.last;
	rec->entry_size = info.entry_size;
	go_on(rec);
}

/* At first: where does it stand? Later: what came behind our place, and is it the same log? */
static void
look(struct recorded *rec)
{
	rec->state = RECORDED_READING;
	ask(rec, NULL, on_info);
}

void
recorded_confirmed(struct feed *fd, struct feed_source *so)
{
	struct recorded *rec = recorded_of(fd, so);

	rec->is_awaited = true;
	if (rec->state == RECORDED_READING)
		rec->state = RECORDED_DIRTY; /* what it reads now is from before */
	else if (rec->state != RECORDED_DIRTY)
		look(rec);
}

/*
 * Messages come in the order of their ids. One that is not newer was read from the log just now, or
 * the log was deleted and begun anew, with lower ids: then it is looked at.
 */
static void
take_message(struct recorded *rec, const struct stream_id *id, struct message *msg)
{
	struct feed *fd = rec->feed;

	if (stream_id_compare(id, &rec->place.last) > 0) {
		rec->place.last = *id;
		rec->place.n_added++;
		feed_advance(fd, index_of(rec), id);
		feed_message(fd, msg);
		replay_go_on(fd);
	} else if (stream_id_compare(id, &rec->read_from) <= 0 ||
		   stream_id_compare(id, &rec->to) > 0) {
		look(rec);
	}
}

void
recorded_message(struct feed *fd, struct feed_source *so, struct message *msg,
		 const struct stream_id *id)
{
	struct recorded *rec = recorded_of(fd, so);
	char text[STREAM_ID_TEXT];
	struct message own;

	if (id == NULL) {
		feed_message(fd, msg); /* somebody said PUBLISH alone: it is in no log */
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

void
recorded_forget(struct feed *fd)
{
	unsigned i;

	for (i = 0; i < fd->more->n_streams; i++) {
		struct recorded *rec = &fd->more->recorded[i];

		past_cancel(&rec->reading);
		rec->state = RECORDED_UNSURE;
		rec->is_awaited = false;
	}
}
