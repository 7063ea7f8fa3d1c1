/*
 * source.c - has a feed follow its subjects: each once, by the kind of source that the kind of feed
 * has for it.
 */
#include "hub/source.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "hub/feed_logic.h"
#include "hub/pace.h"
#include "hub/refusal.h"
#include "hub/silence.h"

enum { EXPANDED_NAME_MAX = 16 * 1024 };

static struct source *
source_of(struct subscription *sn)
{
	return LIST_ENTRY(sn, struct source, sn);
}

/* What subjects tell */

static void
on_message(struct subscription *sn, struct message *msg, const struct stream_id *id)
{
	struct source *so = source_of(sn);

	feed_heard(so->feed);
	counters_add_route(so->feed->class->out.counted, COUNTER_MESSAGES, 1);
	source_kind(so)->message(so, msg, id);
}

static void
on_confirmed(struct subscription *sn)
{
	struct source *so = source_of(sn);

	if (source_kind(so)->confirmed != NULL)
		source_kind(so)->confirmed(so);
	else
		source_ready(so);
}

static void
on_lost(struct subscription *sn)
{
	struct source *so = source_of(sn);

	feed_deaf(so->feed);
	source_await(so);
	if (source_kind(so)->lost != NULL)
		source_kind(so)->lost(so);
}

/* It is tried again. Meanwhile the subscribers wait, and the log says why. */
static void
on_refused(struct subscription *sn, const char *why)
{
	class_tell_refusal(source_of(sn)->feed->class, subscription_key(sn), why);
}

static void
on_change(struct subscription *sn, enum stream_change change)
{
	source_kind(source_of(sn))->changed(source_of(sn), change);
}

static const struct subscription_ops ops = {.on_message = on_message,
					    .on_confirmed = on_confirmed,
					    .on_refused = on_refused,
					    .on_lost = on_lost,
					    .on_change = on_change};

void
source_ready(struct source *so)
{
	if (!so->sn.is_awaited)
		return;
	so->sn.is_awaited = false;
	feed_confirmed(so->feed);
}

void
source_await(struct source *so)
{
	if (so->sn.is_awaited)
		return;
	so->sn.is_awaited = true;
	feed_await(so->feed);
}

const char *
source_name(const struct source *so)
{
	return subscription_name(&so->sn);
}

void
source_print_key(char key[STREAM_KEY_MAX], const struct source *so)
{
	snprintf(key, STREAM_KEY_MAX, "%s%s", subscription_key(&so->sn),
		 source_kind(so)->suffix != NULL ? source_kind(so)->suffix : "");
}

/* Places */

void
source_take_position(struct source *so)
{
	struct cursor *c = so->feed->cursor;

	c->at[so->sn.index] = c->settled[so->sn.index] = *subscription_place(&so->sn);
}

void
source_advance(struct source *so, const struct stream_id *id)
{
	struct cursor *c = so->feed->cursor;

	if (!feed_holds(so->feed))
		memcpy(c->settled, c->at, sizeof(c->settled));
	c->at[so->sn.index] = *id;
}

struct source *
feed_source_at(const struct feed *fd, unsigned index)
{
	struct source *so = fd->sources;

	while (!source_kind(so)->is_resumable || so->sn.index != index)
		so = so->next;
	return so;
}

/* Following */

static bool
follows(const struct feed *fd, enum subject_kind kind, const char *name)
{
	const struct source *so;

	for (so = fd->sources; so != NULL; so = so->next) {
		if (subscription_kind(&so->sn) == kind && strcmp(source_name(so), name) == 0)
			return true;
	}
	return false;
}

/* A cursor holds a limited number of IDs. */
static int
make_room(struct feed *fd)
{
	if (fd->cursor == NULL && (fd->cursor = calloc(1, sizeof(*fd->cursor))) == NULL)
		return -ENOMEM;
	return fd->cursor->n < STREAM_CURSOR_MAX ? 0 : -E2BIG;
}

static int
source_new(struct source **out, struct feed *fd, enum subject_kind sort)
{
	const struct source_kind *kind = fd->class->kind->follows[sort];
	struct source *so;
	int rc;

	if (kind->is_resumable && (rc = make_room(fd)) < 0)
		return rc;
	if ((so = calloc(1, kind->size > 0 ? kind->size : sizeof(*so))) == NULL)
		return -ENOMEM;
	so->sn.ops = &ops;
	so->sn.kind = (unsigned char)sort;
	so->feed = fd;
	*out = so;
	return 0;
}

