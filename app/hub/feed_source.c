/*
 * feed_source.c - what a feed follows, and what it does with what comes: a table for each kind.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "hub/private.h"

static struct feed_source *
source_of(struct subscription *sn)
{
	return LIST_ENTRY(sn, struct feed_source, sn);
}

static bool
is_recorded(const struct feed *fd)
{
	return fd->class->settings->record > 0;
}

static void
count_message(struct feed *fd)
{
	feed_heard(fd);
	counters_add_route(fd->class->out.counted, COUNTER_MESSAGES, 1);
}

/* All kinds */

static void
on_lost(struct subscription *sn)
{
	struct feed *fd = source_of(sn)->feed;
	struct feed_source *so;

	feed_deaf(fd);
	fd->n_unconfirmed = queue_is_ready(fd) ? 0 : 1;
	if (is_recorded(fd))
		recorded_forget(fd);
	for (so = fd->sources; so != NULL; so = so->next)
		fd->n_unconfirmed += !subscription_is_confirmed(&so->sn);
}

static void
on_confirmed(struct subscription *sn)
{
	feed_confirmed(source_of(sn)->feed);
}

/* It is tried again: who follows it waits, and its operator is told in the log. */
static void
on_refused(struct subscription *sn, const char *why)
{
	class_tell_refusal(source_of(sn)->feed->class, subscription_key(sn), why);
}

/* Channels and patterns */

static void
on_message(struct subscription *sn, struct message *msg, const struct stream_id *id)
{
	(void)id; /* it is recorded, which is nothing to this route */
	count_message(source_of(sn)->feed);
	feed_message(source_of(sn)->feed, msg);
}

static const struct subscription_ops channel_ops = {.on_message = on_message,
						    .on_confirmed = on_confirmed,
						    .on_refused = on_refused,
						    .on_lost = on_lost};

/* Recorded channels */

static void
on_recorded(struct subscription *sn, struct message *msg, const struct stream_id *id)
{
	count_message(source_of(sn)->feed);
	recorded_message(source_of(sn)->feed, source_of(sn), msg, id);
}

static void
on_recorded_confirmed(struct subscription *sn)
{
	recorded_confirmed(source_of(sn)->feed, source_of(sn));
}

static const struct subscription_ops recorded_ops = {.on_message = on_recorded,
						     .on_confirmed = on_recorded_confirmed,
						     .on_refused = on_refused,
						     .on_lost = on_lost};

/* Streams */

void
feed_advance(struct feed *fd, unsigned index, const struct stream_id *id)
{
	struct feed_more *more = fd->more;

	if (!feed_holds(fd))
		memcpy(more->settled, more->cursor, sizeof(more->settled));
	more->cursor[index] = *id;
}

/*
 * A client that has had what is held (it was sent it as it was ended) would have it twice, so all
 * others have it now. Any other gets it from the log, like all who are there.
 */
const struct stream_id *
feed_place(struct feed *fd, const struct stream_id *from)
{
	const struct feed_more *more = fd->more;
	unsigned i;

	if (!feed_holds(fd))
		return more->cursor;
	for (i = 0; from != NULL && i < more->n_streams; i++) {
		if (stream_id_compare(&from[i], &more->settled[i]) > 0) {
			pace_flush(&fd->more->pace);
			return more->cursor;
		}
	}
	return more->settled;
}

static unsigned
index_of(const struct feed_source *so)
{
	const struct feed_source *one;
	unsigned i = 0;

	for (one = so->feed->sources; one != so; one = one->next)
		i += subscription_kind(&one->sn) == SUBJECT_STREAM;
	return i;
}

static void
take_position(struct feed_source *so)
{
	struct feed_more *more = so->feed->more;
	unsigned index = index_of(so);

	more->cursor[index] = more->settled[index] = *subscription_place(&so->sn);
}

static void
on_positioned(struct subscription *sn)
{
	take_position(source_of(sn));
	feed_confirmed(source_of(sn)->feed);
}

static void
on_entry(struct subscription *sn, struct message *msg, const struct stream_id *id)
{
	struct feed *fd = source_of(sn)->feed;
	unsigned index = index_of(source_of(sn));

	count_message(fd);
	if (stream_id_compare(id, &fd->more->cursor[index]) <= 0)
		return; /* it subscribed later */
	feed_advance(fd, index, id);
	feed_message(fd, msg);
	replay_go_on(fd);
}

/* What was lost nobody can give: they are told, and go on where the stream does. */
void
feed_tell_change(struct feed *fd, enum stream_change change)
{
	static const char *const data[] = {
	    [STREAM_TRIMMED] = "{\"reason\":\"trimmed\"}",
	    [STREAM_BEGAN_ANEW] = "{\"reason\":\"unknown-id\"}",
	};

	feed_reset(fd, data[change]);
}

static void
on_change(struct subscription *sn, enum stream_change change)
{
	take_position(source_of(sn));
	feed_tell_change(source_of(sn)->feed, change);
}

