/*
 * What feeds of recorded channels do: messages come by pub/sub, each with its ID; and whenever some
 * may have been missed, they are read from the channel's log before anything newer is sent.
 *
 * While the log is read, messages that arrive are not taken: they stand in the log, too, and it is
 * read again until none has come meanwhile.
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

enum { COUNT = 1000, AGAIN_MS = 300 };

/* One reading of one log; the feed may end before the answer comes. */
struct reading {
	struct list of_feed; /* more->readings */
	struct feed *feed;   /* NULL: it has ended */
	unsigned index;
};

static void read_log(struct feed *fd, unsigned index);

static struct subscription *
nth(const struct feed *fd, unsigned index)
{
	struct subscription *sn = fd->subscriptions;

	while (index-- > 0)
		sn = sn->next;
	return sn;
}

/* All that had been missed is there. */
static void
settle(struct feed *fd, unsigned index)
{
	fd->more->recorded[index].is_known = true;
	fd->more->recorded[index].is_reading = false;
	replay_go_on(fd);
	feed_confirmed(fd);
}

static void
on_again(uv_timer_t *timer)
{
	struct feed_more *more = timer->data;
	unsigned i;

	for (i = 0; i < more->n_streams; i++) {
		if (more->recorded[i].has_failed) {
			more->recorded[i].has_failed = false;
			read_log(more->feed, i);
		}
	}
}

static void
fail(struct feed *fd, unsigned index)
{
	fd->more->recorded[index].has_failed = true;
	if (more_need_timers(fd) == 0)
		uv_timer_start(&fd->more->again, on_again, AGAIN_MS, 0);
}

static void
on_first_info(struct feed *fd, unsigned index, const redisReply *reply)
{
	struct stream_info info;

	if (stream_info_read(&info, reply) < 0) {
		fail(fd, index);
		return;
	}
	fd->more->cursor[index] = fd->more->settled[index] = info.newest;
	fd->more->recorded[index].is_known = true;
	if (fd->more->recorded[index].is_dirty)
		read_log(fd, index);
	else
		settle(fd, index);
}

static void
on_entries(struct feed *fd, unsigned index, const redisReply *reply)
{
	struct subscription *sn = nth(fd, index);
	const char *channel = sn->subject->name + strlen(fd->class->hub->redis->prefix);
	struct stream_id id;
	struct entry en;
	size_t i;

	if (reply->type != REDIS_REPLY_ARRAY) {
		fail(fd, index);
		return;
	}
	for (i = 0; i < reply->elements; i++) {
		const redisReply *one = reply->element[i];

		if (one->type != REDIS_REPLY_ARRAY || one->elements != 2 ||
		    one->element[0]->type != REDIS_REPLY_STRING ||
		    !stream_id_parse(&id, one->element[0]->str, one->element[0]->len) ||
		    entry_read(&en, channel, &id, one->element[1]) < 0)
			continue;
		feed_advance(fd, index, &id);
		feed_count(fd, COUNTER_MESSAGES, 1);
		feed_message(fd, &en.msg);
		entry_fini(&en);
	}
	if (reply->elements == COUNT || fd->more->recorded[index].is_dirty)
		read_log(fd, index);
	else
		settle(fd, index);
}

static void
on_reply(void *arg, const redisReply *reply)
{
	struct reading rd = *(struct reading *)arg;

	list_del(&((struct reading *)arg)->of_feed);
	free(arg);
	if (rd.feed == NULL)
		return;
	if (reply == NULL)
		fail(rd.feed, rd.index);
	else if (!rd.feed->more->recorded[rd.index].is_known)
		on_first_info(rd.feed, rd.index, reply);
	else
		on_entries(rd.feed, rd.index, reply);
}

/* At first: where does it stand? Later: what came behind the cursor? */
static void
read_log(struct feed *fd, unsigned index)
{
	struct recorded *rec = &fd->more->recorded[index];
	struct reading *rd = malloc(sizeof(*rd));
	char key[STREAM_KEY_MAX], from[STREAM_ID_TEXT + 1] = "(", count[16];
	const char *info[] = {"XINFO", "STREAM", key};
	const char *range[] = {"XRANGE", key, from, "+", "COUNT", count};

	rec->is_reading = true;
	rec->is_dirty = false;
	snprintf(key, sizeof(key), "%s" RECORDED_SUFFIX, nth(fd, index)->subject->name);
	stream_id_print(from + 1, &fd->more->cursor[index]);
	snprintf(count, sizeof(count), "%d", COUNT);
	if (rd == NULL) {
		fail(fd, index);
		return;
	}
	*rd = (struct reading){.feed = fd, .index = index};
	if (fd->class->hub->command == NULL ||
	    command_send(fd->class->hub->command, on_reply, rd, rec->is_known ? 6 : 3,
			 rec->is_known ? range : info, NULL) < 0) {
		free(rd);
		fail(fd, index);
		return;
	}
	list_add_tail(&fd->more->readings, &rd->of_feed);
}

static unsigned
index_of(const struct feed *fd, const struct subscription *sn)
{
	const struct subscription *one;
	unsigned i = 0;

	for (one = fd->subscriptions; one != sn; one = one->next)
		i++;
	return i;
}

void
recorded_confirmed(struct feed *fd, struct subscription *sn)
{
	unsigned index = index_of(fd, sn);

	if (!fd->more->recorded[index].is_reading || fd->more->recorded[index].has_failed) {
		fd->more->recorded[index].has_failed = false;
		read_log(fd, index);
	} else {
		fd->more->recorded[index].is_dirty = true; /* what it reads now is from before */
	}
}

void
recorded_message(struct feed *fd, struct subscription *sn, struct message *msg)
{
	unsigned index = index_of(fd, sn);
	struct recorded *rec = &fd->more->recorded[index];
	char text[STREAM_ID_TEXT];
	struct message own;
	struct stream_id id;
	size_t head;

	if (!recorded_parse(&id, &head, msg->data, msg->data_len)) {
		feed_message(fd, msg); /* somebody said PUBLISH alone: it is in no log */
		return;
	}
	if (rec->is_reading || !rec->is_known) {
		rec->is_dirty = true;
		return;
	}
	if (stream_id_compare(&id, &fd->more->cursor[index]) <= 0)
		return;
	feed_advance(fd, index, &id);
	stream_id_print(text, &id);
	message_init(&own, msg->channel, msg->channel_len, msg->data + head, msg->data_len - head);
	own.id = text;
	own.id_len = strlen(text);
	feed_message(fd, &own);
	message_fini(&own);
	replay_go_on(fd);
}

void
recorded_forget(struct feed *fd)
{
	struct list *node, *tmp;
	unsigned i;

	for (i = 0; i < fd->more->n_streams; i++) {
		fd->more->recorded[i].is_reading = false;
		fd->more->recorded[i].has_failed = false;
	}
	LIST_FOREACH (node, tmp, &fd->more->readings) {
		LIST_ENTRY(node, struct reading, of_feed)->feed = NULL;
		list_del(node);
	}
}
