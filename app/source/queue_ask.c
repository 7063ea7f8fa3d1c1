#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "base/counters.h"
#include "base/logger.h"
#include "source/queue_private.h"
#include "hub/refusal.h"
#include "redis/command.h"
#include "redis/group.h"
#include "redis/stream_entry.h"

enum {
	ASK_MAX = 256,  /* how many entries are asked for at a time */
	ACK_MAX = 256,  /* and acknowledged */
	CLAIM_MAX = 64, /* and claimed */
	/* a consumer is swept only if it has asked for nothing for this long */
	SWEEP_MIN_MS = 5000,
};

static uint64_t
now_ms(const struct queue *q)
{
	return uv_now(q->tick.loop);
}

/* One of the expected answers has come. Returns whether anybody still needs it. */
static bool
is_answered(struct queue *q, enum queue_command which)
{
	q->in_flight &= ~(unsigned)which;
	q->n_pending--;
	if (q->feed != NULL)
		return true;
	queue_free_if_done(q);
	return false;
}

static bool
is_sent(const struct queue *q, enum queue_command which)
{
	return (q->in_flight & which) != 0;
}

static bool
send_command(struct queue *q, enum queue_command which, command_fn fn, struct resp_words words)
{
	struct command *command = q->feed->class->hub->command;

	if (command == NULL || command_send(command, fn, q, words) < 0)
		return false;
	q->in_flight |= which;
	q->n_pending++;
	return true;
}

static bool
is_error(const redisReply *reply, const char *word)
{
	return reply != NULL && reply->type == REDIS_REPLY_ERROR &&
	       strncmp(reply->str, word, strlen(word)) == 0;
}

static void
see_refusal(struct queue *q, const redisReply *reply)
{
	bool is_refused = reply != NULL && reply->type == REDIS_REPLY_ERROR &&
			  !stream_reply_is_passing(reply) && !is_error(reply, "NOGROUP");

	if (reply != NULL)
		q->is_refused = is_refused;
	if (is_refused)
		class_tell_refusal(q->feed->class, q->key, reply->str);
}

/*
 * The queue cannot work without this command. If Redis refuses it, it is not asked again for a
 * while.
 */
static void
see_vital_refusal(struct queue *q, const redisReply *reply)
{
	see_refusal(q, reply);
	if (q->is_refused)
		q->ask_at_ms = now_ms(q) + class_retry_ms(q->feed->class);
}

static void
on_soon(uv_timer_t *timer)
{
	queue_go_on(timer->data);
}

/* Runs when this turn is over, because by then all who could be written have been. */
void
queue_go_on_soon(struct queue *q)
{
	if (!uv_is_active((uv_handle_t *)&q->soon))
		uv_timer_start(&q->soon, on_soon, 0, 0);
}

/* Acknowledging */

/* The entries that were named stand first in the list; later ones stand behind them. */
static void
on_done_acked(void *arg, const redisReply *reply)
{
	struct queue *q = arg;

	if (!is_answered(q, QUEUE_ACK))
		return;
	see_vital_refusal(q, reply);
	if (reply == NULL || reply->type != REDIS_REPLY_INTEGER)
		return; /* at the next tick */
	feed_count(q->feed, COUNTER_ACKED, reply->integer);
	while (q->n_acking > 0 && !list_is_empty(&q->done)) {
		queue_forget(q, LIST_ENTRY(q->done.next, struct pending_entry, node));
		q->n_acking--;
	}
	queue_acknowledge(q);
}

void
queue_acknowledge(struct queue *q)
{
	const char *argv[3 + ACK_MAX] = {"XACK", q->key, q->group};
	struct list *node;
	int argc = 3;

	if (is_sent(q, QUEUE_ACK))
		return;
	for (node = q->done.next; node != &q->done && argc < 3 + ACK_MAX; node = node->next)
		argv[argc++] = LIST_ENTRY(node, struct pending_entry, node)->id;
	q->n_acking = (unsigned)argc - 3;
	if (argc > 3)
		(void)send_command(q, QUEUE_ACK, on_done_acked,
				   (struct resp_words){argc, argv, NULL});
}

