#include "hub/render.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/logger.h"
#include "base/poison.h"
#include "hub/feed_state.h"
#include "sse/utf8.h"

enum { EXPANDED_MAX = 64 * 1024, TOLD_MAX = 150 };

/* One message on its way. */
struct message_way {
	struct feed *feed;
	const struct place *at;
	struct sink *to;
	struct template_scope scope;
	struct outcome outcome;
};

static void
set_scope(struct message_way *way, struct message *msg)
{
	struct template_scope *scope = &way->scope;

	*scope = (struct template_scope){
	    .params = way->feed->params, .msg = msg, .channel = "", .now = clock_unix()};
	if (msg == NULL)
		return;
	scope->channel = msg->channel;
	scope->channel_len = msg->channel_len;
	scope->id = msg->id;
	scope->id_len = msg->id_len;
}

/* How much of a name the log shows. */
static int
told_len(size_t len)
{
	return len < TOLD_MAX ? (int)len : TOLD_MAX;
}

/*
 * Refuses an event that no message may become. Its publisher does not learn of it, so the operator
 * is told.
 */
static void
refuse(struct message_way *way, const struct event *ev, const char *why)
{
	struct feed_class *fc = way->feed->class;
	bool is_ours = event_is_reserved(ev->type, ev->type_len) ||
		       (ev->id != NULL && event_is_end_id(ev->id, ev->id_len));

	feed_count(way->feed, is_ours ? COUNTER_DROPPED_RESERVED : COUNTER_DROPPED_INVALID, 1);
	way->outcome.has_failed = true;
	if (logger_may(&fc->log_refused, uv_now(fc->hub->loop), LOGGER_PERIOD_MS))
		logger_warn(
		    "[route %s] an event is not sent: %s (name \"%.*s\", id \"%.*s\"; %u more "
		    "since the last report)",
		    fc->settings->stages.route, why, told_len(ev->type_len),
		    ev->type_len > 0 ? ev->type : "", told_len(ev->id_len),
		    ev->id_len > 0 ? ev->id : "", fc->log_refused.n_reported);
}

static int
expand(struct message_way *way, const struct template *t, struct buf *b)
{
	int rc;

	buf_truncate(b, 0);
	if ((rc = template_expand(t, &way->scope, b)) < 0)
		feed_count_drop(way->feed, rc);
	return rc;
}

/*
 * Sets the event's name: from the script, or else the handler, the route's section, the entry.
 * Returns 0, or < 0 and counts why not.
 */
static int
set_type(struct message_way *way, struct event *ev)
{
	const struct template *t = way->feed->class->settings->event;
	const struct message *msg = way->scope.msg;
	struct buf *type = &way->feed->class->hub->type;
	int rc;

	if (ev->type != NULL) {
		/* the script's */
	} else if (msg != NULL && msg->event != NULL) {
		ev->type = msg->event;
		ev->type_len = strlen(ev->type);
	} else if (t != NULL) {
		if ((rc = expand(way, t, type)) < 0)
			return rc;
		ev->type = type->p;
		ev->type_len = type->len;
	} else if (msg != NULL && msg->arrived->event != NULL) {
		ev->type = msg->arrived->event;
		ev->type_len = strlen(ev->type);
	}
	return 0;
}

/*
 * Sets the event's id: the place in the route's streams, or what the section says. Returns as
 * set_type().
 */
static int
set_id(struct message_way *way, struct event *ev)
{
	const struct template *t = way->feed->class->settings->id;
	struct buf *id = &way->feed->class->hub->id;
	char cursor[CURSOR_TEXT];
	int rc;

	if (way->at->n_cursor > 0) {
		ev->id_len =
		    cursor_print(cursor, way->at->whose, way->at->cursor, way->at->n_cursor);
		buf_truncate(id, 0);
		if ((rc = buf_put(id, cursor, ev->id_len)) < 0)
			return rc;
		ev->id = id->p;
		return 0;
	}
	if (t == NULL)
		return 0;
	if ((rc = expand(way, t, id)) < 0)
		return rc;
	ev->id = id->p;
	ev->id_len = id->len;
	return 0;
}

/* Replaces bytes that are not UTF-8 in an id or a name, too; the result stands in own. */
static int
mend_utf8(struct message_way *way, struct buf *own, const char **p, size_t *len)
{
	size_t n_replaced = 0;
	int rc;

	if (*len == 0 || utf8_valid_len(*p, *len) == *len)
		return 0;
	buf_init(own, EXPANDED_MAX);
	if ((rc = utf8_put(own, NULL, *p, *len, &n_replaced)) < 0) {
		feed_count_drop(way->feed, rc);
		return rc;
	}
	feed_count(way->feed, COUNTER_UTF8_REPLACED, (int64_t)n_replaced);
	*p = own->p;
	*len = own->len;
	return 0;
}

