#include "redis/ear.h"

#include <errno.h>
#include <hiredis.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/counters.h"
#include "base/map.h"
#include "redis/sent.h"
#include "redis/slot_map.h"

enum { RETRY_MS = 500, REFUSED_MS = 1000 };

struct ear {
	struct link *link;
	const struct pubsub_ops *ops;
	void *ctx;
	struct map subjects[EAR_VERBS];
	struct buf sent;        /* queues of redis/sent */
	struct buf postponed;   /* commands that Redis refused because it was busy */
	struct buf refused;     /* commands that Redis does not permit, for now */
	uint64_t refused_at_ms; /* the loop's time when it is tried again */
	uv_timer_t retry;
};

/* For each verb: the commands, and the words of the replies. */
static const struct {
	const char *begin, *end, *begun, *ended, *message;
	size_t n; /* words of a message */
} verbs[] = {
    [EAR_CHANNEL] = {"SUBSCRIBE", "UNSUBSCRIBE", "subscribe", "unsubscribe", "message", 3},
    [EAR_PATTERN] = {"PSUBSCRIBE", "PUNSUBSCRIBE", "psubscribe", "punsubscribe", "pmessage", 4},
    [EAR_SHARD] = {"SSUBSCRIBE", "SUNSUBSCRIBE", "ssubscribe", "sunsubscribe", "smessage", 3},
};

/* Takes sent. Returns 0; or < 0, and then sent is over. */
static int
say(struct ear *ear, struct sent *sent)
{
	const char *const words[] = {
	    [SENT_SUBSCRIBE] = verbs[sent->verb].begin,
	    [SENT_UNSUBSCRIBE] = verbs[sent->verb].end,
	    [SENT_PING] = "PING",
	};
	const char *argv[2] = {words[sent->kind], sent->name};
	size_t lens[2] = {strlen(argv[0]), sent->len};
	int rc;

	if (sent->subject != NULL) {
		argv[1] = sent->subject->by_name.key;
		lens[1] = sent->subject->by_name.len;
		sent->subject->is_awaited = true;
	}
	if ((rc = buf_reserve(&ear->sent, sizeof(*sent))) < 0 ||
	    (rc = link_send(ear->link, (struct resp_words){sent->kind == SENT_PING ? 1 : 2, argv,
							   lens})) < 0) {
		sent_fini(sent);
		return rc;
	}
	return sent_keep(&ear->sent, sent);
}

/* Returns 0, or < 0 while the link is down: then everything is sent when it comes up. */
static int
send_one(struct ear *ear, enum sent_kind kind, struct pubsub_subject *subject)
{
	struct sent sent;

	if (!link_is_up(ear->link))
		return -ENOTCONN;
	if (sent_init(&sent, kind, subject) < 0)
		return -ENOMEM;
	return say(ear, &sent);
}

static void
send_all(struct ear *ear, struct map *map)
{
	struct map_node *node;

	for (node = map_first(map); node != NULL; node = map_next(map, node)) {
		if (send_one(ear, SENT_SUBSCRIBE,
			     MAP_ENTRY(node, struct pubsub_subject, by_name)) == -ENOMEM) {
			link_fail(ear->link, "out of memory");
			return;
		}
	}
}

static void
on_up(void *ctx)
{
	struct ear *ear = ctx;

	for (unsigned verb = 0; verb < EAR_VERBS; verb++)
		send_all(ear, &ear->subjects[verb]);
}

static void
forget_sent(struct ear *ear)
{
	sent_forget_all(&ear->sent);
	sent_forget_all(&ear->postponed);
	sent_forget_all(&ear->refused);
	uv_timer_stop(&ear->retry);
}

/*
 * Is the subscription still needed? The names that are subscribed now tell, whatever happened
 * before.
 */
static bool
is_wanted(const struct ear *ear, const struct sent *sent)
{
	if (sent->kind == SENT_SUBSCRIBE)
		return sent->subject != NULL;
	return ear_find(ear, sent->verb, sent->name, sent->len) == NULL;
}

/* Sends up to n commands of a queue again. Returns 0, or < 0: the link was given up. */
static int
say_again(struct ear *ear, struct buf *queue, size_t n)
{
	while (n > 0 && queue->len > 0) {
		struct sent sent = sent_take_oldest(queue);
		int rc;

		if (!is_wanted(ear, &sent)) {
			sent_fini(&sent);
			continue;
		}
		if ((rc = say(ear, &sent)) < 0) {
			link_fail(ear->link, "out of memory");
			return rc;
		}
		n--;
	}
	return 0;
}

