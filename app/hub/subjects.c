#include "hub/subjects.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/counters.h"
#include "hub/turn.h"
#include "logic/entry.h"
#include "redis/recorded.h"
#include "redis/topology.h"

struct subjects {
	uv_loop_t *loop;
	struct pubsub *pubsub;
	struct readers *readers;
	struct command *command; /* NULL: there is none to ask */
	const struct redis_settings *redis;
	struct turn *turn;
	struct list subscribed; /* subjects, without the streams */
};

/* A subject is one subscription in Redis, however many want it. */
struct subject {
	struct pubsub_subject remote;
	struct list of_subscribed;
	struct list subscriptions;
	char name[]; /* with the prefix */
};

/* A subject that is a stream: its remote.kind says so. */
struct stream_subject {
	struct reader_stream remote;
	struct subjects *of;
	struct subject subject; /* last, for its name */
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

/* Channels, patterns and changes of keys */

/* Each owner sees the channel without the prefix that was put before its own name. */
static void
tell_arrival(struct subject *subject, const struct pubsub_message *got, struct message *msg,
	     const struct stream_id *id)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &subject->subscriptions) {
		struct subscription *sn = subscription_of(node);
		size_t head = sn->head <= got->channel_len ? sn->head : 0;

		msg->channel = got->channel + head;
		msg->channel_len = got->channel_len - head;
		sn->ops->on_message(sn, msg, id);
	}
}

/*
 * A message of a recorded channel begins with its ID. It is taken off for everybody: a feed that
 * follows a pattern, or does not record, has no use for it.
 */
static void
on_message(void *ctx, struct pubsub_subject *remote, const struct pubsub_message *got)
{
	struct subjects *sj = ctx;
	struct message msg;
	struct stream_id id;
	size_t head = 0;
	bool has_id = recorded_parse(&id, &head, got->data, got->data_len);

	turn_note_arrival(sj->turn);
	if (!has_id)
		head = 0;
	message_init(&msg, got->channel, got->channel_len, got->data + head, got->data_len - head);
	tell_arrival(subject_of(remote), got, &msg, has_id ? &id : NULL);
	message_fini(&msg);
}

static void
confirm(struct subject *subject)
{
	struct list *node, *tmp;

	subject->remote.is_confirmed = true;
	LIST_FOREACH (node, tmp, &subject->subscriptions)
		subscription_of(node)->ops->on_confirmed(subscription_of(node));
}

static void
on_confirmed(void *ctx, struct pubsub_subject *remote)
{
	(void)ctx;
	if (!remote->is_confirmed)
		confirm(subject_of(remote));
}

static void
refuse(struct subject *subject, const char *why)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &subject->subscriptions)
		subscription_of(node)->ops->on_refused(subscription_of(node), why);
}

static void
on_refused(void *ctx, struct pubsub_subject *remote, const char *why)
{
	(void)ctx;
	refuse(subject_of(remote), why);
}

static void
tell_lost(struct subject *subject)
{
	struct list *one, *next;

	subject->remote.is_lost = false;
	LIST_FOREACH (one, next, &subject->subscriptions)
		subscription_of(one)->ops->on_lost(subscription_of(one));
}

/* First all become unconfirmed, then the owners are told, because one owner may have several. */
static void
on_lost(void *ctx)
{
	struct subjects *sj = ctx;
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &sj->subscribed) {
		struct subject *subject = LIST_ENTRY(node, struct subject, of_subscribed);

		if (subject->remote.is_lost)
			subject->remote.is_confirmed = false;
	}
	LIST_FOREACH (node, tmp, &sj->subscribed) {
		struct subject *subject = LIST_ENTRY(node, struct subject, of_subscribed);

		if (subject->remote.is_lost)
			tell_lost(subject);
	}
}

/* Redis is another server now: no subject is confirmed any more. */
static void
lose_all(struct subjects *sj)
{
	struct list *node;

	for (node = sj->subscribed.next; node != &sj->subscribed; node = node->next)
		LIST_ENTRY(node, struct subject, of_subscribed)->remote.is_lost = true;
	on_lost(sj);
}

/* Streams */

static struct stream_subject *
stream_of(struct reader_stream *remote)
{
	return LIST_ENTRY(remote, struct stream_subject, remote);
}

