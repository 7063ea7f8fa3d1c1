#include "base/logger.h"
#include "route/cors.h"
#include "route/problem.h"
#include "route/serving.h"

int
later_init(struct later *later, struct site *site)
{
	int rc;

	later->site = site;
	later->holder = (struct subscriber_holder){.sub = NULL};
	buf_init(&later->cors, HEAD_MAX);
	if ((rc = cors_put_headers(&later->cors, &site->request)) < 0)
		buf_fini(&later->cors);
	return rc;
}

void
later_expect(struct later *later, struct subscriber *sub)
{
	subscriber_hold(sub, &later->holder);
}

/* The head that was begun, and the body. */
static void
tell(struct later *later)
{
	struct site *site = later->site;
	struct subscriber *sub = subscriber_let_go(&later->holder);

	if (buf_put(&site->head, later->cors.p, later->cors.len) < 0 ||
	    buf_printf(&site->head, "Content-Length: %zu\r\n\r\n", site->body.len) < 0)
		logger_error("out of memory: an answer is cut short");
	site_send(site, sub, true);
	sub->ops->send(sub);
}

void
later_answer(struct later *later, int status, const char *lines)
{
	if (later->holder.sub == NULL)
		return;
	buf_truncate(&later->site->head, 0);
	if (buf_printf(&later->site->head,
		       "Status: %d %s\r\n"
		       "Content-Type: application/json\r\n"
		       "Cache-Control: no-store\r\n"
		       "X-Content-Type-Options: nosniff\r\n"
		       "%s",
		       status, problem_title(status), lines) < 0)
		logger_error("out of memory: an answer is cut short");
	tell(later);
}

void
later_refuse(struct later *later, int status, const char *why)
{
	if (later->holder.sub == NULL)
		return;
	buf_truncate(&later->site->head, 0);
	buf_truncate(&later->site->body, 0);
	if (problem_put_body(&later->site->body, status, why) < 0 ||
	    problem_put_head(&later->site->head, status, 0) < 0)
		logger_error("out of memory: a refusal is cut short");
	tell(later);
}

void
later_fini(struct later *later)
{
	buf_fini(&later->cors);
}
