#include "hub/private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "base/logger.h"
#include "base/random.h"
#include "logic/entry.h"
#include "logic/message.h"
#include "redis/recorded.h"

enum {
	/*
	 * A fan-out is written in slices of so long, and the loop runs between two:
	 * a connection or a heartbeat never waits for ten thousand writes. What
	 * Redis sends meanwhile joins the writes that are still to come.
	 */
	SLICE_US = 2000,
	SLICE_CHECK = 16, /* the clock is read once for so many writes */
	DRAIN_TICK_MS = 20,
	FRAME_MAX = 512 * 1024 * 1024, /* Redis's own limit of a message */
	FRAME_KEPT = 1024 * 1024,      /* a larger buffer is given back */
	NAME_MAX_LEN = 8192,
};

static struct subject *
subject_of(struct pubsub_subject *remote)
{
	return LIST_ENTRY(remote, struct subject, remote);
}

static struct subscription *
subscription_of(struct list *node)
{
	return LIST_ENTRY(node, struct subscription, of_subject);
}

static bool
is_recorded(const struct feed *fd)
{
	return fd->class->settings->record > 0;
}

/* The time of what is sent for it is measured from here. */
static void
note_arrival(struct hub *hub)
{
	hub->arrived_us = uv_hrtime() / 1000;
}

static void
on_message(struct pubsub_subject *remote, const struct pubsub_message *got)
{
	struct subject *subject = subject_of(remote);
	struct list *node, *tmp;
	struct message msg, bare, *plain = &msg;
	struct stream_id id;
	size_t head;

	note_arrival(subject->hub);
	if (subject == subject->hub->noticed)
		subject->hub->notice(subject->hub->notice_arg, got->data, got->data_len);
	message_init(&msg, got->channel, got->channel_len, got->data, got->data_len);
	/* What was published on a recorded channel begins with its ID, which is nothing to a route
	 * that does not record, or follows a pattern. */
	if (recorded_parse(&id, &head, got->data, got->data_len)) {
		plain = &bare;
		message_init(&bare, got->channel, got->channel_len, got->data + head,
			     got->data_len - head);
	}
	LIST_FOREACH (node, tmp, &subject->subscriptions) {
		struct subscription *sn = subscription_of(node);

		counters_add_route(sn->feed->class->counted, COUNTER_MESSAGES, 1);
		if (is_recorded(sn->feed))
			recorded_message(sn->feed, sn, &msg);
		else
			feed_message(sn->feed, plain);
	}
	if (plain != &msg)
		message_fini(plain);
	message_fini(&msg);
}

static void
on_confirmed(struct pubsub_subject *remote)
{
	struct subject *subject = subject_of(remote);
	struct list *node, *tmp;

	if (subject->is_confirmed)
		return;
	subject->is_confirmed = true;
	LIST_FOREACH (node, tmp, &subject->subscriptions) {
		struct subscription *sn = subscription_of(node);

		if (is_recorded(sn->feed))
			recorded_confirmed(sn->feed, sn);
		else
			feed_confirmed(sn->feed);
	}
}

/* It is tried again: who follows it waits, and those of its route are told in the log. */
static void
on_refused(struct pubsub_subject *remote, const char *why)
{
	static struct logger_pause pause;
	struct subject *subject = subject_of(remote);
	struct list *node, *tmp;

	if (subject == subject->hub->noticed &&
	    logger_may(&pause, uv_now(subject->hub->loop), 60000))
		logger_warn("Redis refuses a subscription to %s: %s", subject->name, why);
	LIST_FOREACH (node, tmp, &subject->subscriptions)
		class_tell_refusal(subscription_of(node)->feed->class, subject->name, why);
}

static void
lose(struct feed *fd)
{
	struct subscription *sn;

	for (sn = fd->subscriptions; sn != NULL; sn = sn->next) {
		if (sn->subject->remote.kind != SUBJECT_STREAM)
			sn->subject->is_confirmed = false;
	}
	feed_lost(fd);
}

static void
on_lost(void *ctx)
{
	struct hub *hub = ctx;
	struct list *class, *node;

	for (class = hub->classes.next; class != &hub->classes; class = class->next) {
		struct feed_class *fc = LIST_ENTRY(class, struct feed_class, of_hub);

		for (node = fc->feeds.next; node != &fc->feeds; node = node->next)
			lose(LIST_ENTRY(node, struct feed, of_class));
	}
}

/* Streams */