/* Asking */

/* Gives out what came, if anything did. */
static void
take(struct queue *q, const redisReply *entries)
{
	queue_give_all(q, entries);
	queue_acknowledge(q);
	if (entries != NULL && entries->elements > 0)
		queue_go_on_soon(q); /* there may be more */
}

static void
on_entries(void *arg, const redisReply *reply)
{
	struct queue *q = arg;

	if (!is_answered(q, QUEUE_READ))
		return;
	q->n_coming -= q->n_asked;
	if (is_error(reply, "NOGROUP"))
		q->is_known = false; /* somebody has deleted the group, or the stream */
	else
		see_vital_refusal(q, reply);
	take(q, group_entries(reply));
	if (q->has_grown || !q->is_known)
		queue_go_on_soon(q);
}

static void
ask(struct queue *q)
{
	unsigned n = queue_count_free(q);
	char count[16];
	const char *argv[] = {"XREADGROUP", "GROUP",   q->group, q->consumer, "COUNT",
			      count,        "STREAMS", q->key,   ">"};

	if (n == 0)
		return; /* a subscriber that is free again will ask */
	q->has_grown = false;
	q->n_asked = n < ASK_MAX ? n : ASK_MAX;
	snprintf(count, sizeof(count), "%u", q->n_asked);
	if (send_command(q, QUEUE_READ, on_entries, RESP_ARRAY(argv)))
		q->n_coming += q->n_asked;
}

static void
on_claimed(void *arg, const redisReply *reply)
{
	struct queue *q = arg;
	const redisReply *entries;
	size_t n_dead = 0;

	if (!is_answered(q, QUEUE_CLAIM))
		return;
	q->n_coming -= q->n_claimed;
	see_refusal(q, reply);
	queue_go_on_soon(q); /* the subscribers that were kept free for these may be given others */
	if ((entries = group_claimed(reply, &n_dead)) == NULL)
		return;
	feed_count(q->feed, COUNTER_DEAD_LETTERED, (int64_t)n_dead);
	feed_count(q->feed, COUNTER_CLAIMED, (int64_t)entries->elements);
	if (n_dead > 0)
		logger_warn(
		    "[route %s] %zu entries of %s were delivered too often to group %s, and "
		    "stand in %s now",
		    q->feed->class->settings->stages.route, n_dead, q->key, q->group, q->dead_key);
	if (n_dead + entries->elements > 0)
		q->claim_at_ms = 0; /* there may be more */
	take(q, entries);
}

static void
claim(struct queue *q)
{
	bool has_dead = q->dead_key != NULL;
	char idle[24], count[16], max[16];
	const char *argv[] = {
	    "EVAL",   GROUP_CLAIM_SCRIPT, "2",  q->key, has_dead ? q->dead_key : q->key,
	    q->group, q->consumer,        idle, count,  max};
	unsigned n = queue_count_free(q);

	if (is_sent(q, QUEUE_CLAIM) || n == 0 || now_ms(q) < q->claim_at_ms)
		return;
	q->claim_at_ms = now_ms(q) + q->claim_after_ms / 4;
	snprintf(idle, sizeof(idle), "%llu", (unsigned long long)q->claim_after_ms);
	q->n_claimed = n < CLAIM_MAX ? n : CLAIM_MAX;
	snprintf(count, sizeof(count), "%u", q->n_claimed);
	snprintf(max, sizeof(max), "%u", has_dead ? q->max_deliveries : 0);
	if (send_command(q, QUEUE_CLAIM, on_claimed, RESP_ARRAY(argv)))
		q->n_coming += q->n_claimed;
}

