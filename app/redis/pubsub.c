#include "redis/pubsub.h"

#include <errno.h>
#include <hiredis.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/counters.h"
#include "base/list.h"
#include "base/map.h"

/* What was sent and is not answered yet. Redis answers in order; messages come in between. */
enum sent_kind { SENT_SUBSCRIBE, SENT_UNSUBSCRIBE, SENT_PING };

struct sent {
	struct list node;
	enum sent_kind kind;
	struct pubsub_subject *subject; /* of SUBSCRIBE; NULL: it was unsubscribed since */
};

struct pubsub {
	struct link *link;
	const struct redis_settings *rs;
	const struct pubsub_ops *ops;
	void *ctx;
	struct map channels, patterns;
	struct list sent;
};

static struct map *
map_of(struct pubsub *ps, enum subject_kind kind)
{
	return kind == SUBJECT_CHANNEL ? &ps->channels : &ps->patterns;
}

/* Returns 0, or < 0 while the link is down: then all is sent when it comes up. */
static int
send_one(struct pubsub *ps, enum sent_kind kind, struct pubsub_subject *subject)
{
	static const char *const verbs[][2] = {
	    [SENT_SUBSCRIBE] = {"SUBSCRIBE", "PSUBSCRIBE"},
	    [SENT_UNSUBSCRIBE] = {"UNSUBSCRIBE", "PUNSUBSCRIBE"},
	    [SENT_PING] = {"PING", "PING"},
	};
	const char *argv[2];
	size_t lens[2];
	struct sent *sent;
	int rc;

	if (!link_is_up(ps->link))
		return -ENOTCONN;
	if ((sent = calloc(1, sizeof(*sent))) == NULL)
		return -ENOMEM;
	argv[0] = verbs[kind][subject != NULL && subject->kind == SUBJECT_PATTERN];
	lens[0] = strlen(argv[0]);
	if (subject != NULL) {
		argv[1] = subject->by_name.key;
		lens[1] = subject->by_name.len;
	}
	if ((rc = link_send(ps->link, subject != NULL ? 2 : 1, argv, lens)) < 0) {
		free(sent);
		return rc;
	}
	sent->kind = kind;
	if (kind == SENT_SUBSCRIBE) {
		sent->subject = subject;
		subject->awaited = sent;
	}
	list_add_tail(&ps->sent, &sent->node);
	return 0;
}

static void
send_all(struct pubsub *ps, struct map *map)
{
	struct map_node *node;

	for (node = map_first(map); node != NULL; node = map_next(map, node)) {
		if (send_one(ps, SENT_SUBSCRIBE, MAP_ENTRY(node, struct pubsub_subject, by_name)) ==
		    -ENOMEM) {
			link_fail(ps->link, "out of memory");
			return;
		}
	}
}

static void
on_up(void *ctx)
{
	struct pubsub *ps = ctx;

	send_all(ps, &ps->channels);
	send_all(ps, &ps->patterns);
}

static void
forget_sent(struct pubsub *ps)
{
	while (!list_is_empty(&ps->sent)) {
		struct sent *sent = LIST_ENTRY(ps->sent.next, struct sent, node);

		if (sent->subject != NULL)
			sent->subject->awaited = NULL;
		list_del(&sent->node);
		free(sent);
	}
}

static void
on_down(void *ctx, const char *why)
{
	struct pubsub *ps = ctx;

	(void)why;
	forget_sent(ps);
	ps->ops->on_lost(ps->ctx);
}

static void
on_quiet(void *ctx)
{
	send_one(ctx, SENT_PING, NULL);
}

static bool
is_text(const redisReply *r, const char *text)
{
	return (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS) &&
	       strcasecmp(r->str, text) == 0;
}