static struct subject *
subject_of_stream(struct reader_stream *remote)
{
	return &LIST_ENTRY(remote, struct stream_subject, remote)->subject;
}

static void
on_entry(struct reader_stream *remote, const struct stream_entry *entry)
{
	struct subject *subject = subject_of_stream(remote);
	size_t prefix = strlen(subject->hub->redis->prefix);
	struct list *node, *tmp;
	struct entry en;

	note_arrival(subject->hub);
	counters_add(COUNTER_MESSAGES, 1);
	if (entry_read(&en, subject->name + prefix, &entry->id, entry->fields) < 0) {
		counters_add(COUNTER_DROPPED_MEMORY, 1);
		return;
	}
	LIST_FOREACH (node, tmp, &subject->subscriptions) {
		struct subscription *sn = subscription_of(node);

		counters_add_route(sn->feed->class->counted, COUNTER_MESSAGES, 1);
		feed_entry(sn->feed, sn, &entry->id, &en.msg);
	}
	entry_fini(&en);
}

static void
on_stream_confirmed(struct reader_stream *remote)
{
	struct subject *subject = subject_of_stream(remote);
	struct list *node, *tmp;

	subject->is_confirmed = true;
	LIST_FOREACH (node, tmp, &subject->subscriptions) {
		feed_positioned(subscription_of(node)->feed, subscription_of(node));
		feed_confirmed(subscription_of(node)->feed);
	}
}

static void
on_stream_refused(struct reader_stream *remote, const char *why)
{
	on_refused(&subject_of_stream(remote)->remote, why);
}

static void
on_loss(struct reader_stream *remote, enum stream_change change)
{
	struct subject *subject = subject_of_stream(remote);
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &subject->subscriptions)
		feed_loss(subscription_of(node)->feed, subscription_of(node), change);
}

static const struct readers_ops readers_ops = {
    .on_entry = on_entry,
    .on_confirmed = on_stream_confirmed,
    .on_refused = on_stream_refused,
    .on_loss = on_loss,
};

static const struct pubsub_ops pubsub_ops = {
    .on_message = on_message,
    .on_confirmed = on_confirmed,
    .on_refused = on_refused,
    .on_lost = on_lost,
};

int
hub_set_redis(struct hub *hub, struct topology *tp)
{
	struct readers *readers;
	struct pubsub *pubsub;
	int rc;

	if ((rc = readers_new(&readers, hub->loop, tp, &readers_ops)) < 0)
		return rc;
	if ((rc = pubsub_new(&pubsub, hub->loop, tp, &pubsub_ops, hub)) < 0) {
		readers_free(readers);
		return rc;
	}
	readers_set_command(readers, hub->command);
	readers_adopt(readers, hub->readers);
	readers_free(hub->readers);
	hub->readers = readers;
	on_lost(hub);
	pubsub_adopt(pubsub, hub->pubsub);
	pubsub_free(hub->pubsub);
	hub->pubsub = pubsub;
	hub->redis = topology_settings(tp);
	return 0;
}

void
hub_set_command(struct hub *hub, struct command *command)
{
	hub->command = command;
	readers_set_command(hub->readers, command);
	past_set_command(hub->past, command);
}

struct command *
hub_command(const struct hub *hub)
{
	return hub->command;
}

uint64_t
hub_now_ms(const struct hub *hub)
{
	return uv_now(hub->loop);
}

const char *
hub_prefix(const struct hub *hub)
{
	return hub->redis->prefix;
}

static void
set_name(struct subject *subject, struct hub *hub, const char *name)
{
	size_t prefix = strlen(hub->redis->prefix);

	memcpy(subject->name, hub->redis->prefix, prefix);
	memcpy(subject->name + prefix, name, strlen(name));
	subject->hub = hub;
	list_init(&subject->subscriptions);
}

/* The stream that is followed already, or a new one. Returns 0, -ENOMEM. */
static int
get_stream(struct subject **out, struct hub *hub, const char *name)
{
	size_t len = strlen(hub->redis->prefix) + strlen(name);
	struct stream_subject *st = calloc(1, sizeof(*st) + len + 1);
	struct reader_stream *remote;
	int rc;

	if (st == NULL)
		return -ENOMEM;
	set_name(&st->subject, hub, name);
	if ((remote = readers_find(hub->readers, st->subject.name, len)) != NULL) {
		free(st);
		*out = subject_of_stream(remote);
		return 0;
	}
	st->subject.remote.kind = SUBJECT_STREAM;
	if ((rc = readers_follow(hub->readers, &st->remote, st->subject.name, len)) < 0) {
		free(st);
		return rc;
	}
	*out = &st->subject;
	return 0;
}

