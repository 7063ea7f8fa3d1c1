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
#include "base/logger.h"
#include "hub/render.h"
#include "logic/message.h"
#include "sse/event.h"

static int
append(struct feed *fd, const struct buf *frame, bool is_event)
{
	int rc;

	if ((rc = outlet_put(&fd->out, frame, is_event)) == 0)
		fifo_add(&fd->class->beats, &fd->beat);
	return rc;
}

/* Who was sent what came before has had more of them than who joined with it. */
static void
end_those_who_had_all(struct feed *fd)
{
	uint64_t max = fd->class->settings->max_events;
	struct list *node, *tmp;

	if (max == 0)
		return;
	LIST_FOREACH (node, tmp, &fd->out.joined) {
		struct subscriber *sub = LIST_ENTRY(node, struct subscriber, joined);

		if (subscriber_is_open(sub) && fd->out.n_events - sub->n_before >= max)
			subscriber_end(sub, END_MAX_EVENTS);
	}
}

int
feed_emit(struct feed *fd, const struct event *ev)
{
	struct hub *hub = fd->class->hub;
	size_t n_replaced = 0;
	int rc;

	buf_truncate(&hub->frame, 0);
	if ((rc = fd->out.log.wire->event(&hub->frame, ev, &n_replaced)) < 0)
		return rc;
	if (!more_is_news(fd, &hub->frame))
		return 0;
	recent_hold(fd);
	if ((rc = append(fd, &hub->frame, true)) < 0)
		return rc;
	more_keep(fd, &hub->frame);
	if (n_replaced > 0)
		feed_count(fd, COUNTER_UTF8_REPLACED, (int64_t)n_replaced);
	feed_count(fd, COUNTER_EVENTS, 1);
	if (hub->on_event != NULL)
		hub->on_event(fd->class->settings->stages.route, ev);
	if (feed_holds(fd))
		memcpy(fd->more->settled, fd->more->cursor, sizeof(fd->more->settled));
	end_those_who_had_all(fd);
	outlet_check_slow(&fd->out);
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
	if ((rc = fd->out.log.wire->event(&hub->frame, &ev, NULL)) < 0 ||
	    (rc = append(fd, &hub->frame, false)) < 0)
		return rc;
	outlet_check_slow(&fd->out);
	return 0;
}

bool
feed_holds(const struct feed *fd)
{
	return fd->more != NULL && pace_holds(&fd->more->pace);
}

void
feed_end_all(struct feed *fd, enum end_reason reason)
{
	struct list *node, *tmp;

	if (feed_holds(fd))
		pace_flush(&fd->more->pace);
	LIST_FOREACH (node, tmp, &fd->out.joined)
		subscriber_end(LIST_ENTRY(node, struct subscriber, joined), reason);
}

/* Those who were sent the last message have had all; who still waits for Redis has not. */
static void
end_those_who_saw(struct feed *fd, enum end_reason reason)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &fd->out.joined) {
		struct subscriber *sub = LIST_ENTRY(node, struct subscriber, joined);

		if (subscriber_is_open(sub))
			subscriber_end(sub, reason);
	}
}

/* What is held for later goes out first. */
static void
end_for_good(struct feed *fd)
{
	if (fd->more != NULL)
		pace_flush(&fd->more->pace);
	end_those_who_saw(fd, END_UNTIL);
}

static int
open_script(struct feed *fd)
{
	struct stages *stages = &fd->class->settings->stages;
	const struct template_scope scope = {
	    .params = fd->params, .channel = "", .now = clock_unix()};
	uint64_t after_ms;
	int callback = stages_open(stages, &scope, &after_ms);

	if (after_ms > 0)
		more_call_after(fd, after_ms);
	return callback;
}

/* Of a feed: who waits for one event is told first, then all, as the route's section paces it. */
struct live {
	struct sink sink;
	struct feed *feed;
};