/* Sources stand in the order of subscribing, which is the order of the IDs in a cursor. */
static void
add(struct feed *fd, struct source *so, const char *name)
{
	struct source **end;

	for (end = &fd->sources; *end != NULL; end = &(*end)->next)
		;
	*end = so;
	if (source_kind(so)->is_resumable) {
		so->sn.index = (unsigned char)fd->cursor->n;
		cursor_add(fd->cursor, name, fd->class->settings->is_of_user);
	}
	if (!subscription_is_confirmed(&so->sn))
		source_await(so);
	if (source_kind(so)->begin != NULL)
		source_kind(so)->begin(so);
}

int
feed_follow(struct feed *fd, enum subject_kind sort, const char *name)
{
	struct source *so;
	int rc;

	if (fd->class->kind->follows[sort] == NULL)
		return -EINVAL;
	if (follows(fd, sort, name))
		return 0; /* two templates with the same result are one source */
	if ((rc = source_new(&so, fd, sort)) < 0)
		return rc;
	if ((rc = subjects_follow(fd->class->hub->subjects, &so->sn, sort, name)) < 0) {
		free(so);
		return rc;
	}
	add(fd, so, name);
	return 0;
}

void
feed_unfollow(struct feed *fd)
{
	struct source *so;

	while ((so = fd->sources) != NULL) {
		fd->sources = so->next;
		subjects_leave(fd->class->hub->subjects, &so->sn);
		if (source_kind(so)->end != NULL)
			source_kind(so)->end(so);
		else
			free(so);
	}
	free(fd->cursor);
	fd->cursor = NULL;
}

/* For a handler: the name came from a request. Returns 0, or an HTTP status. */
static int
follow_name(struct feed *fd, enum subject_kind kind, const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > SUBJECT_NAME_MAX)
		return HTTP_BAD_REQUEST;
	return feed_follow(fd, kind, name) == 0 ? 0 : HTTP_INTERNAL_ERROR;
}

int
feed_subject_of(struct feed *fd, enum subject_kind kind, const struct template *t)
{
	const struct template_scope scope = {.params = fd->params};
	struct buf name;
	int status = HTTP_INTERNAL_ERROR;

	buf_init(&name, EXPANDED_NAME_MAX);
	if (template_expand(t, &scope, &name) == 0 && buf_putc(&name, '\0') == 0)
		status = follow_name(fd, kind, name.p);
	buf_fini(&name);
	return status;
}

/* What handlers call (sluice/handler.h). */

__attribute__((format(printf, 3, 0))) static int
follow(struct feed *fd, enum subject_kind kind, const char *fmt, va_list ap)
{
	char name[SUBJECT_NAME_MAX + 1];
	int len = vsnprintf(name, sizeof(name), fmt, ap);

	if (len < 0 || (size_t)len >= sizeof(name))
		return HTTP_BAD_REQUEST;
	return follow_name(fd, kind, name);
}

int
feed_stream(struct feed *fd, const char *fmt, ...)
{
	va_list ap;
	int status;

	va_start(ap, fmt);
	status = follow(fd, SUBJECT_STREAM, fmt, ap);
	va_end(ap);
	return status;
}

int
feed_channel(struct feed *fd, const char *fmt, ...)
{
	va_list ap;
	int status;

	va_start(ap, fmt);
	status = follow(fd, SUBJECT_CHANNEL, fmt, ap);
	va_end(ap);
	return status;
}

int
feed_pattern(struct feed *fd, const char *fmt, ...)
{
	va_list ap;
	int status;

	va_start(ap, fmt);
	status = follow(fd, SUBJECT_PATTERN, fmt, ap);
	va_end(ap);
	return status;
}

int
feed_keyspace(struct feed *fd, const char *fmt, ...)
{
	va_list ap;
	int status;

	va_start(ap, fmt);
	status = follow(fd, SUBJECT_KEYSPACE, fmt, ap);
	va_end(ap);
	return status;
}

const char *
feed_channel_name(const struct feed *fd, unsigned n)
{
	const struct source *so;

	for (so = fd->sources; so != NULL; so = so->next) {
		if (subscription_kind(&so->sn) == SUBJECT_CHANNEL && n-- == 0)
			return source_name(so);
	}
	return NULL;
}

/* Of the whole worker */

struct hub_part *
hub_find_part(const struct hub *hub, const struct hub_part_ops *which)
{
	const struct list *node;

	for (node = hub->parts.next; node != &hub->parts; node = node->next) {
		struct hub_part *part = LIST_ENTRY(node, struct hub_part, of_hub);

		if (part->ops == which)
			return part;
	}
	return NULL;
}

void
hub_add_part(struct hub *hub, struct hub_part *part)
{
	list_init(&part->of_hub);
	list_add_tail(&hub->parts, &part->of_hub);
}