/* The one that is subscribed already, or a new one. Returns 0, -ENOMEM. */
static int
get_subject(struct subject **out, struct hub *hub, enum subject_kind kind, const char *name)
{
	size_t len = strlen(hub->redis->prefix) + strlen(name);
	struct subject *subject;
	struct pubsub_subject *remote;
	int rc;

	if (kind == SUBJECT_STREAM)
		return get_stream(out, hub, name);
	if ((subject = calloc(1, sizeof(*subject) + len + 1)) == NULL)
		return -ENOMEM;
	set_name(subject, hub, name);
	if ((remote = pubsub_find(hub->pubsub, kind, subject->name, len)) != NULL) {
		free(subject);
		*out = subject_of(remote);
		return 0;
	}
	if ((rc = pubsub_subscribe(hub->pubsub, &subject->remote, kind, subject->name, len)) < 0) {
		free(subject);
		return rc;
	}
	*out = subject;
	return 0;
}

static void
free_if_unwanted(struct subject *subject)
{
	struct stream_subject *st;

	if (!list_is_empty(&subject->subscriptions) || subject == subject->hub->noticed)
		return;
	if (subject->remote.kind == SUBJECT_STREAM) {
		st = LIST_ENTRY(subject, struct stream_subject, subject);
		readers_leave(subject->hub->readers, &st->remote);
		free(st);
		return;
	}
	pubsub_unsubscribe(subject->hub->pubsub, &subject->remote);
	free(subject);
}

static bool
wants(const struct feed *fd, const struct subject *subject)
{
	const struct subscription *sn;

	for (sn = fd->subscriptions; sn != NULL; sn = sn->next) {
		if (sn->subject == subject)
			return true;
	}
	return false;
}

/* A cursor holds so many IDs. Returns 0, -E2BIG, -ENOMEM. */
static int
may_follow(struct feed *fd)
{
	int rc = more_new(fd);

	return rc == 0 && fd->more->n_streams == STREAM_CURSOR_MAX ? -E2BIG : rc;
}

int
hub_subscribe(struct hub *hub, struct feed *fd, enum subject_kind kind, const char *name)
{
	struct subscription *sn = calloc(1, sizeof(*sn)), **end;
	struct subject *subject;
	int rc;

	if (sn == NULL)
		return -ENOMEM;
	if (is_recorded(fd) && kind != SUBJECT_CHANNEL) {
		free(sn);
		return -EINVAL; /* a cursor is of streams or of channels' logs, never of both */
	}
	if ((kind == SUBJECT_STREAM || is_recorded(fd)) && (rc = may_follow(fd)) < 0) {
		free(sn);
		return rc;
	}
	if ((rc = get_subject(&subject, hub, kind, name)) < 0 || wants(fd, subject)) {
		free(sn); /* two templates that come to the same name are one source */
		return rc;
	}
	sn->feed = fd;
	sn->subject = subject;
	list_add_tail(&subject->subscriptions, &sn->of_subject);
	for (end = &fd->subscriptions; *end != NULL; end = &(*end)->next)
		; /* in the order of subscribing, which is that of a cursor's IDs */
	*end = sn;
	if ((kind == SUBJECT_STREAM && !fd->class->handler->is_queue) || is_recorded(fd))
		fd->more->n_streams++; /* that a client can resume */
	if (!subject->is_confirmed || is_recorded(fd))
		fd->n_unconfirmed++;
	if (subject->is_confirmed && kind == SUBJECT_STREAM)
		feed_positioned(fd, sn);
	else if (subject->is_confirmed && is_recorded(fd))
		recorded_confirmed(fd, sn);
	return 0;
}

void
hub_unsubscribe(struct subscription *sn)
{
	struct subject *subject = sn->subject;

	list_del(&sn->of_subject);
	free_if_unwanted(subject);
	free(sn);
}

int
hub_notice(struct hub *hub, const char *name, hub_notice_fn fn, void *arg)
{
	struct subject *old = hub->noticed;
	int rc;

	hub->noticed = NULL;
	if (old != NULL)
		free_if_unwanted(old);
	if (name == NULL)
		return 0;
	if ((rc = get_subject(&hub->noticed, hub, SUBJECT_CHANNEL, name)) < 0)
		return rc;
	hub->notice = fn;
	hub->notice_arg = arg;
	return 0;
}