static void
put_live(struct sink *to, const struct event *ev, const struct template_scope *of, bool is_last)
{
	struct feed *fd = LIST_ENTRY(to, struct live, sink)->feed;
	const struct pace_settings *pace = &fd->class->settings->pace;
	struct buf *key = &fd->class->hub->key;
	int rc;

	if (fd->more != NULL)
		wait_answer(fd, ev, of->id_len > 0);
	if (pace->rate.n == 0 && pace->batch.n == 0) {
		if ((rc = feed_emit(fd, ev)) < 0)
			feed_count_drop(fd, rc);
		return;
	}
	buf_truncate(key, 0);
	/* Messages without the field share a window, whose key no value has. */
	if (pace->rate_by != NULL && template_expand(pace->rate_by, of, key) < 0 &&
	    (rc = buf_putc(key, '\0')) < 0) {
		feed_count_drop(fd, rc);
		return;
	}
	pace_event(&fd->more->pace, ev, key, is_last);
}

int
feed_callback(struct feed *fd)
{
	if (fd->class->settings->stages.script != NULL && fd->more->callback == SCRIPT_NONE)
		fd->more->callback = open_script(fd);
	return fd->more->callback;
}

static void
forget_script(struct feed *fd)
{
	feed_end_all(fd, END_RELOAD);
	if (fd->more != NULL) {
		stages_close(&fd->class->settings->stages, fd->more->callback);
		fd->more->callback = SCRIPT_NONE;
	}
}

void
feed_check_script(struct feed *fd, const struct outcome *out)
{
	struct stages *stages = &fd->class->settings->stages;
	struct list *node, *tmp;

	if (!out->is_full || fd->more == NULL)
		return;
	logger_warn("[route %s] script: what it keeps takes all the memory that it may have; its "
		    "subscribers come back, and it begins anew",
		    stages->route);
	forget_script(fd);
	if (!sandbox_is_crowded(stages->sandbox))
		return;
	LIST_FOREACH (node, tmp, &fd->class->feeds) /* it was not this feed that took the room */
		forget_script(LIST_ENTRY(node, struct feed, of_class));
}

static struct place
live_place(struct feed *fd)
{
	if (fd->more == NULL)
		return (struct place){.callback = SCRIPT_NONE};
	return (struct place){fd->more->cursor, fd->more->n_streams, feed_callback(fd)};
}

static void
settle(struct feed *fd, const struct outcome *out)
{
	feed_check_script(fd, out);
	if (out->after_ms > 0)
		more_call_after(fd, out->after_ms);
	if (out->ends)
		end_for_good(fd);
}

/* msg NULL: the script is called without one. */
static void
deliver_own(struct feed *fd, struct message *msg)
{
	struct live live = {{put_live}, fd};
	struct place at = live_place(fd);
	struct outcome out = render_own(fd, &at, msg, &live.sink);

	settle(fd, &out);
}

static bool
is_waited_for(const struct feed *fd)
{
	return fd->more != NULL && !list_is_empty(&fd->more->waiters);
}

/* What is held waits for one who comes back, and what comes meanwhile belongs to it. */
bool
feed_has_use(const struct feed *fd)
{
	return fd->out.n_subs > 0 || is_waited_for(fd) || feed_holds(fd);
}

/* Behind what came before it. */
static void
tell_poison(struct feed *fd)
{
	if (feed_holds(fd))
		pace_flush(&fd->more->pace);
	feed_reset(fd, RENDER_POISON);
}

void
feed_message(struct feed *fd, struct message *arrived)
{
	struct live live = {{put_live}, fd};
	struct outcome out;
	struct place at;

	if (!feed_has_use(fd)) {
		recent_forget(fd); /* or this one would be missing from it */
		return;
	}
	at = live_place(fd);
	out = render(fd, &at, arrived, &live.sink);
	if (out.is_poison)
		tell_poison(fd);
	settle(fd, &out);
}

void
feed_reset(struct feed *fd, const char *data)
{
	feed_count(fd, COUNTER_RESETS, 1);
	if (fd->out.n_subs > fd->out.n_waiting && fd->class->settings->announce &&
	    emit_own(fd, "stream-reset", data) < 0)
		feed_end_all(fd, END_SLOW); /* a client that comes back knows as much */
}

