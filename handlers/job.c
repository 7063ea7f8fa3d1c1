/*
 * job.c - the progress of one job, until it is done.
 *
 * Reads the channel "job:ID:progress", where ID is the route's parameter job_id. Its messages
 * are objects such as {"status":"running","percent":40}. The first whose status is "completed"
 * or "failed" is the last, with percent 100: the browser is told not to come back.
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

static struct json_object *
last_event(struct json_object *job)
{
	struct json_object *last = json_object_new_object();
	const char *text = json_text(job, "message");

	json_object_object_add(last, "status", json_object_new_string(json_text(job, "status")));
	json_object_object_add(last, "percent", json_object_new_int(100));
	json_object_object_add(last, "message",
			       json_object_new_string(text != NULL ? text : "Done"));
	return last;
}

static enum verdict
job_message(struct feed *feed, struct message *msg)
{
	struct json_object *job = message_json(msg);

	(void)feed;
	if (job == NULL)
		return DROP; /* not JSON: the page could not read it */
	if (!json_is(job, "status", "completed") && !json_is(job, "status", "failed"))
		return KEEP;
	return message_replace(msg, last_event(job)) == KEEP ? LAST : DROP;
}

const struct handler job = {
    .name = "job",
    .open = job_open,
    .message = job_message,
};
