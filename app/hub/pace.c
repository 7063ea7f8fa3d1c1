#include "hub/pace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "hub/count.h"
#include "sse/wire.h"

const char *const rate_mode_names[] = {
    [RATE_DROP] = "drop",
    [RATE_LATEST] = "latest",
    NULL,
};

/* A copy of an event, because the message is gone when the event is sent. */
struct held_event {
	size_t id_len, type_len, data_len, channel_len;
	char bytes[]; /* id, type, data, channel */
};

/* One value of rate_by, while its events are counted. */
struct window {
	struct map_node by_key;
	struct list of_pace;
	struct fifo_node due; /* pace->fifos->windows */
	struct pace *pace;
	struct held_event *held; /* in mode latest: the newest event beyond the rate */
	unsigned n;              /* sent since it opened */
	char key[];
};

static struct held_event *
hold(const struct event *ev)
{
	size_t len = ev->id_len + ev->type_len + ev->data_len + ev->channel_len;
	struct held_event *h = malloc(sizeof(*h) + len);
	char *p;

	if (h == NULL)
		return NULL;
	h->id_len = ev->id_len;
	h->type_len = ev->type_len;
	h->data_len = ev->data_len;
	h->channel_len = ev->channel_len;
	p = h->bytes;
	if (ev->id_len > 0)
		p = mempcpy(p, ev->id, ev->id_len);
	if (ev->type_len > 0)
		p = mempcpy(p, ev->type, ev->type_len);
	if (ev->data_len > 0)
		p = mempcpy(p, ev->data, ev->data_len);
	if (ev->channel_len > 0)
		memcpy(p, ev->channel, ev->channel_len);
	return h;
}

static struct event
event_of(const struct held_event *h)
{
	const char *type = h->bytes + h->id_len, *data = type + h->type_len;

	return (struct event){.id = h->id_len > 0 ? h->bytes : NULL,
			      .id_len = h->id_len,
			      .type = h->type_len > 0 ? type : NULL,
			      .type_len = h->type_len,
			      .data = data,
			      .data_len = h->data_len,
			      .channel = data + h->data_len,
			      .channel_len = h->channel_len};
}

static size_t
size_of(const struct held_event *h)
{
	return sizeof(*h) + h->id_len + h->type_len + h->data_len + h->channel_len;
}

void
pace_init(struct pace *p, const struct pace_settings *settings, struct pace_fifos *fifos,
	  unsigned counted, int (*emit)(struct pace *p, const struct event *ev))
{
	memset(p, 0, sizeof(*p));
	p->settings = settings;
	p->fifos = fifos;
	p->counted = counted;
	p->emit = emit;
	map_init(&p->by_key);
	list_init(&p->windows);
	batch_init(&p->batch, PACE_TEXT_MAX);
	fifo_node_init(&p->due);
}

static void
drop_held(struct window *w)
{
	struct pace *p = w->pace;

	if (w->held == NULL)
		return;
	p->held -= size_of(w->held);
	free(w->held);
	w->held = NULL;
}

static void
window_free(struct window *w)
{
	struct pace *p = w->pace;

	drop_held(w);
	fifo_del(&w->due);
	list_del(&w->of_pace);
	map_del(&p->by_key, &w->by_key);
	p->n_windows--;
	free(w);
}

void
pace_clear(struct pace *p)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &p->windows)
		window_free(LIST_ENTRY(node, struct window, of_pace));
	map_fini(&p->by_key);
	batch_clear(&p->batch);
	free(p->newest);
	p->newest = NULL;
	fifo_del(&p->due);
}

/* Batches */

/*
 * The batch is empty before it is sent: a subscriber that ends while it is sent must not be given
 * it again.
 */
static void
send_batch(struct pace *p)
{
	struct held_event *newest = p->newest;
	struct batch batch = p->batch;
	struct event ev;
	int rc;

	if (batch.n == 0)
		return;
	fifo_del(&p->due);
	p->newest = NULL;
	batch_init(&p->batch, PACE_TEXT_MAX);
	ev = event_of(newest);
	if ((rc = batch_finish(&batch)) == 0) {
		ev.data = batch.text.p;
		ev.data_len = batch.text.len;
		rc = p->emit(p, &ev);
	}
	if (rc < 0)
		count_drop(p->counted, rc);
	free(newest);
	batch_fini(&batch);
}