/* Who is sent what came before opens by itself, later. */
static void
open_one(struct feed *fd, struct subscriber *sub)
{
	static const struct buf nothing;
	bool has_state = fd->more != NULL && fd->more->last.len > 0;
	char cursor[CURSOR_TEXT] = "";

	if (sub->backlog != NULL) {
		sub->backlog->ops->begin(sub->backlog);
		return;
	}
	if (feed_can_resume(fd))
		cursor_print(cursor, fd, feed_place(fd, NULL), fd->more->n_streams);
	subscriber_open(sub, feed_can_resume(fd) ? cursor : NULL,
			has_state ? &fd->more->last : &nothing);
	if (queue_is(fd))
		queue_joined(fd, sub);
}

/* The last subscription is confirmed: from now on nothing falls between. */
static void
open_all(struct feed *fd)
{
	struct list *node, *tmp;

	/* What recorded channels missed has been read from their logs, and a queue keeps its own.
	 */
	if (fd->was_confirmed && fd->out.n_subs > fd->out.n_waiting &&
	    fd->class->settings->record == 0 && !queue_is(fd))
		feed_reset(fd, "{\"reason\":\"redis\"}");
	fd->was_confirmed = true;
	feed_heard(fd);
	if (fd->more != NULL)
		wait_confirmed(fd);
	if (fd->out.n_waiting == 0)
		return;
	LIST_FOREACH (node, tmp, &fd->out.joined) {
		struct subscriber *sub = LIST_ENTRY(node, struct subscriber, joined);

		if (sub->state == SUBSCRIBER_WAITING)
			open_one(fd, sub);
	}
}

void
feed_confirmed(struct feed *fd)
{
	assert(fd->n_unconfirmed > 0);
	if (--fd->n_unconfirmed == 0)
		open_all(fd);
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

/* Its outlet */

static bool
is_alone(const struct outlet *o, const struct subscriber *sub)
{
	return o->joined.next == &sub->joined && o->joined.prev == &sub->joined;
}

/*
 * It ends, and events are held for later. If it is the last, they go out now; else it alone
 * is given them, for the others are not to get more in a time than their route says. With the last
 * of its events, within whose sending this is called, the feed must not send more.
 */
static void
on_ending(struct outlet *o, struct subscriber *sub, enum end_reason reason)
{
	struct feed *fd = feed_of(o);
	int n;

	if (!feed_holds(fd))
		return;
	if (reason != END_MAX_EVENTS && is_alone(o, sub))
		pace_flush(&fd->more->pace);
	else if (subscriber_own_all(sub) < 0 ||
		 (n = pace_put_held(&fd->more->pace, o->log.wire, &sub->own)) < 0)
		logger_error("out of memory: a stream ends without what was held for it");
	else
		feed_count(fd, COUNTER_DELIVERIES, n);
}

static void
on_left(struct outlet *o, struct subscriber *sub)
{
	struct feed *fd = feed_of(o);

	if (queue_is(fd))
		queue_left(fd, sub);
	if (o->n_subs == 0 && !is_waited_for(fd))
		feed_linger(fd);
}

static const struct outlet_ops outlet_ops = {.ending = on_ending, .left = on_left};

static struct feed *
feed_alloc(struct feed_class *fc, const struct wire *wire, const struct template_value *params,
	   size_t n, const struct buf *key)
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
	outlet_init(&fd->out, &fc->out, &outlet_ops, wire);
	fifo_node_init(&fd->beat);
	fifo_node_init(&fd->linger);
	fifo_node_init(&fd->silence);
	list_add_tail(&fc->feeds, &fd->of_class);
	return fd;
}