static void
deliver(struct pubsub *ps, enum subject_kind kind, const redisReply *name,
	const redisReply *channel, const redisReply *data)
{
	struct pubsub_message msg;
	struct map_node *node;
	size_t prefix = strlen(ps->rs->prefix);

	if (name->type != REDIS_REPLY_STRING || channel->type != REDIS_REPLY_STRING ||
	    data->type != REDIS_REPLY_STRING) {
		link_fail(ps->link, "a message of another shape than Redis's");
		return;
	}
	counters_add(COUNTER_MESSAGES, 1);
	if ((node = map_find(map_of(ps, kind), name->str, name->len)) == NULL)
		return; /* on its way when it was unsubscribed */
	if (channel->len < prefix)
		prefix = 0;
	msg.channel = channel->str + prefix;
	msg.channel_len = channel->len - prefix;
	msg.data = data->str;
	msg.data_len = data->len;
	ps->ops->on_message(MAP_ENTRY(node, struct pubsub_subject, by_name), &msg);
}

/* The answer to the oldest of what was sent, which must be of this kind. Returns its subject, or
 * NULL. */
static struct pubsub_subject *
take_sent(struct pubsub *ps, enum sent_kind kind, bool *is_right)
{
	struct sent *sent = LIST_ENTRY(ps->sent.next, struct sent, node);
	struct pubsub_subject *subject;

	*is_right = !list_is_empty(&ps->sent) && sent->kind == kind;
	if (!*is_right) {
		link_fail(ps->link, "it answered what nobody asked");
		return NULL;
	}
	if ((subject = sent->subject) != NULL)
		subject->awaited = NULL;
	list_del(&sent->node);
	free(sent);
	return subject;
}

static void
on_answer(struct pubsub *ps, enum sent_kind kind, const redisReply *name)
{
	bool is_right;
	struct pubsub_subject *subject = take_sent(ps, kind, &is_right);

	if (subject == NULL)
		return;
	if (name == NULL || name->type != REDIS_REPLY_STRING || name->len != subject->by_name.len ||
	    memcmp(name->str, subject->by_name.key, name->len) != 0)
		link_fail(ps->link, "it confirmed another name than the one asked for");
	else
		ps->ops->on_confirmed(subject);
}

/* Only of the oldest command: an ACL refuses one name, and Redis that is loading or busy all of
 * them. */
static void
on_error(struct pubsub *ps, const redisReply *reply)
{
	struct sent *sent = LIST_ENTRY(ps->sent.next, struct sent, node);
	struct pubsub_subject *subject;
	bool is_right;

	if (list_is_empty(&ps->sent)) {
		link_fail(ps->link, reply->str);
		return;
	}
	if (sent->kind == SENT_SUBSCRIBE && strncmp(reply->str, "NOPERM", 6) != 0) {
		link_fail(ps->link, reply->str);
		return;
	}
	subject = take_sent(ps, sent->kind, &is_right);
	if (subject != NULL)
		ps->ops->on_refused(subject, reply->str);
}

static void
on_array(struct pubsub *ps, const redisReply *reply)
{
	const redisReply *const *e = (const redisReply *const *)reply->element;
	bool is_right;

	if (reply->elements == 3 && is_text(e[0], "message"))
		deliver(ps, SUBJECT_CHANNEL, e[1], e[1], e[2]);
	else if (reply->elements == 4 && is_text(e[0], "pmessage"))
		deliver(ps, SUBJECT_PATTERN, e[1], e[2], e[3]);
	else if (reply->elements == 3 &&
		 (is_text(e[0], "subscribe") || is_text(e[0], "psubscribe")))
		on_answer(ps, SENT_SUBSCRIBE, e[1]);
	else if (reply->elements == 3 &&
		 (is_text(e[0], "unsubscribe") || is_text(e[0], "punsubscribe")))
		on_answer(ps, SENT_UNSUBSCRIBE, NULL);
	else if (reply->elements == 2 && is_text(e[0], "pong"))
		take_sent(ps, SENT_PING, &is_right);
	else
		link_fail(ps->link, "a message of another shape than Redis's");
}

