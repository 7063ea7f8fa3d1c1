/*
 * doctor_stream.c - one stream of the doctor's, and when each of its events came.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/json.h>

#include "base/clock.h"
#include "cli/doctor.h"
#include "sse/frame.h"

enum { PATH_LEN = 4096, WHY_LEN = 512, DATA_MAX = 256 * 1024 };

static struct json_object *
parse(const char *p, size_t len)
{
	struct json_tokener *tok = json_tokener_new();
	struct json_object *o = tok != NULL ? json_tokener_parse_ex(tok, p, (int)len) : NULL;

	if (tok != NULL)
		json_tokener_free(tok);
	return o;
}

static void
take_event(struct doctor_stream *s, struct json_object *o, bool is_greeting)
{
	struct json_object *at = NULL;

	if (json_object_is_type(o, json_type_object))
		json_object_object_get_ex(o, "at", &at);
	if (at != NULL && s->n < DOCTOR_TICKS_MAX) {
		s->late_ms[s->n] = clock_unix_ms() - (double)json_object_get_int64(at);
		s->came_ms[s->n++] = (double)(clock_ms() - s->x.begun_ms);
	}
	if (is_greeting && at != NULL && s->greeting == NULL)
		s->greeting = json_object_get(o);
	json_object_put(o);
}

static bool
is_called(const struct frame *said, const char *type)
{
	return said->type_len == strlen(type) && memcmp(said->type, type, said->type_len) == 0;
}

static void
take_frame(struct doctor_stream *s, const char *p, const char *end)
{
	struct frame said;
	struct buf data;

	frame_read(&said, p, end);
	buf_init(&data, DATA_MAX);
	if (said.data == NULL || frame_put_data(&data, said.data, end) < 0)
		; /* a comment, or more than the doctor asked for */
	else if (is_called(&said, "greeting"))
		take_event(s, parse(data.p, data.len), true);
	else if (is_called(&said, "tick"))
		take_event(s, parse(data.p, data.len), false);
	else if (is_called(&said, "stream-end"))
		s->is_sent_away = s->greeting == NULL;
	buf_fini(&data);
}

static void
on_body(struct http_exchange *x)
{
	struct doctor_stream *s = x->arg;
	const char *p = x->body.p, *end, *stop;

	if (p == NULL)
		return;
	end = p + x->body.len;
	while (p < end && (stop = memmem(p, (size_t)(end - p), "\n\n", 2)) != NULL) {
		take_frame(s, p, stop + 1);
		p = stop + 2;
	}
	if (p > x->body.p)
		buf_consume(&x->body, (size_t)(p - x->body.p));
}

static bool
is_stream(const struct http_exchange *x)
{
	char type[64];

	return http_header(x, "Content-Type", type, sizeof(type)) &&
	       strncmp(type, "text/event-stream", 17) == 0;
}

int
doctor_stream_begin(struct doctor *d, struct doctor_stream *s, const char *prefix, const char *plan,
		    const char *fields)
{
	char path[PATH_LEN], head[PATH_LEN], why[WHY_LEN];

	memset(s, 0, sizeof(*s));
	s->x.fd = -1;
	if (!doctor_key_put(d, s->key, why, sizeof(why))) {
		*s->key = '\0';
		s->x.failure = HTTP_FAILURE_HTTP;
		snprintf(s->x.why, sizeof(s->x.why), "Redis: %.200s", why);
		return -1;
	}
	snprintf(path, sizeof(path), "%s" DOCTORING_PATH "%s?%s", prefix, s->key, plan);
	snprintf(head, sizeof(head), "Accept: text/event-stream\r\n%s",
		 *fields != '\0' ? fields : "Accept-Encoding: identity\r\n");
	if (http_begin(&s->x, &d->http, path, head) < 0)
		return -1;
	s->x.on_body = on_body;
	s->x.arg = s;
	return 0;
}

/* What is awaited of one stream. */
struct awaited {
	const struct doctor_stream *s;
	unsigned n;
};

static bool
is_done(void *arg)
{
	const struct awaited *a = arg;

	if (a->s->x.status != 0 && (a->s->x.status != 200 || !is_stream(&a->s->x)))
		return a->s->x.is_ended || a->s->x.body.len > 0;
	return a->s->n >= a->n || a->s->is_sent_away;
}

void
doctor_stream_run(struct doctor_stream *s, unsigned n_events, unsigned ms)
{
	struct awaited a = {s, n_events};
	struct http_exchange *x = &s->x;

	http_run(&x, 1, ms, is_done, &a);
}

void
doctor_stream_end(struct doctor *d, struct doctor_stream *s)
{
	http_fini(&s->x);
	json_object_put(s->greeting);
	s->greeting = NULL;
	if (*s->key != '\0')
		doctor_key_drop(d, s->key);
	*s->key = '\0';
}

const char *
doctor_server_name(const struct doctor *d)
{
	return d->server != NULL ? d->server->name : "the web server";
}

const char *
doctor_greeted(const struct doctor *d, const char *name)
{
	const char *value = json_text(d->first.greeting, name);

	return value != NULL ? value : "";
}

bool
doctor_is_forwarded(const struct doctor *d)
{
	const char *forwarded = doctor_greeted(d, "forwarded");

	return *forwarded != '\0' && strcmp(forwarded, doctor_greeted(d, "remote")) != 0;
}