static struct subject *
subject_of_stream(struct reader_stream *remote)
{
	return &stream_of(remote)->subject;
}

static void
tell(struct subject *subject, struct message *msg, const struct stream_id *id)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &subject->subscriptions)
		subscription_of(node)->ops->on_message(subscription_of(node), msg, id);
}

static void
on_entry(struct reader_stream *remote, const struct stream_entry *entry)
{
	struct subject *subject = subject_of_stream(remote);
	struct subjects *sj = stream_of(remote)->of;
	size_t prefix = strlen(subjects_prefix(sj));
	struct entry en;

	turn_note_arrival(sj->turn);
	counters_add(COUNTER_MESSAGES, 1);
	if (entry_read(&en, subject->name + prefix, &entry->id, entry->fields) < 0) {
		counters_add(COUNTER_DROPPED_MEMORY, 1);
		return;
	}
	tell(subject, &en.msg, &entry->id);
	entry_fini(&en);
}

static void
on_stream_confirmed(struct reader_stream *remote)
{
	confirm(subject_of_stream(remote));
}

static void
on_stream_refused(struct reader_stream *remote, const char *why)
{
	refuse(subject_of_stream(remote), why);
}

static void
on_change(struct reader_stream *remote, enum stream_change change)
{
	struct subject *subject = subject_of_stream(remote);
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &subject->subscriptions)
		subscription_of(node)->ops->on_change(subscription_of(node), change);
}

static const struct readers_ops readers_ops = {
    .on_entry = on_entry,
    .on_confirmed = on_stream_confirmed,
    .on_refused = on_stream_refused,
    .on_loss = on_change,
};

static const struct pubsub_ops pubsub_ops = {
    .on_message = on_message,
    .on_confirmed = on_confirmed,
    .on_refused = on_refused,
    .on_lost = on_lost,
};

/* Life */

int
subjects_new(struct subjects **out, uv_loop_t *loop, struct topology *tp, struct turn *turn)
{
	struct subjects *sj = calloc(1, sizeof(*sj));
	int rc;

	if (sj == NULL)
		return -ENOMEM;
	sj->loop = loop;
	sj->redis = topology_settings(tp);
	sj->turn = turn;
	list_init(&sj->subscribed);
	if ((rc = readers_new(&sj->readers, loop, tp, &readers_ops)) < 0 ||
	    (rc = pubsub_new(&sj->pubsub, loop, tp, &pubsub_ops, sj)) < 0) {
		readers_free(sj->readers);
		free(sj);
		return rc;
	}
	*out = sj;
	return 0;
}

void
subjects_free(struct subjects *sj)
{
	if (sj == NULL)
		return;
	assert(list_is_empty(&sj->subscribed));
	pubsub_free(sj->pubsub);
	readers_free(sj->readers);
	free(sj);
}

int
subjects_set_redis(struct subjects *sj, struct topology *tp)
{
	struct readers *readers;
	struct pubsub *pubsub;
	int rc;

	if ((rc = readers_new(&readers, sj->loop, tp, &readers_ops)) < 0)
		return rc;
	if ((rc = pubsub_new(&pubsub, sj->loop, tp, &pubsub_ops, sj)) < 0) {
		readers_free(readers);
		return rc;
	}
	if ((rc = pubsub_adopt(pubsub, sj->pubsub)) < 0) {
		pubsub_free(pubsub);
		readers_free(readers);
		return rc;
	}
	readers_set_command(readers, sj->command);
	readers_adopt(readers, sj->readers);
	readers_free(sj->readers);
	sj->readers = readers;
	lose_all(sj);
	pubsub_free(sj->pubsub);
	sj->pubsub = pubsub;
	sj->redis = topology_settings(tp);
	return 0;
}

void
subjects_set_command(struct subjects *sj, struct command *command)
{
	sj->command = command;
	readers_set_command(sj->readers, command);
}

bool
subjects_are_up(const struct subjects *sj)
{
	return pubsub_is_up(sj->pubsub);
}

const struct redis_settings *
subjects_redis(const struct subjects *sj)
{
	return sj->redis;
}

const char *
subjects_prefix(const struct subjects *sj)
{
	return sj->redis->prefix;
}

