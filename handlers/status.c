/*
 * status.c - what all workers have counted, as a JSON object; as a page for people
 * whose browser asks for one.
 */
#include <string.h>

#include <sluice/handler.h>

static void
put_json(struct reply *reply)
{
	const char *name, *sep = "";
	unsigned long long value;
	unsigned n;

	reply_type(reply, "application/json");
	reply_printf(reply, "{\"redis\":\"%s\",", worker_redis_is_up() ? "up" : "down");
	for (n = 0; worker_count(n, &name, &value); n++, sep = ",")
		reply_printf(reply, "%s\"%s\":%llu", sep, name, value);
	reply_printf(reply, "}\n");
}

static void
put_page(struct reply *reply)
{
	const char *name;
	unsigned long long value;
	unsigned n;

	reply_type(reply, "text/html; charset=utf-8");
	reply_printf(reply,
		     "<!doctype html><html lang=\"en\"><meta name=\"viewport\" "
		     "content=\"width=device-width\">"
		     "<title>Sluice</title><h1>Sluice</h1><p>Redis is %s.<table>",
		     worker_redis_is_up() ? "up" : "down");
	for (n = 0; worker_count(n, &name, &value); n++)
		reply_printf(reply,
			     "<tr><th scope=\"row\" align=\"left\">%s<td align=\"right\">%llu",
			     name, value);
	reply_printf(reply, "</table></html>\n");
}

static int
status_answer(struct reply *reply, const struct request *req)
{
	const char *accept = request_header(req, "Accept");

	if (accept != NULL && strstr(accept, "text/html") != NULL)
		put_page(reply);
	else
		put_json(reply);
	return HTTP_OK;
}

const struct handler status = {
    .name = "status",
    .answer = status_answer,
};
