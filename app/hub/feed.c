#include "hub/private.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/logger.h"
#include "logic/message.h"
#include "sse/event.h"

/* A channel's name is at most this long; Redis would take 512 MB. */
enum { SUBJECT_NAME_MAX = 1024 };

/*
 * What is encoded goes to the end of the log, and all who had read it are to be
 * written: their whole list joins the hub's, without touching one of them.
 */
static int
append(struct feed *fd, const struct buf *frame)
{
	int rc;

	if ((rc = log_append(&fd->log, frame->p, frame->len)) < 0)
		return rc;
	list_splice_tail(&fd->class->hub->ready, &fd->caught_up);
	fifo_add(&fd->class->beats, &fd->beat);
	return 0;
}

/* Only who holds the log beyond the queue can be too slow, and only who is blocked. */
static void
check_slow(struct feed *fd)
{
	struct list *node, *tmp;

	if (fd->log.n_bytes <= fd->class->settings->queue)
		return;
	LIST_FOREACH (node, tmp, &fd->blocked)
		subscriber_overflow(LIST_ENTRY(node, struct subscriber, node));
}

/* Subscribers joined in order, so those who have had their number are the first. */
static void
end_those_who_had_all(struct feed *fd)
{
	uint64_t max = fd->class->settings->max_events;
	struct subscriber *sub;

	while (max > 0 && !list_is_empty(&fd->joined)) {
		sub = LIST_ENTRY(fd->joined.next, struct subscriber, joined);
		if (sub->state != SUBSCRIBER_OPEN || fd->n_events - sub->n_before < max)
			return;
		subscriber_end_at(sub, fd->log.end, END_MAX_EVENTS);
	}
}

static void
count_drop(int rc)
{
	counters_add(rc == -ENOMEM ? COUNTER_DROPPED_MEMORY : COUNTER_DROPPED_INVALID, 1);
}

/* One event, encoded once for all subscribers. Returns 0, -EINVAL, -EMSGSIZE, -ENOMEM. */
static int
emit(struct feed *fd, const struct event *ev)
{
	struct hub *hub = fd->class->hub;
	size_t n_replaced = 0;
	uint64_t at = fd->log.end;
	int rc;

	buf_truncate(&hub->frame, 0);
	if ((rc = event_append(&hub->frame, ev, &n_replaced)) < 0 ||
	    (rc = append(fd, &hub->frame)) < 0)
		return rc;
	if (n_replaced > 0)
		counters_add(COUNTER_UTF8_REPLACED, (int64_t)n_replaced);
	counters_add(COUNTER_EVENTS, 1);
	fd->newest = at;
	fd->n_events++;
	end_those_who_had_all(fd);
	check_slow(fd);
	return 0;
}

/* A frame about the stream itself, or a heartbeat: no event that counts. */
static int
emit_own(struct feed *fd, const char *type, const char *data)
{
	struct hub *hub = fd->class->hub;
	struct event ev = {
	    .type = type, .type_len = strlen(type), .data = data, .data_len = strlen(data)};
	int rc;

	buf_truncate(&hub->frame, 0);
	if ((rc = event_append(&hub->frame, &ev, NULL)) < 0 || (rc = append(fd, &hub->frame)) < 0)
		return rc;
	check_slow(fd);
	return 0;
}

static struct template_scope
scope_of(struct message *msg)
{
	struct template_scope scope = {.msg = msg, .now = clock_unix()};

	if (msg != NULL) {
		scope.channel = msg->channel;
		scope.channel_len = msg->channel_len;
	}
	return scope;
}

/* The event's name as the route's section says. Returns 0, or < 0 and counts why not. */
static int
set_type(struct feed *fd, struct message *msg, struct event *ev)
{
	const struct template *t = fd->class->settings->event;
	struct buf *type = &fd->class->hub->type;
	struct template_scope scope;
	int rc;

	if (t == NULL)
		return 0;
	buf_truncate(type, 0);
	scope = scope_of(msg);
	scope.params = fd->params;
	if ((rc = template_expand(t, &scope, type)) < 0) {
		count_drop(rc);
		return rc;
	}
	if (event_is_reserved(type->p, type->len)) {
		counters_add(COUNTER_DROPPED_RESERVED, 1);
		return -EINVAL;
	}
	ev->type = type->p;
	ev->type_len = type->len;
	return 0;
}

void
feed_end_all(struct feed *fd, enum end_reason reason)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &fd->joined)
		subscriber_end(LIST_ENTRY(node, struct subscriber, joined), reason);
}

/* Those who were sent the last message have had all; who still waits for Redis has not. */
static void
end_those_who_saw(struct feed *fd)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &fd->joined) {
		struct subscriber *sub = LIST_ENTRY(node, struct subscriber, joined);

		if (sub->state == SUBSCRIBER_OPEN)
			subscriber_end(sub, END_UNTIL);
	}
}