static void
on_created(void *arg, const redisReply *reply)
{
	struct queue *q = arg;
	bool was_awaited;

	if (!is_answered(q, QUEUE_CREATE))
		return;
	if (reply == NULL || (reply->type == REDIS_REPLY_ERROR && !is_error(reply, "BUSYGROUP"))) {
		see_vital_refusal(q, reply);
		return; /* at the next tick */
	}
	was_awaited = q->is_awaited;
	q->is_known = true;
	q->is_awaited = false;
	if (was_awaited)
		feed_confirmed(q->feed);
	queue_go_on_soon(q);
}

static void
create(struct queue *q)
{
	const struct feed_settings *fs = queue_settings(q);
	char start[24] = "$";

	if (is_sent(q, QUEUE_CREATE))
		return;
	if (fs->start.is_beginning)
		strcpy(start, "0");
	else if (fs->start.last > 0)
		snprintf(start, sizeof(start), "last:%u", fs->start.last);
	(void)send_command(q, QUEUE_CREATE, on_created,
			   RESP_WORDS("EVAL", GROUP_CREATE_SCRIPT, "1", q->key, q->group, start));
}

/* Consumers */

/* By then the entries of a killed worker were claimed long ago. */
static uint64_t
forgotten_ms(const struct queue *q)
{
	uint64_t ms = 4 * (uint64_t)q->claim_after_ms;

	return ms < SWEEP_MIN_MS ? SWEEP_MIN_MS : ms;
}

static bool
tell_gone(struct queue *q, enum queue_command which, const char *consumer, command_fn fn)
{
	char idle[24];

	snprintf(idle, sizeof(idle), "%llu", (unsigned long long)forgotten_ms(q));
	return send_command(
	    q, which, fn,
	    RESP_WORDS("EVAL", GROUP_LEAVE_SCRIPT, "1", q->key, q->group, consumer, idle));
}

static void
on_swept(void *arg, const redisReply *reply)
{
	struct queue *q = arg;

	if (is_answered(q, QUEUE_SWEEP))
		see_refusal(q, reply);
}

/* A killed worker has not removed its consumer from the group, so others do that. */
static void
sweep(struct queue *q)
{
	if (is_sent(q, QUEUE_SWEEP) || now_ms(q) < q->sweep_at_ms)
		return;
	q->sweep_at_ms = now_ms(q) + forgotten_ms(q);
	(void)tell_gone(q, QUEUE_SWEEP, "", on_swept);
}

void
queue_go_on(struct queue *q)
{
	if (now_ms(q) < q->ask_at_ms)
		return; /* a tick will come */
	if (!q->is_known) {
		create(q);
		return;
	}
	queue_acknowledge(q);
	claim(q);
	sweep(q);
	if (!is_sent(q, QUEUE_READ))
		ask(q);
}

static void
on_left(void *arg, const redisReply *reply)
{
	struct queue *q = arg;

	(void)reply;
	q->n_pending--;
	queue_free_if_done(q);
}

/* Acknowledges everything that is done and not being told to Redis already. */
static void
acknowledge_rest(struct queue *q)
{
	const char *argv[3 + ACK_MAX] = {"XACK", q->key, q->group};
	unsigned n_told = is_sent(q, QUEUE_ACK) ? q->n_acking : 0;
	struct list *node;
	int argc = 3;

	for (node = q->done.next; node != &q->done; node = node->next) {
		if (n_told > 0) {
			n_told--;
			continue;
		}
		argv[argc++] = LIST_ENTRY(node, struct pending_entry, node)->id;
		if (argc == 3 + ACK_MAX || node->next == &q->done) {
			(void)send_command(q, QUEUE_LEAVE, on_left,
					   (struct resp_words){argc, argv, NULL});
			argc = 3;
		}
	}
}

void
queue_leave(struct queue *q)
{
	acknowledge_rest(q);
	(void)tell_gone(q, QUEUE_LEAVE, q->consumer, on_left);
}