/*
 * Of the commands that are not permitted one is tried each second, so that Redis is not asked in
 * vain; of very many a tenth. When one is confirmed, the others follow.
 */
static void
on_retry(uv_timer_t *timer)
{
	struct ear *ear = timer->data;
	uint64_t now = uv_now(timer->loop);

	if (say_again(ear, &ear->postponed, SIZE_MAX) < 0)
		return;
	if (now >= ear->refused_at_ms) {
		ear->refused_at_ms = now + REFUSED_MS;
		if (say_again(ear, &ear->refused, 1 + sent_count(&ear->refused) / 10) < 0)
			return;
	}
	if (ear->refused.len > 0)
		uv_timer_start(timer, on_retry, RETRY_MS, 0);
}

/* Both take sent, and return 0; or < 0: the link was given up. */
static int
keep_for_later(struct ear *ear, struct buf *queue, struct sent *sent)
{
	int rc = sent_keep(queue, sent);

	if (rc < 0)
		link_fail(ear->link, "out of memory");
	else if (!uv_is_active((uv_handle_t *)&ear->retry))
		uv_timer_start(&ear->retry, on_retry, RETRY_MS, 0);
	return rc;
}

static int
keep_refused(struct ear *ear, struct sent *sent)
{
	sent->was_refused = true;
	if (ear->refused_at_ms <= uv_now(ear->retry.loop))
		ear->refused_at_ms = uv_now(ear->retry.loop) + REFUSED_MS;
	return keep_for_later(ear, &ear->refused, sent);
}

static void
hasten_refused(struct ear *ear)
{
	ear->refused_at_ms = 0;
	if (ear->refused.len > 0)
		uv_timer_start(&ear->retry, on_retry, 0, 0);
}

static void
lose_all(struct map *map)
{
	struct map_node *node;

	for (node = map_first(map); node != NULL; node = map_next(map, node))
		MAP_ENTRY(node, struct pubsub_subject, by_name)->is_lost = true;
}

