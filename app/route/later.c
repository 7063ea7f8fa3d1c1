#include "base/counters.h"
#include "base/logger.h"
#include "route/cors.h"
#include "route/serving.h"

int
later_init(struct later *later, struct serving *sv)
{
	int rc;

	later->out = sv->in->out;
	later->counted = sv->req->route->counted;
	later->holder = (struct subscriber_holder){.sub = NULL};
	buf_init(&later->cors, ANSWER_HEAD_MAX);
	if ((rc = cors_put_headers(&later->cors, sv->req)) < 0)
		buf_fini(&later->cors);
	return rc;
}

void
later_expect(struct later *later, struct subscriber *sub)
{
	subscriber_hold(sub, &later->holder);
}

void
later_begin(struct later *later, int status, const char *type)
{
	answer_begin(later->out, status, type);
	answer_fields(later->out, later->cors.p, later->cors.len);
}

void
later_send(struct later *later)
{
	struct subscriber *sub = subscriber_let_go(&later->holder);

	if (sub == NULL)
		return;
	if (answer_end(later->out) < 0 || subscriber_answer(sub, later->out, true) < 0)
		logger_error("out of memory: an answer is cut short");
	sub->ops->send(sub);
}

void
later_refuse(struct later *later, int status, const char *why)
{
	counters_refused(later->counted, (unsigned)status);
	answer_problem(later->out, status, why, 0);
	answer_fields(later->out, later->cors.p, later->cors.len);
	later_send(later);
}

/* A request that still waits for it gets an answer now. */
void
later_fini(struct later *later)
{
	if (later->holder.sub != NULL)
		later_refuse(later, HTTP_INTERNAL_ERROR, "The answer could not be made.");
	buf_fini(&later->cors);
}
