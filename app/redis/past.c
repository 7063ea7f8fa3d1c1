#include "redis/past.h"

#include <errno.h>
#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis/command.h"

enum {
	SENT_MAX = 8,          /* questions on their way */
	PAGE_SIZE = 64 * 1024, /* bytes */
	LARGE = 1024 * 1024,
	COUNT_MIN = 4,   /* the fewest entries of a page, however large they are */
	COUNT_LARGE = 2, /* of such an entry or more: the first of a page was had already */
	COUNT_UNKNOWN = 16,
	COUNT_MAX = 500,
};

enum past_question_kind { QUESTION_RANGE, QUESTION_INFO };

struct past_question {
	struct list node; /* in past->wanted; in no list once it was sent */
	struct past *past;
	struct list readings;
	enum past_question_kind kind;
	struct past_range range;
	char key[];
};

struct past {
	struct command *command;
	struct list wanted; /* questions that were not sent yet, in the order of asking */
	struct list sent;
	unsigned n_sent;
	uv_timer_t soon; /* fires when all who ask in this turn have asked */
};

static bool
is_same_range(const struct past_range *a, const struct past_range *b)
{
	return a->order == b->order && stream_id_compare(&a->from, &b->from) == 0 &&
	       stream_id_compare(&a->to, &b->to) == 0;
}

/*
 * An answer to XINFO must be newer than the question, so it is not shared once it has been sent.
 * The entries of a range do not change, because its end existed before anybody asked.
 */
static struct past_question *
find(const struct list *list, enum past_question_kind kind, const char *key,
     const struct past_range *range)
{
	struct list *node;

	for (node = list->next; node != list; node = node->next) {
		struct past_question *q = LIST_ENTRY(node, struct past_question, node);

		if (q->kind == kind && strcmp(q->key, key) == 0 && is_same_range(&q->range, range))
			return q;
	}
	return NULL;
}

static void
question_free(struct past_question *q)
{
	list_del(&q->node);
	free(q);
}

/* Each caller may ask anew at once: that is another question. */
static void
answer_all(struct past_question *q, const redisReply *reply)
{
	struct past_answer answer = {.reply = reply};

	answer.is_whole = q->kind == QUESTION_RANGE && reply != NULL &&
			  reply->type == REDIS_REPLY_ARRAY && reply->elements < q->range.count;
	while (!list_is_empty(&q->readings)) {
		struct past_reading *reading =
		    LIST_ENTRY(q->readings.next, struct past_reading, of_question);

		list_del(&reading->of_question);
		reading->on_answer(reading, &answer);
	}
}

static void on_soon(uv_timer_t *timer);

static void
send_soon(struct past *past)
{
	if (past->n_sent < SENT_MAX && !list_is_empty(&past->wanted))
		uv_timer_start(&past->soon, on_soon, 0, 0);
}

static void
on_reply(void *arg, const redisReply *reply)
{
	struct past_question *q = arg;

	list_del(&q->node);
	if (q->past != NULL) {
		q->past->n_sent--;
		send_soon(q->past);
	}
	answer_all(q, reply);
	free(q);
}

static int
send_range(struct command *command, struct past_question *q)
{
	const struct past_range *range = &q->range;
	bool is_back = range->order == PAST_NEWEST_FIRST;
	char from[STREAM_ID_TEXT], to[STREAM_ID_TEXT], count[16];
	const char *argv[] = {is_back ? "XREVRANGE" : "XRANGE",
			      q->key,
			      is_back ? to : from,
			      is_back ? from : to,
			      "COUNT",
			      count};

	stream_id_print(from, &range->from);
	stream_id_print(to, &range->to);
	snprintf(count, sizeof(count), "%u", range->count);
	return command_send(command, on_reply, q, RESP_ARRAY(argv));
}

static int
send_question(struct command *command, struct past_question *q)
{
	if (command == NULL)
		return -ENOTCONN;
	if (q->kind == QUESTION_RANGE)
		return send_range(command, q);
	return command_send(command, on_reply, q, RESP_WORDS("XINFO", "STREAM", q->key));
}

static void
on_soon(uv_timer_t *timer)
{
	struct past *past = timer->data;

	while (past->n_sent < SENT_MAX && !list_is_empty(&past->wanted)) {
		struct past_question *q = LIST_ENTRY(past->wanted.next, struct past_question, node);

		list_del(&q->node);
		if (list_is_empty(&q->readings)) {
			free(q); /* nobody waits for it any more */
		} else if (send_question(past->command, q) < 0) {
			answer_all(q, NULL);
			free(q);
		} else {
			past->n_sent++;
			list_add_tail(&past->sent, &q->node);
		}
	}
}

static int
ask(struct past *past, struct past_reading *reading, enum past_question_kind kind, const char *key,
    const struct past_range *range)
{
	struct past_question *q = find(&past->wanted, kind, key, range);

	if (q == NULL && kind == QUESTION_RANGE)
		q = find(&past->sent, kind, key, range);
	if (q == NULL) {
		if ((q = calloc(1, sizeof(*q) + strlen(key) + 1)) == NULL)
			return -ENOMEM;
		q->past = past;
		q->kind = kind;
		q->range = *range;
		memcpy(q->key, key, strlen(key) + 1);
		list_init(&q->readings);
		list_add_tail(&past->wanted, &q->node);
		send_soon(past);
	}
	list_add_tail(&q->readings, &reading->of_question);
	return 0;
}

unsigned
past_count(size_t entry_size)
{
	size_t n = entry_size > 0 ? PAGE_SIZE / entry_size : COUNT_UNKNOWN;

	if (n < COUNT_MIN)
		return entry_size > LARGE ? COUNT_LARGE : COUNT_MIN;
	return n > COUNT_MAX ? COUNT_MAX : (unsigned)n;
}

int
past_read(struct past *past, struct past_reading *reading, const char *key,
	  const struct past_range *range)
{
	return ask(past, reading, QUESTION_RANGE, key, range);
}

int
past_look(struct past *past, struct past_reading *reading, const char *key)
{
	static const struct past_range none;

	return ask(past, reading, QUESTION_INFO, key, &none);
}

void
past_cancel(struct past_reading *reading)
{
	if (reading->of_question.next != NULL)
		list_del(&reading->of_question);
}

int
past_new(struct past **out, uv_loop_t *loop)
{
	struct past *past = calloc(1, sizeof(*past));

	if (past == NULL)
		return -ENOMEM;
	list_init(&past->wanted);
	list_init(&past->sent);
	uv_timer_init(loop, &past->soon);
	past->soon.data = past;
	*out = past;
	return 0;
}

void
past_set_command(struct past *past, struct command *command)
{
	past->command = command;
}

static void
on_timer_closed(uv_handle_t *timer)
{
	free(timer->data);
}

/* Answers to questions that were sent are ignored. */
void
past_free(struct past *past)
{
	if (past == NULL)
		return;
	while (!list_is_empty(&past->wanted))
		question_free(LIST_ENTRY(past->wanted.next, struct past_question, node));
	while (!list_is_empty(&past->sent)) {
		struct past_question *q = LIST_ENTRY(past->sent.next, struct past_question, node);

		list_del(&q->node);
		q->past = NULL;
	}
	uv_close((uv_handle_t *)&past->soon, on_timer_closed);
}