/* Keeps the name and the id of the newest event, without its data. */
static int
keep_newest(struct pace *p, const struct event *ev)
{
	struct event name = *ev;
	struct held_event *h;

	name.data_len = 0;
	if ((h = hold(&name)) == NULL)
		return -ENOMEM;
	free(p->newest);
	p->newest = h;
	return 0;
}

static void
add_to_batch(struct pace *p, const struct event *ev)
{
	const struct pace_limit *limit = &p->settings->batch;
	int rc;

	if ((rc = batch_add(&p->batch, ev->channel, ev->channel_len, ev->data, ev->data_len)) < 0) {
		count_drop(p->counted, rc);
		return;
	}
	if (keep_newest(p, ev) < 0 && p->newest == NULL) {
		batch_clear(&p->batch);
		count_drop(p->counted, -ENOMEM);
		return;
	}
	if (p->batch.n == 1)
		fifo_add(&p->fifos->batches, &p->due);
	if (p->batch.n >= limit->n || p->batch.text.len >= PACE_BATCH_MAX)
		send_batch(p);
}

/* An event that the rate lets through: it goes into the batch, or out. */
static void
pass(struct pace *p, const struct event *ev)
{
	int rc;

	if (p->settings->batch.n > 0)
		add_to_batch(p, ev);
	else if ((rc = p->emit(p, ev)) < 0)
		count_drop(p->counted, rc);
}

static void
on_batch_due(struct fifo *fifo, struct fifo_node *node)
{
	(void)fifo;
	send_batch(LIST_ENTRY(node, struct pace, due));
}

/* Windows */

static void
release(struct window *w)
{
	struct held_event *h = w->held;
	struct event ev;

	if (h == NULL)
		return;
	w->pace->held -= size_of(h);
	w->held = NULL;
	ev = event_of(h);
	pass(w->pace, &ev);
	free(h);
}

static struct window *
find_window(struct pace *p, const struct buf *key)
{
	struct map_node *node = map_find(&p->by_key, key->p, key->len);

	return node != NULL ? MAP_ENTRY(node, struct window, by_key) : NULL;
}

/*
 * There are too many windows: the oldest is closed. What it holds is sent, and its value counts
 * from 0 again, so nobody misses anything.
 */
static void
close_oldest(struct pace *p)
{
	struct window *w = LIST_ENTRY(p->windows.next, struct window, of_pace);

	release(w);
	window_free(w);
}

static struct window *
open_window(struct pace *p, const struct buf *key)
{
	struct window *w;

	if (p->n_windows == PACE_WINDOWS_MAX)
		close_oldest(p);
	if ((w = calloc(1, sizeof(*w) + key->len)) == NULL)
		return NULL;
	if (key->len > 0)
		memcpy(w->key, key->p, key->len);
	if (map_add(&p->by_key, &w->by_key, w->key, key->len) < 0) {
		free(w);
		return NULL;
	}
	w->pace = p;
	fifo_node_init(&w->due);
	list_add_tail(&p->windows, &w->of_pace);
	p->n_windows++;
	fifo_add(&p->fifos->windows, &w->due);
	return w;
}

/*
 * Sends what other windows hold, oldest first, until there is room. What this window holds is about
 * to be replaced.
 */
static void
make_room(struct window *w, size_t len)
{
	struct pace *p = w->pace;
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &p->windows) {
		if (p->held + len <= PACE_HELD_MAX)
			return;
		if (LIST_ENTRY(node, struct window, of_pace) != w)
			release(LIST_ENTRY(node, struct window, of_pace));
	}
}

/*
 * Keeps the newest event beyond the rate, in place of the one before. An event that is too long to
 * be kept is sent.
 */
static void
supersede(struct window *w, const struct event *ev)
{
	struct pace *p = w->pace;
	struct held_event *h;

	if ((h = hold(ev)) == NULL) {
		/* The event before stays, which is better than none. */
		count_drop(p->counted, -ENOMEM);
		return;
	}
	if (w->held != NULL)
		counters_add_of(p->counted, COUNTER_RATE_LIMITED, 1);
	drop_held(w);
	make_room(w, size_of(h));
	w->held = h;
	p->held += size_of(h);
	if (p->held > PACE_HELD_MAX)
		release(w);
}