void
feed_free(struct feed *fd)
{
	struct feed_class *fc = fd->class;

	if (fc->handler->close != NULL && !fd->is_tended)
		fc->handler->close(fd);
	feed_unsubscribe(fd);
	recent_forget(fd);
	more_free(fd);
	if (!fd->is_dead)
		map_del(&fc->by_key, &fd->by_key);
	list_del(&fd->of_class);
	fifo_del(&fd->beat);
	fifo_del(&fd->linger);
	fifo_del(&fd->silence);
	outlet_fini(&fd->out);
	if (!fd->is_tended)
		feed_count(fd, COUNTER_FEEDS, -1);
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
feed_linger(struct feed *fd)
{
	/* A private one nobody else will find. */
	if (fd->class->is_closing || fd->class->handler->is_private)
		feed_bury(fd);
	else
		fifo_add(&fd->class->hub->lingering, &fd->linger);
}

/* A key that no other feed has. */
static int
put_serial(struct buf *key)
{
	static uint64_t serial;

	serial++;
	return buf_put(key, &serial, sizeof(serial));
}

static int
begin_logic(struct feed *fd)
{
	struct feed_settings *fs = fd->class->settings;
	int rc;

	if (fs->stages.script == NULL && fs->pace.rate.n == 0 && fs->pace.batch.n == 0)
		return 0;
	if ((rc = more_new(fd)) < 0)
		return rc;
	if (fs->stages.script != NULL)
		fd->more->callback = open_script(fd);
	return 0;
}

int
feed_get(struct feed **out, struct feed_class *fc, const struct wire *wire,
	 const struct template_value *params, const struct request *req)
{
	struct map_node *node;
	struct feed *fd = NULL;
	struct buf *key = &fc->hub->type; /* free between two messages */
	size_t n;
	int rc;

	buf_truncate(key, 0);
	make_key(key, params, &n, &rc);
	if (rc == 0)
		rc = buf_puts(key, wire->name);
	if (rc == 0 && fc->handler->is_private)
		rc = put_serial(key);
	if (rc < 0)
		return rc == -EMSGSIZE ? HTTP_BAD_REQUEST : rc;
	if ((node = map_find(&fc->by_key, key->p, key->len)) != NULL) {
		*out = MAP_ENTRY(node, struct feed, by_key);
		return 0;
	}
	if ((fd = feed_alloc(fc, wire, params, n, key)) == NULL)
		return -ENOMEM;
	feed_count(fd, COUNTER_FEEDS, 1);
	if ((rc = begin_logic(fd)) != 0 || (rc = fc->handler->open(fd, req)) != 0 ||
	    (fc->handler->kind == HANDLER_QUEUE && (rc = queue_begin(fd)) != 0)) {
		feed_free(fd);
		return rc;
	}
	fifo_add(&fc->beats, &fd->beat);
	fifo_add(&fc->hub->lingering, &fd->linger); /* until the first subscriber joins */
	fd->was_confirmed = fd->n_unconfirmed == 0;
	*out = fd;
	return 0;
}

int
feed_join(struct feed *fd, struct subscriber *sub, const char *head, size_t head_len,
	  const char *last_event_id)
{
	int rc;

	sub->backlog = NULL;
	if ((rc = replay_plan(fd, sub, last_event_id)) < 0 ||
	    (rc = subscriber_join(sub, &fd->out, head, head_len)) < 0) {
		buf_truncate(&sub->own, 0); /* it gets another answer */
		if (sub->backlog != NULL)
			sub->backlog->ops->cancel(sub->backlog);
		return rc;
	}
	if (fd->out.n_subs == 1 && fd->more != NULL && last_event_id == NULL)
		pace_clear(&fd->more->pace); /* it was held for others, and this is none of them */
	fifo_del(&fd->linger);
	feed_listen(fd);
	if (fd->n_unconfirmed == 0)
		open_one(fd, sub);
	return 0;
}

void
feed_begin_tended(struct feed_class *fc)
{
	static const struct template_value none[] = {{0}};
	struct buf *key = &fc->hub->type; /* free between two messages */
	struct feed *fd = NULL;

	buf_truncate(key, 0);
	if (put_serial(key) == 0)
		fd = feed_alloc(fc, &wire_event_stream, none, 0, key);
	if (fd == NULL) {
		logger_error("[route %s] out of memory: it is not tended",
			     fc->settings->stages.route);
		return;
	}
	fd->is_tended = true;
	fc->handler->tend(fd);
}

bool
feed_can_resume(const struct feed *fd)
{
	return fd->more != NULL && fd->more->n_streams > 0;
}

struct feed *
feed_of_stream(const struct subscriber *sub)
{
	return subscriber_is_stream(sub) ? feed_of(sub->outlet) : NULL;
}

size_t
feed_n_unsent(const struct feed *fd)
{
	if (list_is_empty(&fd->out.joined))
		return 0;
	return subscriber_n_unsent(LIST_ENTRY(fd->out.joined.next, struct subscriber, joined));
}

void
feed_probe(struct feed *fd)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &fd->out.joined)
		subscriber_probe(LIST_ENTRY(node, struct subscriber, joined));
}

