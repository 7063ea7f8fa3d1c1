/*
 * job.c - the progress of one job, until it is done.
 *
 * Reads the channel "job:ID:progress", where ID is the route's parameter job_id. Its messages
 * are objects such as {"state":"running","percent":40}. The first whose state is "completed"
 * or "failed" is the last: the browser is told not to come back.
 */
#include <sluice/handler.h>

static int
job_open(struct feed *feed, const struct request *req)
{
	const char *id = request_param(req, "job_id");

	if (id == NULL)
		return HTTP_BAD_REQUEST;
	return feed_channel(feed, "job:%s:progress", id);
}

static enum verdict
job_message(struct feed *feed, struct message *msg)
{
	struct json_object *job = message_json(msg);

	(void)feed;
	if (job == NULL)
		return DROP; /* not JSON: the page could not read it */
	if (json_is(job, "state", "completed") || json_is(job, "state", "failed"))
		return LAST;
	return KEEP;
}

const struct handler job = {
    .name = "job",
    .open = job_open,
    .message = job_message,
};
