/*
 * doctor_stream.c - one stream of the doctor's, and when each of its events came.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sluice/json.h>

#include "base/clock.h"
#include "cli/doctor.h"

enum { PATH_LEN = 4096, WHY_LEN = 512 };

static double
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* The value of a field of the frame; NULL. */
static const char *
field(const char *frame, const char *end, const char *name, size_t *len)
{
	size_t name_len = strlen(name);

	for (const char *p = frame, *eol; p < end; p = eol + 1) {
		if ((eol = memchr(p, '\n', (size_t)(end - p))) == NULL)
			eol = end;
		if ((size_t)(eol - p) > name_len && memcmp(p, name, name_len) == 0) {
			*len = (size_t)(eol - p) - name_len;
			return p + name_len;
		}
	}
	return NULL;
}

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
		s->late_ms[s->n] = now_ms() - (double)json_object_get_int64(at);
		s->came_ms[s->n++] = (double)(clock_ms() - s->x.begun_ms);
	}
	if (is_greeting && at != NULL && s->greeting == NULL)
		s->greeting = json_object_get(o);
	json_object_put(o);
}

static void
take_frame(struct doctor_stream *s, const char *p, const char *end)
{
	size_t type_len, data_len;
	const char *type = field(p, end, "event: ", &type_len);
	const char *data = field(p, end, "data: ", &data_len);

	if (type == NULL || data == NULL)
		return;
	if (type_len == 8 && memcmp(type, "greeting", type_len) == 0)
		take_event(s, parse(data, data_len), true);
	else if (type_len == 4 && memcmp(type, "tick", type_len) == 0)
		take_event(s, parse(data, data_len), false);
	else if (type_len == 10 && memcmp(type, "stream-end", type_len) == 0)
		s->is_sent_away = s->greeting == NULL;
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
		take_frame(s, p, stop);
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
doctor_greeted(const struct doctor *d, const char *name)
{
	const char *value = json_text(d->first.greeting, name);

	return value != NULL ? value : "";
}