/* Write each subscriber that has something to send once, for as long as a slice lasts. */
static void
write_ready(struct hub *hub)
{
	uint64_t until = 0;
	unsigned n = 0;

	while (!list_is_empty(&hub->ready)) {
		struct subscriber *sub = LIST_ENTRY(hub->ready.next, struct subscriber, node);
		enum send_result result;

		if (n++ % SLICE_CHECK == 0) {
			uint64_t now = uv_hrtime() / 1000;

			hub->wrote_us = now;
			if (until == 0)
				until = now + SLICE_US;
			else if (now >= until)
				return;
		}
		list_del(&sub->node);
		result = sub->ops->send(sub);
		if (result != SEND_GONE)
			subscriber_flushed(sub, result);
	}
}

static void
free_dead(struct hub *hub)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &hub->dead)
		feed_free(LIST_ENTRY(node, struct feed, linger.node));
}

static void
on_more(uv_idle_t *idle)
{
	(void)idle; /* its being active is all: the loop polls without waiting */
}

static void
on_turn_end(uv_prepare_t *prepare)
{
	struct hub *hub = prepare->data;

	hub->arrived_us = 0; /* what is sent from here on is no message's */
	write_ready(hub);
	free_dead(hub);
	if (hub->frame.alloc > FRAME_KEPT)
		buf_fini(&hub->frame);
	if (list_is_empty(&hub->ready))
		uv_idle_stop(&hub->more);
	else
		uv_idle_start(&hub->more, on_more);
}

/* The client did not read its stream's end in time. */
static void
on_ending_due(struct fifo *fifo, struct fifo_node *node)
{
	struct subscriber *sub = LIST_ENTRY(node, struct subscriber, life);

	(void)fifo;
	sub->ops->abort(sub);
}

static void
on_linger_due(struct fifo *fifo, struct fifo_node *node)
{
	(void)fifo;
	feed_bury(LIST_ENTRY(node, struct feed, linger));
}

int
hub_new(struct hub **out, uv_loop_t *loop, struct topology *tp)
{
	struct hub *hub = calloc(1, sizeof(*hub));
	int rc;

	if (hub == NULL)
		return -ENOMEM;
	hub->loop = loop;
	hub->redis = topology_settings(tp);
	list_init(&hub->classes);
	map_init(&hub->watches);
	list_init(&hub->ready);
	list_init(&hub->dead);
	buf_init(&hub->frame, FRAME_MAX);
	buf_init(&hub->type, NAME_MAX_LEN);
	buf_init(&hub->id, NAME_MAX_LEN);
	buf_init(&hub->key, NAME_MAX_LEN);
	rendering_init(&hub->rendering);
	if ((rc = past_new(&hub->past, loop)) < 0 ||
	    (rc = readers_new(&hub->readers, loop, tp, &readers_ops)) < 0 ||
	    (rc = pubsub_new(&hub->pubsub, loop, tp, &pubsub_ops, hub)) < 0) {
		past_free(hub->past);
		readers_free(hub->readers);
		free(hub);
		return rc;
	}
	fifo_init(&hub->lingering, loop, FEED_LINGER_MS, on_linger_due);
	fifo_init(&hub->endings, loop, END_LINGER_MS, on_ending_due);
	uv_prepare_init(loop, &hub->turn_end);
	uv_idle_init(loop, &hub->more);
	uv_timer_init(loop, &hub->drain);
	hub->lingering.timer.data = hub->endings.timer.data = hub;
	hub->turn_end.data = hub->more.data = hub->drain.data = hub;
	uv_prepare_start(&hub->turn_end, on_turn_end);
	*out = hub;
	return 0;
}

/* End up to n of those who have not ended. */
static void
end_some(struct hub *hub, size_t n)
{
	struct list *class, *node;

	for (class = hub->classes.next; class != &hub->classes; class = class->next) {
		struct feed_class *fc = LIST_ENTRY(class, struct feed_class, of_hub);

		for (node = fc->feeds.next; node != &fc->feeds; node = node->next) {
			struct feed *fd = LIST_ENTRY(node, struct feed, of_class);

			while (!list_is_empty(&fd->joined)) {
				if (n-- == 0)
					return;
				subscriber_end(
				    LIST_ENTRY(fd->joined.next, struct subscriber, joined),
				    END_DRAIN);
			}
		}
	}
}