/* An event that cannot be sent is no result for anybody, so the message has failed. */
static void
put_mended(struct message_way *way, struct event *ev, bool is_last)
{
	const char *why = event_fault(ev);

	if (why != NULL) {
		refuse(way, ev, why); /* it is refused now, because in a batch the other events
					 would be refused with it */
		return;
	}
	feed_count(way->feed, COUNTER_RENDERED, 1);
	ev->channel = way->scope.channel;
	ev->channel_len = way->scope.channel_len;
	way->to->put(way->to, ev, &way->scope, is_last);
}

static void
put_event(struct message_way *way, struct event *ev, bool is_last)
{
	struct buf type = {0}, id = {0};

	if (set_type(way, ev) < 0 || set_id(way, ev) < 0 ||
	    mend_utf8(way, &type, &ev->type, &ev->type_len) < 0 ||
	    (ev->id != NULL && mend_utf8(way, &id, &ev->id, &ev->id_len) < 0))
		way->outcome.has_failed = true;
	else
		put_mended(way, ev, is_last);
	buf_fini(&type);
	buf_fini(&id);
}

static void
put_rendered(struct message_way *way, const struct rendering *r)
{
	size_t i;

	for (i = 0; i < r->n; i++) {
		const struct rendered *one = &r->v[i];
		struct event ev = {.data = rendering_at(r, one->at), .data_len = one->len};

		if (one->has_type) {
			ev.type = rendering_at(r, one->type_at);
			ev.type_len = one->type_len;
		}
		put_event(way, &ev, r->ends && i + 1 == r->n);
	}
}

static struct outcome
run(struct message_way *way, struct message *msg, bool is_last)
{
	struct stages *stages = &way->feed->class->settings->stages;
	struct rendering *r = &way->feed->class->hub->rendering;
	struct event ev = {0};
	enum stages_result result;

	set_scope(way, msg);
	result = stages_run(stages, way->at->callback, &way->scope, r);
	way->outcome.has_failed = stages->has_failed;
	way->outcome.is_full = stages->is_full;
	if (result == STAGES_AS_IS) {
		ev.data = message_bytes(msg, &ev.data_len);
		put_event(way, &ev, is_last || r->ends);
	} else if (result == STAGES_RENDERED) {
		r->ends = r->ends || is_last;
		put_rendered(way, r);
	}
	way->outcome.ends = r->ends || is_last;
	way->outcome.after_ms = r->after_ms;
	return way->outcome;
}

static enum poison_verdict
begin_work(const struct feed *fd, const struct message *arrived)
{
	const struct poison_work work = {.route = fd->class->settings->stages.route,
					 .subject = arrived->channel,
					 .subject_len = arrived->channel_len,
					 .id = arrived->id,
					 .id_len = arrived->id_len,
					 .data = arrived->data,
					 .data_len = arrived->data_len,
					 .is_recorded = fd->class->settings->record > 0};

	return poison_begin(&work);
}

static void
run_logic(struct message_way *way, struct message *arrived)
{
	const struct handler *h = way->feed->class->handler;
	enum verdict verdict = KEEP;
	struct message msg;

	message_share(&msg, arrived);
	if (h->message != NULL)
		verdict = h->message(way->feed, &msg);
	if (verdict == DROP)
		feed_count(way->feed, COUNTER_DROPPED_HANDLER, 1);
	else if (verdict != HOLD)
		(void)run(way, &msg, verdict == LAST);
	message_fini(&msg);
}

struct outcome
render(struct feed *fd, const struct place *at, struct message *arrived, struct sink *to)
{
	struct message_way way = {.feed = fd, .at = at, .to = to};
	enum poison_verdict poison = begin_work(fd, arrived);

	if (poison != POISON_NONE) {
		feed_count(fd, COUNTER_DROPPED_POISON, 1);
		way.outcome.is_poison = true;
		way.outcome.has_failed = poison == POISON_UNTOLD;
		return way.outcome;
	}
	run_logic(&way, arrived);
	poison_end();
	return way.outcome;
}

struct outcome
render_own(struct feed *fd, const struct place *at, struct message *msg, struct sink *to)
{
	struct message_way way = {.feed = fd, .at = at, .to = to};

	return run(&way, msg, false);
}
