#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "base/logger.h"
#include "redis/command.h"
#include "redis/recorded.h"
#include "route/cors.h"
#include "route/problem.h"
#include "route/publish.h"
#include "route/serving.h"

/* A message that Redis has been told, and the client that waits to hear of it. */
struct posting {
	struct site *site;
	struct subscriber *sub; /* NULL: the client has gone */
	struct buf cors;        /* the answer's header fields, for the route may be gone by then */
	bool is_stream;
	size_t len;
	char route[65];
	char name[];
};

static void
posting_free(struct posting *p)
{
	buf_fini(&p->cors);
	free(p);
}

static void
answer_posting(struct posting *p, int status, const char *why)
{
	struct site *site = p->site;

	buf_truncate(&site->head, 0);
	if (status == 202)
		(void)buf_printf(&site->head, "Status: 202 Accepted\r\n"
					      "Content-Type: application/json\r\n"
					      "Cache-Control: no-store\r\n"
					      "X-Content-Type-Options: nosniff\r\n");
	else if (problem_put_body(&site->body, status, why) == 0)
		(void)problem_put_head(&site->head, status);
	if (buf_put(&site->head, p->cors.p, p->cors.len) < 0 ||
	    buf_printf(&site->head, "Content-Length: %zu\r\n\r\n", site->body.len) < 0)
		logger_error("out of memory: an answer is cut short");
	p->sub->holder = NULL;
	site_send(site, p->sub, true);
	p->sub->ops->send(p->sub);
}

static void
on_posted(void *arg, const struct redisReply *reply)
{
	struct posting *p = arg;
	const char *why;
	int status;

	buf_truncate(&p->site->body, 0);
	status = publish_answer(&p->site->body, reply, &why);
	if (status == 202)
		counters_add(COUNTER_PUBLISHED, 1);
	logger_info("[route %s] POST to %s %s, %zu bytes: %s", p->route,
		    p->is_stream ? "stream" : "channel", p->name, p->len,
		    status == 202 ? "published" : why);
	if (p->sub != NULL)
		answer_posting(p, status, why);
	posting_free(p);
}

/* To the channel and to its log, as one. */
static int
tell_redis_both(struct site *site, struct posting *p, const struct publication *pub)
{
	const char *argv[7] = {"EVAL", RECORDED_SCRIPT, "2"};
	char *channel, *log = NULL, keep[16];
	size_t lens[7];
	int i, rc = -ENOMEM;

	if (asprintf(&channel, "%s%s", hub_prefix(site->hub), pub->name.p) < 0)
		return -ENOMEM;
	if (asprintf(&log, "%s" RECORDED_SUFFIX, channel) >= 0) {
		snprintf(keep, sizeof(keep), "%u", pub->record);
		argv[3] = channel;
		argv[4] = log;
		argv[5] = pub->data.p != NULL ? pub->data.p : "";
		argv[6] = keep;
		for (i = 0; i < 7; i++)
			lens[i] = i == 5 ? pub->data.len : strlen(argv[i]);
		rc = command_send(hub_command(site->hub), on_posted, p, 7, argv, lens);
		free(log);
	}
	free(channel);
	return rc;
}

static int
tell_redis(struct site *site, struct posting *p, const struct publication *pub)
{
	const char *argv[8], *prefix = hub_prefix(site->hub);
	size_t lens[8];
	char *name, maxlen[24];
	int argc = 0, i, rc;

	if (hub_command(site->hub) == NULL)
		return -ENOTCONN;
	if (pub->record > 0)
		return tell_redis_both(site, p, pub);
	if (asprintf(&name, "%s%s", prefix, pub->name.p) < 0)
		return -ENOMEM;
	argv[argc++] = pub->is_stream ? "XADD" : "PUBLISH";
	argv[argc++] = name;
	if (pub->is_stream && pub->maxlen > 0) {
		snprintf(maxlen, sizeof(maxlen), "%llu", (unsigned long long)pub->maxlen);
		argv[argc++] = "MAXLEN";
		argv[argc++] = "~";
		argv[argc++] = maxlen;
	}
	if (pub->is_stream) {
		argv[argc++] = "*";
		argv[argc++] = "data";
	}
	for (i = 0; i < argc; i++)
		lens[i] = strlen(argv[i]);
	argv[argc] = pub->data.p != NULL ? pub->data.p : "";
	lens[argc++] = pub->data.len;
	rc = command_send(hub_command(site->hub), on_posted, p, argc, argv, lens);
	free(name);
	return rc;
}

/* How many messages of the channel are kept, by any route. */
static unsigned
records(const struct site *site, const char *channel)
{
	unsigned n, most = 0;
	size_t i;

	for (i = 0; i < site->n_routes; i++) {
		if ((n = route_records(site->routes[i], channel)) > most)
			most = n;
	}
	return most;
}

static struct posting *
posting_new(struct site *site, struct subscriber *sub, const struct publication *pub)
{
	struct posting *p = calloc(1, sizeof(*p) + pub->name.len);

	if (p == NULL)
		return NULL;
	p->site = site;
	p->sub = sub;
	p->is_stream = pub->is_stream;
	p->len = pub->data.len;
	memcpy(p->name, pub->name.p, pub->name.len);
	snprintf(p->route, sizeof(p->route), "%s", site->request.route->name);
	buf_init(&p->cors, HEAD_MAX);
	if (cors_put_headers(&p->cors, &site->request) < 0) {
		posting_free(p);
		return NULL;
	}
	return p;
}

/* The parameters of the path, and those that the template names. As site_check_param(). */
static int
check_publish_params(struct site *site, struct subscriber *sub)
{
	const struct request *req = &site->request;
	const struct publish *settings = &req->route->publish;
	const struct template *t = settings->stream != NULL ? settings->stream : settings->channel;
	const char *name;
	size_t n;
	int status;

	for (n = 0; (name = path_param(req->route->path, n)) != NULL; n++) {
		if ((status = site_check_param(site, sub, name, req->values[n])) != 0)
			return status;
	}
	for (n = 0; (name = template_param(t, n)) != NULL; n++) {
		if ((status = site_check_param(site, sub, name, request_raw_param(req, name))) != 0)
			return status;
	}
	return 0;
}

void
posting_serve(struct site *site, struct subscriber *sub, const char *body, size_t len)
{
	struct publication pub;
	struct posting *p;
	const char *why;
	int status;

	if (check_publish_params(site, sub) != 0)
		return;
	status = publish_read(&pub, &site->request, body, len, hub_now_ms(site->hub), &why);
	if (status == 0 && !pub.is_stream)
		pub.record = records(site, pub.name.p);
	if (status != 0) {
		site_refuse(site, sub, status, why);
	} else if ((p = posting_new(site, sub, &pub)) == NULL) {
		site_refuse(site, sub, HTTP_UNAVAILABLE,
			    "This server has no room for the message.");
	} else if (tell_redis(site, p, &pub) < 0) {
		posting_free(p);
		site_refuse(site, sub, HTTP_UNAVAILABLE, "Redis is away: nothing was published.");
	} else {
		sub->holder = &p->sub;
	}
	publication_fini(&pub);
}