void
feed_message(struct feed *fd, struct message *msg)
{
	const struct handler *h = fd->class->handler;
	struct event ev = {.data = msg->data, .data_len = msg->data_len};
	enum verdict verdict;
	int rc;

	if (fd->n_subs == 0)
		return;
	verdict = h->message == NULL ? KEEP : h->message(fd, msg);
	if (verdict == DROP) {
		counters_add(COUNTER_DROPPED_HANDLER, 1);
		return;
	}
	if (set_type(fd, msg, &ev) == 0 && (rc = emit(fd, &ev)) < 0)
		count_drop(rc);
	if (verdict == LAST)
		end_those_who_saw(fd);
}

/* The last subscription is confirmed: from now on nothing falls between. */
static void
open_all(struct feed *fd)
{
	struct list *node, *tmp;

	if (fd->was_confirmed && fd->n_subs > fd->n_waiting) {
		counters_add(COUNTER_RESETS, 1);
		if (fd->class->settings->announce &&
		    emit_own(fd, "stream-reset", "{\"reason\":\"redis\"}") < 0)
			feed_end_all(fd, END_SLOW); /* a client that comes back knows as much */
	}
	fd->was_confirmed = true;
	if (fd->n_waiting == 0)
		return;
	LIST_FOREACH (node, tmp, &fd->joined) {
		struct subscriber *sub = LIST_ENTRY(node, struct subscriber, joined);

		if (sub->state == SUBSCRIBER_WAITING)
			subscriber_open(sub);
	}
}

void
feed_confirmed(struct feed *fd)
{
	assert(fd->n_unconfirmed > 0);
	if (--fd->n_unconfirmed == 0)
		open_all(fd);
}

void
feed_lost(struct feed *fd)
{
	struct subscription *sn;

	fd->n_unconfirmed = 0;
	for (sn = fd->subscriptions; sn != NULL; sn = sn->next)
		fd->n_unconfirmed++;
}

/* A subject that Redis does not allow us: the clients of this feed are told, all others go on. */
void
feed_refused(struct feed *fd)
{
	struct list *node, *tmp;

	fd->is_refused = true;
	LIST_FOREACH (node, tmp, &fd->joined) {
		struct subscriber *sub = LIST_ENTRY(node, struct subscriber, joined);

		if (sub->state == SUBSCRIBER_WAITING)
			subscriber_refuse(sub);
		else
			subscriber_end(sub, END_AUTH);
	}
}

/*
 * The key is the values of the parameters, each with its NUL: there is always the
 * same number of them, and none holds a NUL.
 */
static void
make_key(struct buf *key, const struct template_value *params, size_t *n, int *rc)
{
	for (*n = 0, *rc = 0; params[*n].name != NULL && *rc == 0; (*n)++)
		*rc = buf_put(key, params[*n].value, strlen(params[*n].value) + 1);
}

static struct feed *
feed_alloc(struct feed_class *fc, const struct template_value *params, size_t n,
	   const struct buf *key)
{
	struct feed *fd = calloc(1, sizeof(*fd) + (n + 1) * sizeof(*params) + key->len);
	char *value;
	size_t i;

	if (fd == NULL)
		return NULL;
	fd->class = fc;
	value = (char *)&fd->params[n + 1];
	if (key->len > 0)
		memcpy(value, key->p, key->len);
	if (map_add(&fc->by_key, &fd->by_key, value, key->len) < 0) {
		free(fd);
		return NULL;
	}
	for (i = 0; i < n; i++, value += strlen(value) + 1)
		fd->params[i] = (struct template_value){params[i].name, value};
	log_init(&fd->log);
	list_init(&fd->joined);
	list_init(&fd->caught_up);
	list_init(&fd->blocked);
	fifo_node_init(&fd->beat);
	fifo_node_init(&fd->linger);
	list_add_tail(&fc->feeds, &fd->of_class);
	counters_add(COUNTER_FEEDS, 1);
	return fd;
}

void
feed_free(struct feed *fd)
{
	struct feed_class *fc = fd->class;
	struct subscription *sn;

	assert(fd->n_subs == 0);
	if (fc->handler->close != NULL)
		fc->handler->close(fd);
	while ((sn = fd->subscriptions) != NULL) {
		fd->subscriptions = sn->next;
		hub_unsubscribe(sn);
	}
	if (!fd->is_dead)
		map_del(&fc->by_key, &fd->by_key);
	list_del(&fd->of_class);
	fifo_del(&fd->beat);
	fifo_del(&fd->linger);
	log_fini(&fd->log);
	counters_add(COUNTER_FEEDS, -1);
	free(fd);
	class_feed_freed(fc);
}

/* Not at once: the turn may be in the middle of it. Nobody finds it any more. */
void
feed_bury(struct feed *fd)
{
	if (fd->is_dead)
		return;
	fd->is_dead = true;
	map_del(&fd->class->by_key, &fd->by_key);
	list_move_tail(&fd->class->hub->dead, &fd->linger.node);
}