static void
set_name(struct subject *subject, const struct buf *name)
{
	memcpy(subject->name, name->p, name->len);
	list_init(&subject->of_subscribed);
	list_init(&subject->subscriptions);
}

/* Finds the stream if it is followed already, or makes a new one. Returns 0, -ENOMEM. */
static int
get_stream(struct subject **out, struct subjects *sj, const struct buf *name)
{
	struct stream_subject *st = calloc(1, sizeof(*st) + name->len);
	struct reader_stream *remote;
	int rc;

	if (st == NULL)
		return -ENOMEM;
	st->of = sj;
	set_name(&st->subject, name);
	if ((remote = readers_find(sj->readers, st->subject.name, name->len - 1)) != NULL) {
		free(st);
		*out = subject_of_stream(remote);
		return 0;
	}
	st->subject.remote.kind = SUBJECT_STREAM;
	rc = readers_follow(sj->readers, &st->remote, st->subject.name, name->len - 1);
	if (rc < 0) {
		free(st);
		return rc;
	}
	*out = &st->subject;
	return 0;
}

/* Finds the subject if it is subscribed already, or makes a new one. Returns 0, -ENOMEM. */
static int
get_subject(struct subject **out, struct subjects *sj, enum subject_kind kind,
	    const struct buf *name)
{
	size_t len = name->len - 1;
	struct subject *subject;
	struct pubsub_subject *remote;
	int rc;

	if (kind == SUBJECT_STREAM)
		return get_stream(out, sj, name);
	if ((remote = pubsub_find(sj->pubsub, kind, name->p, len)) != NULL) {
		*out = subject_of(remote);
		return 0;
	}
	if ((subject = calloc(1, sizeof(*subject) + len + 1)) == NULL)
		return -ENOMEM;
	set_name(subject, name);
	if ((rc = pubsub_subscribe(sj->pubsub, &subject->remote, kind, subject->name, len)) < 0) {
		free(subject);
		return rc;
	}
	list_add_tail(&sj->subscribed, &subject->of_subscribed);
	*out = subject;
	return 0;
}

static void
free_if_unwanted(struct subjects *sj, struct subject *subject)
{
	struct stream_subject *st;

	if (!list_is_empty(&subject->subscriptions))
		return;
	if (subject->remote.kind == SUBJECT_STREAM) {
		st = LIST_ENTRY(subject, struct stream_subject, subject);
		readers_leave(sj->readers, &st->remote);
		free(st);
		return;
	}
	pubsub_unsubscribe(sj->pubsub, &subject->remote);
	list_del(&subject->of_subscribed);
	free(subject);
}

int
subjects_follow(struct subjects *sj, struct subscription *sn, enum subject_kind kind,
		const char *name)
{
	struct subject_name remote;
	int rc = subject_name_init(&remote, kind, sj->redis, name);

	if (rc == 0)
		rc = get_subject(&sn->subject, sj, remote.kind, &remote.text);
	subject_name_fini(&remote);
	if (rc < 0)
		return rc;
	sn->kind = (unsigned char)kind;
	sn->head = (uint16_t)remote.head; /* the whole is no longer than 16 bits say */
	sn->name_len = (uint16_t)strlen(name);
	list_init(&sn->of_subject);
	list_add_tail(&sn->subject->subscriptions, &sn->of_subject);
	return 0;
}

void
subjects_leave(struct subjects *sj, struct subscription *sn)
{
	struct subject *subject = sn->subject;

	if (subject == NULL)
		return;
	sn->subject = NULL;
	list_del(&sn->of_subject);
	free_if_unwanted(sj, subject);
}

/* Of one subscription */

enum subject_kind
subscription_kind(const struct subscription *sn)
{
	return sn->kind;
}

const char *
subscription_key(const struct subscription *sn)
{
	return sn->subject->name;
}

const char *
subscription_name(const struct subscription *sn)
{
	return sn->subject->name + strlen(sn->subject->name) - sn->name_len;
}

bool
subscription_is_confirmed(const struct subscription *sn)
{
	return sn->subject->remote.is_confirmed;
}

const struct stream_id *
subscription_place(const struct subscription *sn)
{
	return &LIST_ENTRY(sn->subject, struct stream_subject, subject)->remote.place.last;
}
