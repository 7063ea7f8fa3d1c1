#include "redis/pubsub.h"

#include <errno.h>
#include <hiredis.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/counters.h"
#include "base/list.h"
#include "base/map.h"

enum { RETRY_MS = 500, REFUSED_MS = 1000 };

/* What was sent and is not answered yet. Redis answers in order; messages come in between. */
enum sent_kind { SENT_SUBSCRIBE, SENT_UNSUBSCRIBE, SENT_PING };

struct sent {
	struct list node;
	enum sent_kind kind;
	struct pubsub_subject *subject; /* of SUBSCRIBE; NULL: it was unsubscribed since */
	unsigned char subject_kind;
	bool was_refused;
	uint32_t len;
	char name[]; /* of UNSUBSCRIBE, whose subject is gone */
};

struct pubsub {
	struct link *link;
	const struct redis_settings *rs;
	const struct pubsub_ops *ops;
	void *ctx;
	struct map channels, patterns;
	struct list sent;
	struct list postponed; /* what a busy Redis refused */
	struct list refused;   /* what Redis does not permit, for now */
	unsigned n_refused;
	uint64_t refused_at_ms; /* of the loop: when to try again */
	uv_timer_t retry;
};

static struct map *
map_of(struct pubsub *ps, enum subject_kind kind)
{
	return kind == SUBJECT_CHANNEL ? &ps->channels : &ps->patterns;
}

static struct sent *
sent_new(enum sent_kind kind, struct pubsub_subject *subject)
{
	size_t len = kind == SENT_UNSUBSCRIBE ? subject->by_name.len : 0;
	struct sent *sent = calloc(1, sizeof(*sent) + len);

	if (sent == NULL)
		return NULL;
	list_init(&sent->node);
	sent->kind = kind;
	sent->len = (uint32_t)len;
	if (kind == SENT_SUBSCRIBE)
		sent->subject = subject;
	if (kind == SENT_UNSUBSCRIBE)
		memcpy(sent->name, subject->by_name.key, len);
	if (subject != NULL)
		sent->subject_kind = subject->kind;
	return sent;
}

static void
sent_free(struct sent *sent)
{
	if (sent->subject != NULL)
		sent->subject->awaited = NULL;
	list_del(&sent->node);
	free(sent);
}

/* Takes sent, which is in no list. Returns 0; or < 0, and sent is freed. */
static int
say(struct pubsub *ps, struct sent *sent)
{
	static const char *const verbs[][2] = {
	    [SENT_SUBSCRIBE] = {"SUBSCRIBE", "PSUBSCRIBE"},
	    [SENT_UNSUBSCRIBE] = {"UNSUBSCRIBE", "PUNSUBSCRIBE"},
	    [SENT_PING] = {"PING", "PING"},
	};
	const char *argv[2] = {verbs[sent->kind][sent->subject_kind], sent->name};
	size_t lens[2] = {strlen(argv[0]), sent->len};
	int rc;

	if (sent->subject != NULL) {
		argv[1] = sent->subject->by_name.key;
		lens[1] = sent->subject->by_name.len;
		sent->subject->awaited = sent;
	}
	if ((rc = link_send(ps->link, sent->kind == SENT_PING ? 1 : 2, argv, lens)) < 0)
		sent_free(sent);
	else
		list_add_tail(&ps->sent, &sent->node);
	return rc;
}

/* Returns 0, or < 0 while the link is down: then all is sent when it comes up. */
static int
send_one(struct pubsub *ps, enum sent_kind kind, struct pubsub_subject *subject)
{
	struct sent *sent;

	if (!link_is_up(ps->link))
		return -ENOTCONN;
	if ((sent = sent_new(kind, subject)) == NULL)
		return -ENOMEM;
	return say(ps, sent);
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
	list_splice_tail(&ps->sent, &ps->postponed);
	list_splice_tail(&ps->sent, &ps->refused);
	ps->n_refused = 0;
	while (!list_is_empty(&ps->sent))
		sent_free(LIST_ENTRY(ps->sent.next, struct sent, node));
	uv_timer_stop(&ps->retry);
}

/* Is what it asked for still wanted? The names that are subscribed tell, whatever the order was. */
static bool
is_wanted(const struct pubsub *ps, const struct sent *sent)
{
	if (sent->kind == SENT_SUBSCRIBE)
		return sent->subject != NULL;
	return pubsub_find(ps, sent->subject_kind, sent->name, sent->len) == NULL;
}

/* Up to n of what stands in a list is said again. Returns 0, or < 0: the link was given up. */
static int
say_again(struct pubsub *ps, struct list *list, unsigned n)
{
	while (n > 0 && !list_is_empty(list)) {
		struct sent *sent = LIST_ENTRY(list->next, struct sent, node);
		int rc;

		if (list == &ps->refused)
			ps->n_refused--;
		if (!is_wanted(ps, sent)) {
			sent_free(sent);
			continue;
		}
		list_del(&sent->node);
		if ((rc = say(ps, sent)) < 0) {
			link_fail(ps->link, "out of memory");
			return rc;
		}
		n--;
	}
	return 0;
}