static void
on_down(void *ctx, const char *why)
{
	struct ear *ear = ctx;

	(void)why;
	forget_sent(ear);
	for (unsigned verb = 0; verb < EAR_VERBS; verb++)
		lose_all(&ear->subjects[verb]);
	ear->ops->on_lost(ear->ctx);
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
deliver(struct ear *ear, enum ear_verb verb, const redisReply *name, const redisReply *channel,
	const redisReply *data)
{
	struct pubsub_message msg;
	struct map_node *node;

	if (name->type != REDIS_REPLY_STRING || channel->type != REDIS_REPLY_STRING ||
	    data->type != REDIS_REPLY_STRING) {
		link_fail(ear->link, "a message of another shape than Redis's");
		return;
	}
	counters_add(COUNTER_MESSAGES, 1);
	if ((node = map_find(&ear->subjects[verb], name->str, name->len)) == NULL)
		return; /* the message was on its way when it was unsubscribed */
	msg.channel = channel->str;
	msg.channel_len = channel->len;
	msg.data = data->str;
	msg.data_len = data->len;
	ear->ops->on_message(ear->ctx, MAP_ENTRY(node, struct pubsub_subject, by_name), &msg);
}

/*
 * The answer belongs to the oldest command, which must be of this kind. Returns its subject, or
 * NULL.
 */
static struct pubsub_subject *
take_sent(struct ear *ear, enum sent_kind kind, bool *is_right)
{
	struct sent sent;

	*is_right = ear->sent.len > 0 && sent_oldest(&ear->sent)->kind == kind;
	if (!*is_right) {
		link_fail(ear->link, "it answered what nobody asked");
		return NULL;
	}
	sent = sent_take_oldest(&ear->sent);
	if (sent.was_refused)
		hasten_refused(ear);
	sent_fini(&sent);
	return sent.subject;
}

static void
on_answer(struct ear *ear, const redisReply *name)
{
	bool is_right;
	struct pubsub_subject *subject = take_sent(ear, SENT_SUBSCRIBE, &is_right);

	if (subject == NULL)
		return;
	if (name->type != REDIS_REPLY_STRING || name->len != subject->by_name.len ||
	    memcmp(name->str, subject->by_name.key, name->len) != 0)
		link_fail(ear->link, "it confirmed another name than the one asked for");
	else
		ear->ops->on_confirmed(ear->ctx, subject);
}

/*
 * BUSY means that a script runs for too long. It will end, and no subscription need be given up for
 * it.
 */
static bool
is_passing(const redisReply *error)
{
	return strncmp(error->str, "BUSY ", 5) == 0 || strncmp(error->str, "LOADING ", 8) == 0 ||
	       strncmp(error->str, "CLUSTERDOWN", 11) == 0;
}

/*
 * If an ACL refuses this name, only this subject is concerned; any other error concerns the link.
 */
static bool
is_fatal(const struct sent *sent, const redisReply *error)
{
	return sent->kind == SENT_SUBSCRIBE && !is_passing(error) &&
	       strncmp(error->str, "NOPERM ", 7) != 0;
}

/* The slot belongs to another node. */
static bool
is_elsewhere(const struct sent *sent, const redisReply *error)
{
	struct redirect to;

	return sent->kind == SENT_SUBSCRIBE && sent->verb == EAR_SHARD &&
	       redirect_read(&to, error) == REDIRECT_MOVED;
}

/*
 * The error belongs to the oldest command, which names one channel, so no other channel is refused.
 */
static void
on_error(struct ear *ear, const redisReply *reply)
{
	const struct sent *next = sent_oldest(&ear->sent);
	struct sent sent;

	if (next == NULL || (!is_elsewhere(next, reply) && is_fatal(next, reply))) {
		link_fail(ear->link, reply->str);
		return;
	}
	sent = sent_take_oldest(&ear->sent);
	if (is_elsewhere(&sent, reply)) {
		sent_fini(&sent);
		if (sent.subject != NULL)
			ear->ops->on_gone(ear->ctx, sent.subject, reply);
	} else if (sent.kind != SENT_PING && is_passing(reply)) {
		keep_for_later(ear, &ear->postponed, &sent);
	} else if (sent.subject != NULL) {
		if (keep_refused(ear, &sent) == 0)
			ear->ops->on_refused(ear->ctx, sent.subject, reply->str);
	} else {
		sent_fini(&sent);
	}
}

/* Did we ask to end the subscription of this name? */
static bool
is_our_end(const struct sent *next, enum ear_verb verb, const redisReply *name)
{
	return next != NULL && next->kind == SENT_UNSUBSCRIBE && next->verb == verb &&
	       name->type == REDIS_REPLY_STRING && next->len == name->len &&
	       memcmp(next->name, name->str, name->len) == 0;
}

/* The node has ended the subscription because the slot has moved; or we have ended it. */
static void
on_end(struct ear *ear, enum ear_verb verb, const redisReply *name)
{
	struct pubsub_subject *subject;
	bool is_right;

	if (verb != EAR_SHARD || is_our_end(sent_oldest(&ear->sent), verb, name))
		take_sent(ear, SENT_UNSUBSCRIBE, &is_right);
	else if (name->type != REDIS_REPLY_STRING)
		link_fail(ear->link, "a message of another shape than Redis's");
	else if ((subject = ear_find(ear, verb, name->str, name->len)) != NULL &&
		 !subject->is_awaited)
		ear->ops->on_gone(ear->ctx, subject, NULL);
}

/* Returns false if the reply is not of this verb. */
static bool
take_of(struct ear *ear, enum ear_verb verb, const redisReply *reply)
{
	const redisReply *const *e = (const redisReply *const *)reply->element;

	if (reply->elements == verbs[verb].n && is_text(e[0], verbs[verb].message))
		deliver(ear, verb, e[1], e[reply->elements - 2], e[reply->elements - 1]);
	else if (reply->elements == 3 && is_text(e[0], verbs[verb].begun))
		on_answer(ear, e[1]);
	else if (reply->elements == 3 && is_text(e[0], verbs[verb].ended))
		on_end(ear, verb, e[1]);
	else
		return false;
	return true;
}

static void
on_array(struct ear *ear, const redisReply *reply)
{
	unsigned n_verbs = ear->ops->on_gone != NULL ? EAR_VERBS : EAR_SHARD;
	bool is_right;

	for (unsigned verb = 0; verb < n_verbs; verb++) {
		if (take_of(ear, verb, reply))
			return;
	}
	if (reply->elements == 2 && is_text(reply->element[0], "pong"))
		take_sent(ear, SENT_PING, &is_right);
	else
		link_fail(ear->link, "a message of another shape than Redis's");
}

static void
on_reply(void *ctx, const redisReply *reply)
{
	struct ear *ear = ctx;
	bool is_right;

	switch (reply->type) {
	case REDIS_REPLY_ARRAY:
		on_array(ear, reply);
		break;
	case REDIS_REPLY_ERROR:
		on_error(ear, reply);
		break;
	case REDIS_REPLY_STATUS: /* the answer to PING while nothing is subscribed */
		take_sent(ear, SENT_PING, &is_right);
		break;
	default:
		link_fail(ear->link, "a message of another shape than Redis's");
	}
}

static const struct link_ops link_ops = {
    .on_up = on_up,
    .on_down = on_down,
    .on_reply = on_reply,
    .on_quiet = on_quiet,
};

int
ear_new(struct ear **out, uv_loop_t *loop, struct topology *tp, const struct pubsub_ops *ops,
	void *ctx)
{
	struct ear *ear = calloc(1, sizeof(*ear));
	int rc;

	if (ear == NULL)
		return -ENOMEM;
	ear->ops = ops;
	ear->ctx = ctx;
	for (unsigned verb = 0; verb < EAR_VERBS; verb++)
		map_init(&ear->subjects[verb]);
	buf_init(&ear->sent, BUF_CAP_MAX);
	buf_init(&ear->postponed, BUF_CAP_MAX);
	buf_init(&ear->refused, BUF_CAP_MAX);
	if ((rc = link_new(&ear->link, loop, "pub/sub", tp, &link_ops, ear)) < 0) {
		free(ear);
		return rc;
	}
	uv_timer_init(loop, &ear->retry);
	ear->retry.data = ear;
	*out = ear;
	return 0;
}

static void
on_retry_closed(uv_handle_t *retry)
{
	free(retry->data);
}

void
ear_free(struct ear *ear)
{
	if (ear == NULL)
		return;
	link_free(ear->link);
	forget_sent(ear);
	for (unsigned verb = 0; verb < EAR_VERBS; verb++)
		map_fini(&ear->subjects[verb]);
	uv_close((uv_handle_t *)&ear->retry, on_retry_closed);
}

bool
ear_is_up(const struct ear *ear)
{
	return link_is_up(ear->link);
}

int
ear_begin(struct ear *ear, struct pubsub_subject *subject, enum ear_verb verb, const char *name,
	  size_t len)
{
	int rc;

	subject->verb = (unsigned char)verb;
	subject->is_awaited = subject->is_lost = false;
	if ((rc = map_add(&ear->subjects[verb], &subject->by_name, name, len)) < 0)
		return rc;
	if (send_one(ear, SENT_SUBSCRIBE, subject) == -ENOMEM) {
		map_del(&ear->subjects[verb], &subject->by_name);
		return -ENOMEM;
	}
	return 0;
}

static void
stop_awaiting(struct ear *ear, struct pubsub_subject *subject)
{
	if (!subject->is_awaited)
		return;
	subject->is_awaited = false;
	(void)(sent_forget_subject(&ear->sent, subject) ||
	       sent_forget_subject(&ear->postponed, subject) ||
	       sent_forget_subject(&ear->refused, subject));
}

void
ear_forget(struct ear *ear, struct pubsub_subject *subject)
{
	stop_awaiting(ear, subject);
	map_del(&ear->subjects[subject->verb], &subject->by_name);
}

/* If memory is short and the command cannot be sent, further messages are ignored. */
void
ear_end(struct ear *ear, struct pubsub_subject *subject)
{
	stop_awaiting(ear, subject);
	send_one(ear, SENT_UNSUBSCRIBE, subject);
	map_del(&ear->subjects[subject->verb], &subject->by_name);
}

struct pubsub_subject *
ear_find(const struct ear *ear, enum ear_verb verb, const char *name, size_t len)
{
	struct map_node *node = map_find(&ear->subjects[verb], name, len);

	return node == NULL ? NULL : MAP_ENTRY(node, struct pubsub_subject, by_name);
}

struct pubsub_subject *
ear_first(const struct ear *ear)
{
	struct map_node *node;

	for (unsigned verb = 0; verb < EAR_VERBS; verb++) {
		if ((node = map_first(&ear->subjects[verb])) != NULL)
			return MAP_ENTRY(node, struct pubsub_subject, by_name);
	}
	return NULL;
}