void
feed_left(struct feed *fd)
{
	struct hub *hub = fd->class->hub;

	assert(fd->n_subs > 0);
	fd->n_subs--;
	hub->n_subs--;
	counters_add(COUNTER_SUBSCRIBERS, -1);
	if (fd->n_subs == 0) {
		if (fd->class->is_closing || fd->is_refused)
			feed_bury(fd);
		else
			fifo_add(&hub->lingering, &fd->linger);
	}
	hub_subscriber_left(hub);
}

int
feed_get(struct feed **out, struct feed_class *fc, const struct template_value *params,
	 const struct request *req)
{
	struct map_node *node;
	struct feed *fd = NULL;
	struct buf *key = &fc->hub->type; /* free between two messages */
	size_t n;
	int rc;

	buf_truncate(key, 0);
	make_key(key, params, &n, &rc);
	if (rc < 0)
		return rc == -EMSGSIZE ? HTTP_BAD_REQUEST : rc;
	if ((node = map_find(&fc->by_key, key->p, key->len)) != NULL) {
		*out = MAP_ENTRY(node, struct feed, by_key);
		return 0;
	}
	if ((fd = feed_alloc(fc, params, n, key)) == NULL)
		return -ENOMEM;
	if ((rc = fc->handler->open(fd, req)) != 0) {
		feed_free(fd);
		return rc;
	}
	fifo_add(&fc->beats, &fd->beat);
	fifo_add(&fc->hub->lingering, &fd->linger); /* until the first subscriber joins */
	fd->was_confirmed = fd->n_unconfirmed == 0;
	*out = fd;
	return 0;
}

const struct feed_class *
feed_class_of(const struct feed *fd)
{
	return fd->class;
}

/* The heartbeat's frame into the hub's buffer. */
static int
encode_heartbeat(struct feed *fd)
{
	const struct feed_settings *fs = fd->class->settings;
	struct hub *hub = fd->class->hub;
	struct event ev = {.type = fs->heartbeat_event, .type_len = strlen(fs->heartbeat_event)};
	struct template_scope scope = {.params = fd->params, .now = clock_unix()};
	int rc;

	buf_truncate(&hub->frame, 0);
	if (ev.type_len == 0)
		return event_append_comment(&hub->frame);
	buf_truncate(&hub->type, 0);
	if (fs->heartbeat_data != NULL) {
		if ((rc = template_expand(fs->heartbeat_data, &scope, &hub->type)) < 0)
			return rc;
		ev.data = hub->type.p;
		ev.data_len = hub->type.len;
	}
	return event_append(&hub->frame, &ev, NULL);
}

/* Encoded once, as any event; who waits for Redis to confirm gets the same bytes by itself. */
void
feed_beat(struct feed *fd)
{
	struct buf *frame = &fd->class->hub->frame;
	struct list *node, *tmp;

	fifo_add(&fd->class->beats, &fd->beat);
	if (fd->n_subs == 0 || encode_heartbeat(fd) < 0)
		return;
	if (append(fd, frame) == 0)
		check_slow(fd);
	if (fd->n_waiting == 0)
		return;
	LIST_FOREACH (node, tmp, &fd->joined)
		subscriber_put_heartbeat(LIST_ENTRY(node, struct subscriber, joined), frame->p,
					 frame->len);
}

/* What handlers call (sluice/handler.h). */

void
feed_set_data(struct feed *fd, void *data)
{
	fd->data = data;
}

void *
feed_data(const struct feed *fd)
{
	return fd->data;
}

__attribute__((format(printf, 3, 0))) static int
subscribe(struct feed *fd, enum subject_kind kind, const char *fmt, va_list ap)
{
	char name[SUBJECT_NAME_MAX + 1];
	int len = vsnprintf(name, sizeof(name), fmt, ap);

	if (len <= 0 || (size_t)len >= sizeof(name))
		return HTTP_BAD_REQUEST;
	return hub_subscribe(fd->class->hub, fd, kind, name) == 0 ? 0 : HTTP_INTERNAL_ERROR;
}

int
feed_channel(struct feed *fd, const char *fmt, ...)
{
	va_list ap;
	int status;

	va_start(ap, fmt);
	status = subscribe(fd, SUBJECT_CHANNEL, fmt, ap);
	va_end(ap);
	return status;
}

int
feed_pattern(struct feed *fd, const char *fmt, ...)
{
	va_list ap;
	int status;

	va_start(ap, fmt);
	status = subscribe(fd, SUBJECT_PATTERN, fmt, ap);
	va_end(ap);
	return status;
}

int
feed_send(struct feed *fd, const char *type, const char *data, size_t len)
{
	struct event ev = {.type = type, .data = data, .data_len = len};

	if (type != NULL) {
		ev.type_len = strlen(type);
		if (event_is_reserved(type, ev.type_len))
			return -EINVAL;
	}
	return fd->n_subs == 0 ? 0 : emit(fd, &ev);
}