static const struct subscription_ops stream_ops = {.on_message = on_entry,
						   .on_confirmed = on_positioned,
						   .on_refused = on_refused,
						   .on_lost = on_lost,
						   .on_change = on_change};

/* Queues: their stream, of which it counts only that it has grown, and the channel of what was
 * acknowledged. */

static void
on_growth(struct subscription *sn, struct message *msg, const struct stream_id *id)
{
	(void)msg; /* the group gives it */
	(void)id;
	count_message(source_of(sn)->feed);
	queue_grew(source_of(sn)->feed);
}

/* Or it began anew: the group knows what it has given. */
static void
on_queue_change(struct subscription *sn, enum stream_change change)
{
	(void)change;
	take_position(source_of(sn));
	queue_grew(source_of(sn)->feed);
}

static void
on_acked(struct subscription *sn, struct message *msg, const struct stream_id *id)
{
	(void)id;
	count_message(source_of(sn)->feed);
	queue_acked(source_of(sn)->feed, msg);
}

static const struct subscription_ops queue_ops = {.on_message = on_growth,
						  .on_confirmed = on_positioned,
						  .on_refused = on_refused,
						  .on_lost = on_lost,
						  .on_change = on_queue_change};

static const struct subscription_ops acked_ops = {.on_message = on_acked,
						  .on_confirmed = on_confirmed,
						  .on_refused = on_refused,
						  .on_lost = on_lost};

/* Keyspaces */

static void
on_operation(struct subscription *sn, struct message *msg, const struct stream_id *id)
{
	(void)id;
	count_message(source_of(sn)->feed);
	keyspace_told(source_of(sn)->feed, msg);
}

static const struct subscription_ops keyspace_ops = {.on_message = on_operation,
						     .on_confirmed = on_confirmed,
						     .on_refused = on_refused,
						     .on_lost = on_lost};

/* Following */

static const struct subscription_ops *
ops_of(const struct feed *fd, enum subject_kind kind)
{
	bool is_stream = kind == SUBJECT_STREAM;

	if (fd->class->handler->kind == HANDLER_QUEUE)
		return is_stream ? &queue_ops : &acked_ops;
	if (kind == SUBJECT_KEYSPACE)
		return &keyspace_ops;
	if (is_stream)
		return &stream_ops;
	return is_recorded(fd) ? &recorded_ops : &channel_ops;
}

static bool
follows(const struct feed *fd, enum subject_kind kind, const char *name)
{
	const struct feed_source *so;

	for (so = fd->sources; so != NULL; so = so->next) {
		if (subscription_kind(&so->sn) == kind &&
		    strcmp(subscription_name(&so->sn), name) == 0)
			return true;
	}
	return false;
}

/* A cursor holds so many IDs, of streams or of channels' logs, never of both. */
static int
may_follow(struct feed *fd, enum subject_kind kind)
{
	int rc;

	if (is_recorded(fd) && kind != SUBJECT_CHANNEL)
		return -EINVAL;
	if (kind != SUBJECT_STREAM && !is_recorded(fd))
		return 0;
	rc = more_new(fd);
	return rc == 0 && fd->more->n_streams == STREAM_CURSOR_MAX ? -E2BIG : rc;
}

/* As a subject that others follow already may be confirmed, nobody will tell. */
static void
begin(struct feed_source *so)
{
	const struct subscription_ops *ops = so->sn.ops;
	struct feed *fd = so->feed;

	if (ops == &stream_ops || ops == &recorded_ops)
		fd->more->n_streams++; /* that a client can resume */
	if (!subscription_is_confirmed(&so->sn)) {
		fd->n_unconfirmed++;
	} else if (ops == &recorded_ops) {
		fd->n_unconfirmed++; /* until it is known where its log stands */
		recorded_confirmed(fd, so);
	} else if (subscription_kind(&so->sn) == SUBJECT_STREAM) {
		take_position(so);
	}
}

int
feed_subscribe(struct feed *fd, enum subject_kind kind, const char *name)
{
	struct feed_source *so, **end;
	int rc;

	if ((rc = may_follow(fd, kind)) < 0)
		return rc;
	if (follows(fd, kind, name))
		return 0; /* two templates that come to the same name are one source */
	if ((so = calloc(1, sizeof(*so))) == NULL)
		return -ENOMEM;
	so->feed = fd;
	so->sn.ops = ops_of(fd, kind);
	if ((rc = subjects_follow(fd->class->hub->subjects, &so->sn, kind, name)) < 0) {
		free(so);
		return rc;
	}
	for (end = &fd->sources; *end != NULL; end = &(*end)->next)
		; /* in the order of subscribing, which is that of a cursor's IDs */
	*end = so;
	begin(so);
	return 0;
}

void
feed_unsubscribe(struct feed *fd)
{
	struct feed_source *so;

	while ((so = fd->sources) != NULL) {
		fd->sources = so->next;
		subjects_leave(&so->sn);
		free(so);
	}
}
