/*
 * replay_put.c - puts what a subscriber is sent of the past behind its own bytes.
 */
#include "source/replay_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "hub/announce.h"
#include "sse/wire.h"

enum { ROOM = 128 * 1024 }; /* so many bytes are put for one client; then it must take them */

static int
put_own(struct replay *rp, const struct event *ev)
{
	struct buf *own = &rp->sub->own;
	size_t n_replaced = 0, cap = own->len + WIRE_GROWTH_MAX * ev->data_len + WIRE_REST_MAX;
	int rc;

	if (own->cap < cap)
		buf_set_cap(own, cap);
	if ((rc = rp->feed->out.log.wire->event(own, ev, &n_replaced)) == 0)
		feed_count(rp->feed, COUNTER_UTF8_REPLACED, (int64_t)n_replaced);
	return rc;
}

int
replay_put_reset(struct replay *rp, const char *data)
{
	struct event ev = {.type = "stream-reset",
			   .type_len = strlen("stream-reset"),
			   .data = data,
			   .data_len = strlen(data)};

	feed_count(rp->feed, COUNTER_RESETS, 1);
	if (!rp->feed->class->settings->announce)
		return 0;
	return put_own(rp, &ev);
}

static int
tell_trimmed(struct replay *rp)
{
	if (!rp->is_trimmed)
		return 0;
	rp->is_trimmed = false;
	return replay_put_reset(rp, "{\"reason\":\"trimmed\"}");
}

static bool
ends_with_snapshot(const struct replay *rp)
{
	struct message msg;
	const struct template_scope scope = {
	    .params = rp->feed->params, .msg = &msg, .now = clock_unix()};
	bool ends;

	message_init(&msg, "", 0, rp->snapshot, rp->snapshot_len);
	ends = stages_ends_with(&rp->feed->class->settings->stages, &scope);
	message_fini(&msg);
	return ends;
}

/* Returns 0, -EMSGSIZE, -ENOMEM. */
static int
put_snapshot(struct replay *rp)
{
	struct event ev = {.type = "snapshot",
			   .type_len = strlen("snapshot"),
			   .data = rp->snapshot,
			   .data_len = rp->snapshot_len};
	int rc;

	if (rp->snapshot_state == SNAPSHOT_REFUSED)
		return replay_put_reset(rp, "{\"reason\":\"snapshot\"}");
	if (rp->snapshot == NULL)
		return 0;
	if ((rc = put_own(rp, &ev)) == 0)
		rp->ends = ends_with_snapshot(rp);
	return rc;
}

int
replay_put_beginning(struct replay *rp)
{
	const char *reset = rp->unknown != NULL ? rp->unknown : rp->overruled;
	char text[CURSOR_TEXT];
	int rc;

	replay_print_beginning(text, rp);
	if ((rc = subscriber_put_open(rp->sub,
				      replay_is_known(rp) && rp->begins == REPLAY_FROM_CLIENT,
				      rp->n > 0 ? text : NULL)) < 0 ||
	    (reset != NULL && (rc = replay_put_reset(rp, reset)) < 0) ||
	    (rc = tell_trimmed(rp)) < 0)
		return rc;
	return put_snapshot(rp);
}

/* The sink for entries as the route shows them to one subscriber. */
struct sending {
	struct sink sink;
	struct replay *rp;
	int rc;
};

bool
replay_has_had_all(const struct replay *rp)
{
	uint64_t max = rp->feed->class->settings->max_events;

	return max > 0 && rp->n_events >= max;
}

static void
put_event(struct sending *s, const struct event *ev)
{
	if (s->rc < 0 || replay_has_had_all(s->rp) || (s->rc = put_own(s->rp, ev)) < 0)
		return;
	s->rp->n_events++;
	feed_count(s->rp->feed, COUNTER_REPLAYED, 1);
}

static void
put_batch(struct sending *s, const struct event *newest)
{
	struct batch *batch = &s->rp->batch;
	struct event ev = *newest;

	if (s->rc < 0 || batch->n == 0 || (s->rc = batch_finish(batch)) < 0)
		return;
	ev.data = batch->text.p;
	ev.data_len = batch->text.len;
	put_event(s, &ev);
	batch_clear(batch);
}

static void
put_past(struct sink *to, const struct event *ev, const struct template_scope *of, bool is_last)
{
	struct sending *s = LIST_ENTRY(to, struct sending, sink);
	const struct pace_limit *limit = &s->rp->feed->class->settings->pace.batch;
	struct batch *batch = &s->rp->batch;

	(void)of;
	if (limit->n == 0) {
		put_event(s, ev);
		return;
	}
	if (s->rc == 0)
		s->rc = batch_add(batch, ev->channel, ev->channel_len, ev->data, ev->data_len);
	if (batch->n >= limit->n || is_last || batch->text.len >= PACE_BATCH_MAX)
		put_batch(s, ev);
}

/* The rest of a batch, when there is nothing left of the past. */
int
replay_put_rest(struct replay *rp)
{
	struct sending s = {.rp = rp};
	struct event rest = {.type = NULL};
	char text[CURSOR_TEXT];

	rest.id = text;
	rest.id_len = replay_print_cursor(text, rp);
	put_batch(&s, &rest);
	return s.rc;
}

/* Renders an entry as the route shows it, into a sink. */
static struct outcome
render_entry(struct replay_part *part, const struct replayed *one, int callback, struct sink *to)
{
	struct replay *rp = part->rp;
	const char *stream = source_name(replay_source_of(part));
	struct stream_id cursor[STREAM_CURSOR_MAX];
	const struct place at = {cursor, rp->n, replay_whose(rp), callback};
	char id[STREAM_ID_TEXT];
	struct message arrived;
	struct outcome out;

	replay_make_cursor(cursor, rp);
	stream_id_print(id, &one->id);
	message_init(&arrived, stream, strlen(stream), one->data, one->data_len);
	arrived.id = id;
	arrived.id_len = strlen(id);
	if (one->event != NULL)
		message_set_event(&arrived, one->event);
	out = render(rp->feed, &at, &arrived, to);
	message_fini(&arrived);
	return out;
}

static void
put_to_nobody(struct sink *to, const struct event *ev, const struct template_scope *of,
	      bool is_last)
{
	(void)to;
	(void)ev;
	(void)of;
	(void)is_last;
}

bool
replay_ends_with(struct replay_part *part)
{
	struct sink nobody = {put_to_nobody};

	return part->n_v > 0 && render_entry(part, &part->v[0], part->rp->callback, &nobody).ends;
}

/* Returns whether the stream has ended for good. */
static bool
send_entry(struct sending *s, struct replay_part *part, const struct replayed *one)
{
	struct replay *rp = s->rp;
	struct outcome out;

	part->from = one->id;
	part->is_entry = true;
	out = render_entry(part, one, rp->callback, &s->sink);
	if (out.is_poison && s->rc == 0)
		s->rc = replay_put_reset(rp, RENDER_POISON);
	return out.ends;
}

int
replay_put_entries(struct replay *rp, bool *ends)
{
	struct sending s = {.sink = {put_past}, .rp = rp, .rc = tell_trimmed(rp)};
	struct replay_part *part;

	*ends = false;
	while (s.rc == 0 && !*ends && rp->sub->own.len < ROOM && !replay_has_had_all(rp) &&
	       (part = replay_next_part(rp)) != NULL) {
		struct replayed *one = &part->v[part->at++];

		*ends = send_entry(&s, part, one);
		free(one->data);
		free(one->event);
	}
	return s.rc == 0 && *ends ? replay_put_rest(rp) : s.rc;
}