static void
on_reply(void *ctx, const redisReply *reply)
{
	struct pubsub *ps = ctx;
	bool is_right;

	switch (reply->type) {
	case REDIS_REPLY_ARRAY:
		on_array(ps, reply);
		break;
	case REDIS_REPLY_ERROR:
		on_error(ps, reply);
		break;
	case REDIS_REPLY_STATUS: /* PING while nothing is subscribed */
		take_sent(ps, SENT_PING, &is_right);
		break;
	default:
		link_fail(ps->link, "a message of another shape than Redis's");
	}
}

static const struct link_ops link_ops = {
    .on_up = on_up,
    .on_down = on_down,
    .on_reply = on_reply,
    .on_quiet = on_quiet,
};

int
pubsub_new(struct pubsub **out, uv_loop_t *loop, const struct redis_settings *rs,
	   const struct pubsub_ops *ops, void *ctx)
{
	struct pubsub *ps = calloc(1, sizeof(*ps));
	int rc;

	if (ps == NULL)
		return -ENOMEM;
	ps->rs = rs;
	ps->ops = ops;
	ps->ctx = ctx;
	map_init(&ps->channels);
	map_init(&ps->patterns);
	list_init(&ps->sent);
	if ((rc = link_new(&ps->link, loop, "pub/sub", rs, &link_ops, ps)) < 0) {
		free(ps);
		return rc;
	}
	*out = ps;
	return 0;
}

void
pubsub_free(struct pubsub *ps)
{
	if (ps == NULL)
		return;
	link_free(ps->link);
	forget_sent(ps);
	counters_add(COUNTER_SUBJECTS, -(int64_t)(ps->channels.n + ps->patterns.n));
	map_fini(&ps->channels);
	map_fini(&ps->patterns);
	free(ps);
}

bool
pubsub_is_up(const struct pubsub *ps)
{
	return link_is_up(ps->link);
}

int
pubsub_subscribe(struct pubsub *ps, struct pubsub_subject *subject, enum subject_kind kind,
		 const char *name, size_t len)
{
	int rc;

	subject->kind = (unsigned char)kind;
	subject->awaited = NULL;
	if ((rc = map_add(map_of(ps, kind), &subject->by_name, name, len)) < 0)
		return rc;
	if (send_one(ps, SENT_SUBSCRIBE, subject) == -ENOMEM) {
		map_del(map_of(ps, kind), &subject->by_name);
		return -ENOMEM;
	}
	counters_add(COUNTER_SUBJECTS, 1);
	return 0;
}

/* Should the command not be sent for want of memory, messages go on coming and are ignored. */
void
pubsub_unsubscribe(struct pubsub *ps, struct pubsub_subject *subject)
{
	if (subject->awaited != NULL)
		subject->awaited->subject = NULL;
	send_one(ps, SENT_UNSUBSCRIBE, subject);
	map_del(map_of(ps, subject->kind), &subject->by_name);
	counters_add(COUNTER_SUBJECTS, -1);
}

struct pubsub_subject *
pubsub_find(const struct pubsub *ps, enum subject_kind kind, const char *name, size_t len)
{
	struct map_node *node =
	    map_find(kind == SUBJECT_CHANNEL ? &ps->channels : &ps->patterns, name, len);

	return node == NULL ? NULL : MAP_ENTRY(node, struct pubsub_subject, by_name);
}

/* What was sent by the other is forgotten with it; here all is sent when the link comes up. */
void
pubsub_adopt(struct pubsub *ps, struct pubsub *from)
{
	struct map none;

	forget_sent(from);
	map_init(&none);
	ps->channels = from->channels;
	ps->patterns = from->patterns;
	from->channels = from->patterns = none;
	counters_add(COUNTER_SUBJECTS, (int64_t)(ps->channels.n + ps->patterns.n));
}