static void
limit_rate(struct pace *p, const struct event *ev, const struct buf *key)
{
	struct window *w = find_window(p, key);

	if (w == NULL && (w = open_window(p, key)) == NULL) {
		count_drop(p->counted, -ENOMEM);
		return;
	}
	if (w->n < p->settings->rate.n) {
		w->n++;
		pass(p, ev);
	} else if (p->settings->rate_mode == RATE_LATEST) {
		supersede(w, ev);
	} else {
		counters_add_of(p->counted, COUNTER_RATE_LIMITED, 1);
	}
}

/*
 * The window's time is over. If it holds an event, that is sent and the window begins anew; else
 * the window is freed.
 */
static void
on_window_due(struct fifo *fifo, struct fifo_node *node)
{
	struct window *w = LIST_ENTRY(node, struct window, due);

	if (w->held == NULL) {
		window_free(w);
		return;
	}
	w->n = 1;
	fifo_add(fifo, &w->due);
	release(w);
}

static void
release_all(struct pace *p)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &p->windows)
		release(LIST_ENTRY(node, struct window, of_pace));
}

void
pace_flush(struct pace *p)
{
	release_all(p);
	send_batch(p);
}

void
pace_event(struct pace *p, const struct event *ev, const struct buf *key, bool is_last)
{
	struct window *w;

	if (!is_last && p->settings->rate.n > 0) {
		limit_rate(p, ev, key);
		return;
	}
	if (!is_last) {
		pass(p, ev);
		return;
	}
	if ((w = find_window(p, key)) != NULL)
		drop_held(w); /* this one is newer */
	release_all(p);
	pass(p, ev);
	send_batch(p);
}

/* What a subscriber that ends must still be sent. */
struct owed {
	const struct pace_settings *settings;
	const struct wire *wire;
	struct buf *to;
	struct batch batch;
	const struct held_event *newest; /* of the batch */
	int n;
};

static int
put_owed(struct owed *o, const struct event *ev)
{
	int rc = o->wire->event(o->to, ev, NULL);

	o->n += rc == 0;
	return rc;
}

static int
put_owed_batch(struct owed *o)
{
	struct event ev;
	int rc;

	if (o->batch.n == 0)
		return 0;
	ev = event_of(o->newest);
	if ((rc = batch_finish(&o->batch)) < 0)
		return rc;
	ev.data = o->batch.text.p;
	ev.data_len = o->batch.text.len;
	rc = put_owed(o, &ev);
	batch_clear(&o->batch);
	return rc;
}

/* What a window holds, in the same way as pass(). */
static int
put_owed_window(struct owed *o, const struct held_event *h)
{
	const struct pace_limit *limit = &o->settings->batch;
	struct event ev = event_of(h);
	int rc;

	if (limit->n == 0)
		return put_owed(o, &ev);
	if ((rc = batch_add(&o->batch, ev.channel, ev.channel_len, ev.data, ev.data_len)) < 0)
		return rc;
	o->newest = h;
	return o->batch.n < limit->n ? 0 : put_owed_batch(o);
}

static int
put_all_owed(struct owed *o, const struct pace *p)
{
	struct list *node;
	int rc;

	if ((rc = buf_put(&o->batch.text, p->batch.text.p, p->batch.text.len)) < 0)
		return rc;
	o->batch.n = p->batch.n;
	for (node = p->windows.next; node != &p->windows && rc == 0; node = node->next) {
		const struct held_event *h = LIST_ENTRY(node, struct window, of_pace)->held;

		if (h != NULL)
			rc = put_owed_window(o, h);
	}
	return rc == 0 ? put_owed_batch(o) : rc;
}

int
pace_put_held(const struct pace *p, const struct wire *wire, struct buf *b)
{
	struct owed o = {.settings = p->settings, .wire = wire, .to = b, .newest = p->newest};
	size_t before = b->len;
	int rc;

	batch_init(&o.batch, PACE_TEXT_MAX);
	rc = put_all_owed(&o, p);
	batch_fini(&o.batch);
	if (rc < 0)
		buf_truncate(b, before);
	return rc < 0 ? rc : o.n;
}

void
pace_fifos_init(struct pace_fifos *fifos, uv_loop_t *loop, const struct pace_settings *ps)
{
	fifo_init(&fifos->windows, loop, ps->rate.period_ms, on_window_due);
	fifo_init(&fifos->batches, loop, ps->batch.period_ms, on_batch_due);
}
