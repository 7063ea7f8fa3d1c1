/*
 * feed_life.c - a feed begins when somebody asks for it first, and ends some seconds after its last
 * subscriber has gone. So the reload of a page costs Redis nothing.
 */
#include "hub/feed_life.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/logger.h"
#include "hub/feed_logic.h"
#include "hub/feed_within.h"
#include "hub/silence.h"
#include "sse/wire.h"

/*
 * The feed is freed at the turn's end, because the turn may be in the middle of it. From now on
 * nobody finds it.
 */
void
feed_bury(struct feed *fd)
{
	if (fd->is_dead)
		return;
	fd->is_dead = true;
	map_del(&fd->class->by_key, &fd->by_key);
	list_move_tail(&fd->class->hub->dead, &fd->due.node);
}

/* If nobody is there any more, the feed lingers, and has no heartbeats. */
static void
linger_if_alone(struct feed *fd)
{
	if (feed_is_wanted(fd) || fd->is_dead)
		return;
	/* Nobody else will find a private feed, so it need not linger. */
	if (fd->class->is_closing || fd->class->handler->is_private)
		feed_bury(fd);
	else
		fifo_add(&fd->class->hub->lingering, &fd->due);
}

/* Its outlet */

static bool
is_alone(const struct outlet *o, const struct subscriber *sub)
{
	return o->joined.next == &sub->joined && o->joined.prev == &sub->joined;
}

/*
 * A subscriber ends while events are held back. If it is the last one, they go out now. Otherwise
 * it alone is given them, because the others must not get more in a time than their route says.
 * This function is called while such an event is sent, too; then the feed must not send more.
 */
static void
on_ending(struct outlet *o, struct subscriber *sub, enum end_reason reason)
{
	struct feed *fd = feed_of(o);
	int n;

	if (!feed_holds(fd))
		return;
	if (reason != END_MAX_EVENTS && is_alone(o, sub))
		feed_flush(fd);
	else if (subscriber_own_all(sub) < 0 ||
		 (n = pace_put_held(&fd->logic->pace, o->log.wire, &sub->own)) < 0)
		logger_error("[route %s] out of memory: a stream ends without what was held back "
			     "for it",
			     fd->class->settings->stages.route);
	else
		feed_count(fd, COUNTER_DELIVERIES, n);
}

static void
on_left(struct outlet *o, struct subscriber *sub)
{
	struct feed *fd = feed_of(o);

	if (fd->class->kind->left != NULL)
		fd->class->kind->left(fd, sub);
	linger_if_alone(fd);
}

static void
on_flushed(struct outlet *o, struct subscriber *sub)
{
	struct feed *fd = feed_of(o);

	if (fd->class->kind->flushed != NULL)
		fd->class->kind->flushed(fd, sub);
	if (fd->logic != NULL && fd->logic->on_flushed != NULL)
		fd->logic->on_flushed(fd);
}

const struct outlet_ops feed_outlet_ops = {
    .ending = on_ending, .left = on_left, .flushed = on_flushed};

/* Begin and end */

/*
 * The key is the values of the parameters, each with its NUL. Their number is always the same, and
 * none holds a NUL, so no two lists have the same key.
 */
static void
make_key(struct buf *key, const struct template_value *params, size_t *n, int *rc)
{
	for (*n = 0, *rc = 0; params[*n].name != NULL && *rc == 0; (*n)++)
		*rc = buf_put(key, params[*n].value, strlen(params[*n].value) + 1);
}

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
	outlet_init(&fd->out, &fc->out, wire);
	fifo_node_init(&fd->due);
	list_add_tail(&fc->feeds, &fd->of_class);
	return fd;
}

void
feed_free(struct feed *fd)
{
	struct feed_class *fc = fd->class;

	if (fc->handler->close != NULL && !fd->is_tended)
		fc->handler->close(fd);
	feed_unfollow(fd);
	if (fc->kind->end != NULL)
		fc->kind->end(fd);
	feed_end_logic(fd);
	if (!fd->is_dead)
		map_del(&fc->by_key, &fd->by_key);
	list_del(&fd->of_class);
	fifo_del(&fd->due);
	outlet_fini(&fd->out);
	if (!fd->is_tended)
		feed_count(fd, COUNTER_FEEDS, -1);
	free(fd);
	if (fc->is_closing && list_is_empty(&fc->feeds))
		fc->on_empty(fc);
}