static void
tell_flushed(struct outlet *o, struct subscriber *sub)
{
	(void)sub;
	feed_of(o)->more->on_flushed(feed_of(o));
}

int
feed_on_flushed(struct feed *fd, feed_flushed_fn fn)
{
	int rc = more_new(fd);

	if (rc < 0)
		return rc;
	fd->more->on_flushed = fn;
	fd->out.flushed = tell_flushed;
	return 0;
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
	buf_truncate(&hub->type, 0);
	if (fs->heartbeat_data != NULL) {
		if ((rc = template_expand(fs->heartbeat_data, &scope, &hub->type)) < 0)
			return rc;
		ev.data = hub->type.p;
		ev.data_len = hub->type.len;
	}
	return fd->out.log.wire->heartbeat(&hub->frame, &ev);
}

/* Encoded once, as any event; who waits for Redis to confirm gets the same bytes by itself. */
void
feed_beat(struct feed *fd)
{
	struct buf *frame = &fd->class->hub->frame;
	struct list *node, *tmp;

	fifo_add(&fd->class->beats, &fd->beat);
	recent_forget(fd);
	if (fd->out.n_subs == 0 || encode_heartbeat(fd) < 0)
		return;
	if (append(fd, frame, false) == 0)
		outlet_check_slow(&fd->out);
	if (fd->out.n_waiting == 0)
		return;
	LIST_FOREACH (node, tmp, &fd->out.joined)
		subscriber_put_heartbeat(LIST_ENTRY(node, struct subscriber, joined), frame->p,
					 frame->len);
}

/* Silence */

/* Of a queue, or a connection that carries others, it says nothing. */
static bool
counts_silence(const struct feed *fd)
{
	const struct handler *h = fd->class->handler;

	return fd->class->settings->abandoned_ms > 0 && fd->n_unconfirmed == 0 &&
	       h->kind != HANDLER_QUEUE && h->kind != HANDLER_MUX;
}

void
feed_listen(struct feed *fd)
{
	if (counts_silence(fd) && list_is_empty(&fd->silence.node))
		fifo_add(&fd->class->silences, &fd->silence);
}

void
feed_heard(struct feed *fd)
{
	if (counts_silence(fd))
		fifo_add(&fd->class->silences, &fd->silence);
}

void
feed_deaf(struct feed *fd)
{
	fifo_del(&fd->silence);
}

/* The route's word for it, with the name of its events, if that needs no message. */
static int
make_abandoned(struct feed *fd, struct event *ev)
{
	const struct feed_settings *fs = fd->class->settings;
	const struct template_scope scope = {
	    .params = fd->params, .channel = "", .now = clock_unix()};
	struct buf *data = &fd->class->hub->key, *type = &fd->class->hub->type;
	int rc;

	buf_truncate(data, 0);
	buf_truncate(type, 0);
	if ((rc = template_expand(fs->abandoned_data, &scope, data)) < 0)
		return rc;
	*ev = (struct event){.data = data->p, .data_len = data->len};
	if (fs->event == NULL || template_expand(fs->event, &scope, type) < 0)
		return 0;
	ev->type = type->p;
	ev->type_len = type->len;
	if (event_fault(ev) != NULL)
		ev->type_len = 0;
	return 0;
}

/* It is no event of a stream's, to which a client could come back. */
static int
put_abandoned(struct feed *fd)
{
	struct buf *frame = &fd->class->hub->frame;
	struct event ev;
	int rc;

	if ((rc = make_abandoned(fd, &ev)) < 0)
		return rc;
	buf_truncate(frame, 0);
	if ((rc = fd->out.log.wire->event(frame, &ev, NULL)) < 0 ||
	    (rc = append(fd, frame, true)) < 0)
		return rc;
	feed_count(fd, COUNTER_EVENTS, 1);
	if (fd->more != NULL)
		wait_answer(fd, &ev, false);
	outlet_check_slow(&fd->out);
	return 0;
}

/*
 * Who is sent what came before yet, and reads the log from before this, ends where the others do.
 * If nobody is there, silence counts anew with the next.
 */
