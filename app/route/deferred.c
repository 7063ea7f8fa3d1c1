#include "base/counters.h"
#include "base/logger.h"
#include "route/cors.h"
#include "route/serving.h"

int
deferred_init(struct deferred *deferred, struct serving *sv)
{
	int rc;

	deferred->out = sv->in->out;
	deferred->counted = sv->req->route->counted;
	deferred->holder = (struct subscriber_holder){.sub = NULL};
	buf_init(&deferred->cors, ANSWER_HEAD_MAX);
	if ((rc = cors_put_headers(&deferred->cors, sv->req)) < 0)
		buf_fini(&deferred->cors);
	return rc;
}

void
deferred_expect(struct deferred *deferred, struct subscriber *sub)
{
	subscriber_hold(sub, &deferred->holder);
}

void
deferred_begin(struct deferred *deferred, int status, const char *type)
{
	answer_begin(deferred->out, status, type);
	answer_fields(deferred->out, deferred->cors.p, deferred->cors.len);
}

void
deferred_send(struct deferred *deferred)
{
	struct subscriber *sub = subscriber_let_go(&deferred->holder);

	if (sub == NULL)
		return;
	if (answer_end(deferred->out) < 0 || subscriber_answer(sub, deferred->out, true) < 0)
		logger_error("out of memory: an answer is cut short");
	sub->ops->send(sub);
}

void
deferred_refuse(struct deferred *deferred, int status, const char *why)
{
	counters_refused(deferred->counted, (unsigned)status);
	answer_problem(deferred->out, status, why, 0);
	answer_fields(deferred->out, deferred->cors.p, deferred->cors.len);
	deferred_send(deferred);
}

/* A request that still waits for it gets an answer now. */
void
deferred_fini(struct deferred *deferred)
{
	if (deferred->holder.sub != NULL)
		deferred_refuse(deferred, HTTP_INTERNAL_ERROR, "The answer could not be made.");
	buf_fini(&deferred->cors);
}
