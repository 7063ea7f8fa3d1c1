/*
 * health.c - is the program able to serve? For load balancers and monitors.
 *
 * It answers 503 while no worker is connected to Redis or while the program ends, else 200; and
 * says what is wrong in sentences. New subscribers are accepted even then: they wait.
 */
#include <string.h>

#include <sluice/handler.h>

static int
health_answer(struct reply *reply, const struct request *req)
{
	const char *state = worker_state(), *sep = "";
	char text[256];
	unsigned n;

	(void)req;
	reply_type(reply, "application/json");
	reply_printf(reply, "{\"status\":\"%s\",\"why\":[", state);
	for (n = 0; worker_trouble(n, text, sizeof(text)); n++, sep = ",")
		reply_printf(reply, "%s\"%s\"", sep, text);
	reply_printf(reply, "],\"redis\":\"%s\"}\n", worker_redis_is_up() ? "up" : "down");
	return strcmp(state, "down") == 0 || strcmp(state, "draining") == 0 ? HTTP_UNAVAILABLE
									    : HTTP_OK;
}

const struct handler health = {
    .name = "health",
    .answer = health_answer,
};