void
feed_abandon(struct feed *fd)
{
	int rc = 0;

	if (list_is_empty(&fd->out.joined) && !is_waited_for(fd))
		return;
	if (feed_holds(fd))
		pace_flush(&fd->more->pace);
	recent_forget(fd);
	if (fd->class->settings->abandoned_data != NULL && (rc = put_abandoned(fd)) < 0)
		feed_count_drop(fd, rc);
	fd->out.abandoned_at = fd->out.log.end;
	end_those_who_saw(fd, END_ABANDONED);
	if (!list_is_empty(&fd->out.joined) || is_waited_for(fd))
		feed_listen(fd);
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
	return feed_subscribe(fd, kind, name) == 0 ? 0 : HTTP_INTERNAL_ERROR;
}

int
feed_stream(struct feed *fd, const char *fmt, ...)
{
	va_list ap;
	int status;

	va_start(ap, fmt);
	status = subscribe(fd, SUBJECT_STREAM, fmt, ap);
	va_end(ap);
	return status;
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
feed_keyspace(struct feed *fd, const char *fmt, ...)
{
	va_list ap;
	int status;

	va_start(ap, fmt);
	status = subscribe(fd, SUBJECT_KEYSPACE, fmt, ap);
	va_end(ap);
	return status;
}

const char *
feed_param(const struct feed *fd, const char *name)
{
	const struct template_value *v;

	for (v = fd->params; v->name != NULL; v++) {
		if (strcmp(v->name, name) == 0)
			return v->value;
	}
	return NULL;
}

bool
feed_is_open(const struct feed *fd)
{
	return fd->n_unconfirmed == 0;
}

const char *
feed_channel_name(const struct feed *fd, unsigned n)
{
	const struct feed_source *so;

	for (so = fd->sources; so != NULL; so = so->next) {
		if (subscription_kind(&so->sn) == SUBJECT_CHANNEL && n-- == 0)
			return subscription_name(&so->sn);
	}
	return NULL;
}

const char *
feed_key(const struct feed *fd, const char *name)
{
	return own_text(&fd->class->settings->own, name);
}

unsigned long long
feed_key_number(const struct feed *fd, const char *name)
{
	return own_number(&fd->class->settings->own, name);
}

int
feed_key_text(const struct feed *fd, const char *name, char **out)
{
	const struct template_scope scope = {.params = fd->params, .channel = ""};
	const struct template *t = own_template(&fd->class->settings->own, name);
	struct buf text;
	int rc;

	*out = NULL;
	if (t == NULL)
		return 0;
	buf_init(&text, SUBJECT_NAME_MAX);
	if ((rc = template_expand(t, &scope, &text)) == 0 && (rc = buf_putc(&text, '\0')) == 0)
		*out = text.p;
	else
		buf_fini(&text);
	return rc;
}

bool
feed_is_followed(const struct feed *fd)
{
	return fd->out.n_subs > 0;
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
	feed_heard(fd);
	if (fd->more != NULL)
		wait_answer(fd, &ev, false);
	return fd->out.n_subs == 0 ? 0 : feed_emit(fd, &ev);
}

int
feed_send_json(struct feed *fd, const char *type, struct json_object *value)
{
	size_t len;
	const char *text = json_object_to_json_string_length(
	    value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	int rc = text == NULL ? -ENOMEM : feed_send(fd, type, text, len);

	json_object_put(value);
	return rc;
}

void
feed_end(struct feed *fd)
{
	end_for_good(fd);
}

void
feed_run_script(struct feed *fd)
{
	deliver_own(fd, NULL);
}

void
feed_offer(struct feed *fd, const char *data, size_t len)
{
	struct message msg;
	char *copy;

	if (data != NULL)
		feed_heard(fd);
	if (fd->out.n_subs == 0)
		return;
	if (data == NULL) {
		deliver_own(fd, NULL);
		return;
	}
	if ((copy = malloc(len + 1)) == NULL) { /* a message ends with a NUL */
		feed_count_drop(fd, -ENOMEM);
		return;
	}
	memcpy(copy, data, len);
	copy[len] = '\0';
	message_init(&msg, "", 0, copy, len);
	deliver_own(fd, &msg);
	message_fini(&msg);
	free(copy);
}