/*
 * Of what is not permitted one is tried each second, so that Redis is not asked for nothing; of
 * very many a tenth. Once one is confirmed the others follow.
 */
static void
on_retry(uv_timer_t *timer)
{
	struct pubsub *ps = timer->data;
	uint64_t now = uv_now(timer->loop);

	if (say_again(ps, &ps->postponed, UINT_MAX) < 0)
		return;
	if (now >= ps->refused_at_ms) {
		ps->refused_at_ms = now + REFUSED_MS;
		if (say_again(ps, &ps->refused, 1 + ps->n_refused / 10) < 0)
			return;
	}
	if (!list_is_empty(&ps->refused))
		uv_timer_start(timer, on_retry, RETRY_MS, 0);
}

static void
keep_refused(struct pubsub *ps, struct sent *sent)
{
	list_move_tail(&ps->refused, &sent->node);
	ps->n_refused++;
	sent->was_refused = true;
	if (ps->refused_at_ms <= uv_now(ps->retry.loop))
		ps->refused_at_ms = uv_now(ps->retry.loop) + REFUSED_MS;
	if (!uv_is_active((uv_handle_t *)&ps->retry))
		uv_timer_start(&ps->retry, on_retry, RETRY_MS, 0);
}

static void
hasten_refused(struct pubsub *ps)
{
	ps->refused_at_ms = 0;
	if (!list_is_empty(&ps->refused))
		uv_timer_start(&ps->retry, on_retry, 0, 0);
}

static void
postpone(struct pubsub *ps, struct sent *sent)
{
	list_move_tail(&ps->postponed, &sent->node);
	if (!uv_is_active((uv_handle_t *)&ps->retry))
		uv_timer_start(&ps->retry, on_retry, RETRY_MS, 0);
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

	if (name->type != REDIS_REPLY_STRING || channel->type != REDIS_REPLY_STRING ||
	    data->type != REDIS_REPLY_STRING) {
		link_fail(ps->link, "a message of another shape than Redis's");
		return;
	}
	counters_add(COUNTER_MESSAGES, 1);
	if ((node = map_find(map_of(ps, kind), name->str, name->len)) == NULL)
		return; /* on its way when it was unsubscribed */
	msg.channel = channel->str;
	msg.channel_len = channel->len;
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
	subject = sent->subject;
	if (sent->was_refused)
		hasten_refused(ps);
	sent_free(sent);
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

/* BUSY: a script runs for too long. It passes, and nobody's subscription is lost by it. */
static bool
is_passing(const redisReply *error)
{
	return strncmp(error->str, "BUSY ", 5) == 0 || strncmp(error->str, "LOADING ", 8) == 0;
}

/* An ACL refuses this name; anything else is the link's trouble. */
static bool
is_fatal(const struct sent *sent, const redisReply *error)
{
	return sent->kind == SENT_SUBSCRIBE && !is_passing(error) &&
	       strncmp(error->str, "NOPERM ", 7) != 0;
}

/* It is about the oldest command alone, which names one channel: nobody else's is refused by it. */
static void
on_error(struct pubsub *ps, const redisReply *reply)
{
	struct sent *sent = LIST_ENTRY(ps->sent.next, struct sent, node);
	struct pubsub_subject *subject;

	if (list_is_empty(&ps->sent) || is_fatal(sent, reply)) {
		link_fail(ps->link, reply->str);
	} else if (sent->kind != SENT_PING && is_passing(reply)) {
		postpone(ps, sent);
	} else if ((subject = sent->subject) != NULL) {
		keep_refused(ps, sent);
		ps->ops->on_refused(subject, reply->str);
	} else {
		sent_free(sent);
	}
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
pubsub_new(struct pubsub **out, uv_loop_t *loop, struct topology *tp, const struct pubsub_ops *ops,
	   void *ctx)
{
	struct pubsub *ps = calloc(1, sizeof(*ps));
	int rc;

	if (ps == NULL)
		return -ENOMEM;
	ps->rs = topology_settings(tp);
	ps->ops = ops;
	ps->ctx = ctx;
	map_init(&ps->channels);
	map_init(&ps->patterns);
	list_init(&ps->sent);
	list_init(&ps->postponed);
	list_init(&ps->refused);
	if ((rc = link_new(&ps->link, loop, "pub/sub", tp, &link_ops, ps)) < 0) {
		free(ps);
		return rc;
	}
	uv_timer_init(loop, &ps->retry);
	ps->retry.data = ps;
	*out = ps;
	return 0;
}

static void
on_retry_closed(uv_handle_t *retry)
{
	free(retry->data);
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
	uv_close((uv_handle_t *)&ps->retry, on_retry_closed);
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
}
