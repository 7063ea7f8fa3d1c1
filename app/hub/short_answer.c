/*
 * short_answer.c - a response that is no stream. It is given at once, or later by its holder.
 */
#include "hub/short_answer.h"

#include "base/logger.h"
#include "hub/subscriber_state.h"

int
subscriber_answer(struct subscriber *sub, const struct answer *a, bool with_body)
{
	size_t body_len = with_body ? a->body.len : 0;
	int rc;

	subscriber_set_state(sub, SUBSCRIBER_LAST);
	if (sub->own.cap < a->head.len + body_len) /* a long message, of which there is no more */
		buf_set_cap(&sub->own, a->head.len + body_len);
	if ((rc = buf_reserve(&sub->own, a->head.len + body_len)) < 0 ||
	    (rc = buf_put(&sub->own, a->head.p, a->head.len)) < 0)
		return rc;
	return buf_put(&sub->own, a->body.p, body_len);
}

void
subscriber_answer_problem(struct subscriber *sub, int status)
{
	struct answer a;

	answer_init(&a);
	answer_problem(&a, status, NULL, 0);
	if (answer_end(&a) < 0 || subscriber_answer(sub, &a, true) < 0)
		logger_error("out of memory: an answer is empty");
	answer_fini(&a);
}

void
subscriber_hold(struct subscriber *sub, struct subscriber_holder *holder)
{
	holder->sub = sub;
	sub->holder = holder;
}

struct subscriber *
subscriber_let_go(struct subscriber_holder *holder)
{
	struct subscriber *sub = holder->sub;

	if (sub != NULL)
		sub->holder = NULL;
	holder->sub = NULL;
	return sub;
}

void
subscriber_tell_holder(struct subscriber *sub)
{
	struct subscriber_holder *holder = sub->holder;

	(void)subscriber_let_go(holder);
	if (holder->left != NULL)
		holder->left(holder);
}