/* Those who wait for one message are told that none came: better than to be cut off. */
static void
end_waits(struct hub *hub)
{
	struct list *class, *node, *tmp;

	for (class = hub->classes.next; class != &hub->classes; class = class->next) {
		struct feed_class *fc = LIST_ENTRY(class, struct feed_class, of_hub);

		LIST_FOREACH (node, tmp, &fc->feeds) {
			struct feed *fd = LIST_ENTRY(node, struct feed, of_class);

			if (fd->more != NULL)
				wait_answer(fd, NULL);
		}
	}
}

/* By now as many should have ended as of the time has passed. */
static void
on_drain_tick(uv_timer_t *timer)
{
	struct hub *hub = timer->data;
	uint64_t passed = uv_now(timer->loop) - hub->drain_began_ms, due;

	if (passed < hub->drain_ms) {
		due = hub->drain_total * passed / hub->drain_ms;
		end_some(hub, due - hub->drain_done);
		hub->drain_done = due;
	} else {
		end_some(hub, SIZE_MAX);
		end_waits(hub);
	}
}

void
hub_drain(struct hub *hub, uint64_t ms, bool is_succeeded)
{
	hub->is_draining = true;
	hub->is_succeeded = is_succeeded;
	hub->drain_began_ms = uv_now(hub->loop);
	hub->drain_ms = ms;
	hub->drain_total = hub->n_subs;
	hub->drain_done = 0;
	uv_timer_start(&hub->drain, on_drain_tick, 0, DRAIN_TICK_MS);
}

void
hub_count_lags(struct hub *hub)
{
	struct list *class, *node;

	for (class = hub->classes.next; class != &hub->classes; class = class->next) {
		struct feed_class *fc = LIST_ENTRY(class, struct feed_class, of_hub);
		uint64_t most = 0, lag;

		for (node = fc->feeds.next; node != &fc->feeds; node = node->next) {
			struct feed *fd = LIST_ENTRY(node, struct feed, of_class);
			struct heap_node *slowest = heap_first(&fd->blocked);

			lag = slowest != NULL ? fd->log.end - slowest->key : 0;
			most = lag > most ? lag : most;
		}
		counters_set_lag(fc->counted, most);
	}
}

void
hub_refuse_new(struct hub *hub, bool is_full)
{
	hub->is_full = is_full;
}

bool
hub_is_full(const struct hub *hub)
{
	return hub->is_full;
}

bool
hub_is_draining(const struct hub *hub)
{
	return hub->is_draining;
}

/*
 * The random part begins at a tenth: a program that is started when this one has ended takes a
 * moment, in which nobody should find nobody.
 */
unsigned
hub_return_ms(const struct hub *hub, unsigned usual_ms)
{
	uint64_t passed, rest, part = hub->drain_ms;

	if (!hub->is_draining || hub->is_succeeded || part == 0)
		return usual_ms;
	passed = uv_now(hub->loop) - hub->drain_began_ms;
	rest = passed < part ? part - passed : 0;
	return (unsigned)(rest + part / 10 + random_below((unsigned)(part - part / 10)) + 1);
}

bool
hub_redis_is_up(const struct hub *hub)
{
	return pubsub_is_up(hub->pubsub);
}

size_t
hub_n_subscribers(const struct hub *hub)
{
	return hub->n_subs;
}

static void
on_handle_closed(uv_handle_t *handle)
{
	struct hub *hub = handle->data;

	if (--hub->n_handles > 0)
		return;
	buf_fini(&hub->frame);
	buf_fini(&hub->type);
	buf_fini(&hub->id);
	buf_fini(&hub->key);
	rendering_fini(&hub->rendering);
	map_fini(&hub->watches);
	free(hub);
}

void
hub_free(struct hub *hub)
{
	if (hub == NULL)
		return;
	assert(list_is_empty(&hub->classes));
	(void)hub_notice(hub, NULL, NULL, NULL);
	pubsub_free(hub->pubsub);
	readers_free(hub->readers);
	past_free(hub->past);
	hub->n_handles = 5;
	fifo_close(&hub->lingering, on_handle_closed);
	fifo_close(&hub->endings, on_handle_closed);
	uv_close((uv_handle_t *)&hub->turn_end, on_handle_closed);
	uv_close((uv_handle_t *)&hub->more, on_handle_closed);
	uv_close((uv_handle_t *)&hub->drain, on_handle_closed);
}