/* A serial number makes a key that no other feed has. */
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

	if (fs->stages.script == NULL && fs->pace.rate.n == 0 && fs->pace.batch.n == 0 &&
	    !class_counts_silence(fd->class))
		return 0;
	if ((rc = feed_need_logic(fd)) < 0)
		return rc;
	if (fs->stages.script != NULL)
		(void)feed_callback(fd);
	return 0;
}

int
feed_get(struct feed **out, struct feed_class *fc, const struct wire *wire,
	 const struct template_value *params, const struct request *req)
{
	struct map_node *node;
	struct feed *fd = NULL;
	struct buf *key = &fc->hub->type; /* the buffer is free between two messages */
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
	    (fc->kind->begin != NULL && (rc = fc->kind->begin(fd)) != 0)) {
		feed_free(fd);
		return rc;
	}
	/* The feed lingers until its first subscriber joins. */
	fifo_add(&fc->hub->lingering, &fd->due);
	fd->was_confirmed = fd->n_unconfirmed == 0;
	*out = fd;
	return 0;
}

void
feed_begin_tended(struct feed_class *fc)
{
	static const struct template_value none[] = {{0}};
	struct buf *key = &fc->hub->type; /* the buffer is free between two messages */
	struct feed *fd = NULL;

	buf_truncate(key, 0);
	if (put_serial(key) == 0)
		fd = feed_alloc(fc, &wire_event_stream, none, 0, key);
	if (fd == NULL) {
		logger_error(
		    "[route %s] out of memory: its handler does no work while nobody follows",
		    fc->settings->stages.route);
		return;
	}
	fd->is_tended = true;
	fc->handler->tend(fd);
}

/* Who is there */

/* The first one has come. */
static void
begin_beats(struct feed *fd)
{
	fifo_add(&fd->class->beats, &fd->due);
}

int
feed_join(struct feed *fd, struct subscriber *sub, const char *head, size_t head_len,
	  const char *last_event_id)
{
	int rc;

	sub->backlog = NULL;
	if ((fd->class->kind->join != NULL &&
	     (rc = fd->class->kind->join(fd, sub, last_event_id)) < 0) ||
	    (rc = subscriber_join(sub, &fd->out, head, head_len)) < 0) {
		buf_truncate(&sub->own, 0); /* it gets another answer */
		if (sub->backlog != NULL)
			sub->backlog->ops->cancel(sub->backlog);
		return rc;
	}
	if (fd->out.n_subs == 1 && fd->logic != NULL && last_event_id == NULL)
		pace_clear(&fd->logic->pace); /* what it holds was meant for others, and this client
						 is none of them */
	if (fd->out.n_subs == 1 && !feed_has_listeners(fd))
		begin_beats(fd);
	feed_listen(fd);
	if (fd->n_unconfirmed == 0)
		feed_open_one(fd, sub);
	return 0;
}

void
feed_add_listener(struct feed *fd, struct feed_listener *l)
{
	if (!feed_is_wanted(fd))
		begin_beats(fd);
	l->feed = fd;
	l->next = fd->listeners;
	l->prev = &fd->listeners;
	if (l->next != NULL)
		l->next->prev = &l->next;
	fd->listeners = l;
	feed_listen(fd);
}

void
feed_remove_listener(struct feed_listener *l)
{
	struct feed *fd = l->feed;

	*l->prev = l->next;
	if (l->next != NULL)
		l->next->prev = l->prev;
	l->feed = NULL;
	linger_if_alone(fd);
}

bool
feed_can_resume(const struct feed *fd)
{
	return feed_cursor(fd)->n > 0;
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

int
feed_on_flushed(struct feed *fd, feed_flushed_fn fn)
{
	int rc = feed_need_logic(fd);

	if (rc < 0)
		return rc;
	fd->logic->on_flushed = fn;
	fd->class->out.tells_flushed = true;
	return 0;
}
