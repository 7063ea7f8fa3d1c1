/*
 * health.c - is this worker able to serve? For load balancers and monitors.
 *
 * 200 while both links to Redis are up, else 503. Subscribers are not turned away meanwhile:
 * they wait.
 */
#include <sluice/handler.h>

static int
health_answer(struct reply *reply, const struct request *req)
{
	bool up = worker_redis_is_up();

	(void)req;
	reply_type(reply, "application/json");
	reply_printf(reply, "{\"redis\":\"%s\"}\n", up ? "up" : "down");
	return up ? HTTP_OK : HTTP_UNAVAILABLE;
}

const struct handler health = {
    .name = "health",
    .answer = health_answer,
};
