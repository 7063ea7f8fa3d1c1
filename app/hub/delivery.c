#include "hub/delivery.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/counters.h"
#include "hub/private.h"

static void
set_scope(struct delivery *dl, struct message *msg)
{
	struct template_scope *scope = &dl->scope;

	*scope = (struct template_scope){
	    .params = dl->feed->params, .msg = msg, .channel = "", .now = clock_unix()};
	if (msg == NULL)
		return;
	scope->channel = msg->channel;
	scope->channel_len = msg->channel_len;
	scope->id = msg->id;
	scope->id_len = msg->id_len;
}

static int
refuse_reserved(void)
{
	counters_add(COUNTER_DROPPED_RESERVED, 1);
	return -EINVAL;
}

static int
expand(struct delivery *dl, const struct template *t, struct buf *b)
{
	int rc;

	buf_truncate(b, 0);
	if ((rc = template_expand(t, &dl->scope, b)) < 0)
		feed_count_drop(rc);
	return rc;
}

/*
 * The event's name: what the script said, or the handler, or the route's section, or the entry.
 * Returns 0, or < 0 and counts why not.
 */
static int
set_type(struct delivery *dl, struct event *ev)
{
	const struct template *t = dl->feed->class->settings->event;
	const struct message *msg = dl->scope.msg;
	struct buf *type = &dl->feed->class->hub->type;
	int rc;

	if (ev->type != NULL) {
		/* the script's */
	} else if (msg != NULL && msg->event != NULL) {
		ev->type = msg->event;
		ev->type_len = strlen(ev->type);
	} else if (t != NULL) {
		if ((rc = expand(dl, t, type)) < 0)
			return rc;
		ev->type = type->p;
		ev->type_len = type->len;
	} else if (msg != NULL && msg->arrived->event != NULL) {
		ev->type = msg->arrived->event;
		ev->type_len = strlen(ev->type);
	}
	return event_is_reserved(ev->type, ev->type_len) ? refuse_reserved() : 0;
}

/* The place in the route's streams, or what the section makes. As set_type(). */
static int
set_id(struct delivery *dl, struct event *ev)
{
	const struct template *t = dl->feed->class->settings->id;
	struct buf *id = &dl->feed->class->hub->id;
	char cursor[STREAM_CURSOR_TEXT];
	int rc;

	if (dl->cursor != NULL) {
		ev->id_len = stream_cursor_print(cursor, dl->cursor, dl->n_cursor);
		buf_truncate(id, 0);
		if ((rc = buf_put(id, cursor, ev->id_len)) < 0)
			return rc;
		ev->id = id->p;
		return 0;
	}
	if (t == NULL)
		return 0;
	if ((rc = expand(dl, t, id)) < 0)
		return rc;
	ev->id = id->p;
	ev->id_len = id->len;
	return event_is_end_id(ev->id, ev->id_len) ? refuse_reserved() : 0;
}

static void
send_event(struct delivery *dl, struct event *ev, bool is_last)
{
	int rc;

	if (set_type(dl, ev) < 0 || set_id(dl, ev) < 0)
		return;
	if ((rc = event_check(ev)) < 0) {
		feed_count_drop(rc); /* now: in a batch it would take the others with it */
		return;
	}
	counters_add(COUNTER_RENDERED, 1);
	dl->send(dl, ev, is_last);
}

static void
send_rendered(struct delivery *dl, const struct rendering *r)
{
	size_t i;

	for (i = 0; i < r->n; i++) {
		const struct rendered *one = &r->v[i];
		struct event ev = {.data = rendering_at(r, one->at), .data_len = one->len};

		if (one->has_type) {
			ev.type = rendering_at(r, one->type_at);
			ev.type_len = one->type_len;
		}
		send_event(dl, &ev, r->ends && i + 1 == r->n);
	}
}

bool
delivery_run(struct delivery *dl, struct message *msg, bool is_last)
{
	struct stages *stages = &dl->feed->class->settings->stages;
	struct rendering *r = &dl->feed->class->hub->rendering;
	struct event ev = {0};
	bool ends;

	set_scope(dl, msg);
	switch (stages_run(stages, dl->callback, &dl->scope, r)) {
	case STAGES_AS_IS:
		ev.data = message_bytes(msg, &ev.data_len);
		send_event(dl, &ev, is_last || r->ends);
		break;
	case STAGES_RENDERED:
		r->ends = r->ends || is_last;
		send_rendered(dl, r);
		break;
	default:
		break;
	}
	ends = r->ends || is_last;
	dl->after_ms = r->after_ms;
	return ends;
}
