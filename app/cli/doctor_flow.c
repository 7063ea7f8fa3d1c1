/*
 * doctor_flow.c - what becomes of a stream on its way. Are its events kept back or compressed? Is
 * it cut when it is silent? Is it noticed when its client leaves?
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/doctor.h"

enum {
	TRIES = 3,
	LATE_MS = 120,     /* an event that is later was kept back */
	LEAVING_MS = 6000, /* how long to wait until it is noticed that a client has gone */
	LEAVING_AT_ONCE_MS = 3000,
	TEXT_LEN = 256,
};

/* Buffering */

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/*
 * How late half of the events came. If the server has another clock, the quickest event counts as
 * punctual.
 */
static double
median_late(const struct doctor *d, const struct doctor_stream *s)
{
	double v[DOCTOR_TICKS_MAX];

	if (s->n == 0)
		return 0;
	memcpy(v, s->late_ms, s->n * sizeof(*v));
	qsort(v, s->n, sizeof(*v), compare);
	return v[s->n / 2] - (d->is_local ? 0 : v[0]);
}

static void
tell_late(struct doctor *d, const struct doctor_stream *s, double late)
{
	double span = s->came_ms[s->n - 1] - s->came_ms[0];

	d->is_held_back = s->n > 1 && span < DOCTOR_TICK_MS * (double)(s->n - 1) / 2;
	if (d->is_held_back)
		doctor_fail(d, "buffering",
			    "events are kept back: %u came together, the first "
			    "%.0f ms late",
			    s->n, s->late_ms[0]);
	else
		doctor_fail(d, "buffering", "each event is kept back for %.0f ms", late);
	if (d->front == NULL && (*doctor_greeted(d, "via") != '\0' || doctor_is_forwarded(d)))
		doctor_line("here, or in the proxy before it (try the web server's own address):");
	doctor_cure(d, CURE_BUFFER);
}

/*
 * Tries once more, because the machine may have been busy. Returns how late; negative: it failed.
 */
static double
try_again(struct doctor *d)
{
	struct doctor_stream again;
	double late = -1;

	if (doctor_stream_begin(d, &again, d->prefix, DOCTOR_PLAN, "") == 0)
		doctor_stream_run(&again, DOCTOR_TICKS + 1, DOCTOR_ANSWER_MS);
	if (again.n > 0)
		late = fabs(median_late(d, &again));
	doctor_stream_end(d, &again);
	return late;
}

void
doctor_check_buffer(struct doctor *d)
{
	double first, late;

	doctor_stream_run(&d->first, DOCTOR_TICKS + 1, DOCTOR_ANSWER_MS);
	first = late = fabs(median_late(d, &d->first));
	for (unsigned i = 1; i < TRIES && late > LATE_MS; i++) {
		double next = try_again(d);

		late = next >= 0 && next < late ? next : late;
	}
	if (late <= LATE_MS)
		doctor_ok("buffering", "none: events come %.0f ms after they were sent", late);
	else
		tell_late(d, &d->first, first);
}

void
doctor_check_gzip(struct doctor *d)
{
	struct doctor_stream s;
	char how[TEXT_LEN];

	if (doctor_stream_begin(d, &s, d->prefix, "events=1&every=100",
				"Accept-Encoding: gzip, deflate, br, zstd\r\n") == 0)
		doctor_stream_run(&s, 2, DOCTOR_ANSWER_MS);
	if (http_header(&s.x, "Content-Encoding", how, sizeof(how)) &&
	    strcmp(how, "identity") != 0) {
		doctor_fail(d, "gzip",
			    "the stream is compressed (%s), which keeps events back and "
			    "takes memory for each client",
			    how);
		doctor_cure(d, CURE_GZIP);
	} else {
		doctor_ok("gzip", "the stream is not compressed");
	}
	doctor_stream_end(d, &s);
}

/* Leaving */

/* How many ms it took until it was noticed that the client had gone; negative: it was not. */
static double
leave(struct doctor *d, const char *plan, unsigned patience_ms)
{
	const struct timespec pause = {.tv_nsec = 20000000};
	uint64_t until;
	unsigned long long at = 0;
	struct doctor_stream s;
	double gone;

	if (doctor_stream_begin(d, &s, d->prefix, plan, "") == 0)
		doctor_stream_run(&s, 1, DOCTOR_ANSWER_MS);
	gone = clock_unix_ms();
	until = clock_ms() + patience_ms;
	http_fini(&s.x);
	while (s.greeting != NULL && clock_ms() < until && (at = doctor_key_left(d, s.key)) == 0)
		nanosleep(&pause, NULL);
	doctor_stream_end(d, &s);
	if (at == 0)
		return -1;
	return (double)at > gone ? (double)at - gone : 0;
}

/* A route that sends no heartbeat; NULL: all do. */
static const struct route *
route_without_heartbeat(const struct config *cfg)
{
	for (size_t i = 0; i < cfg->n_routes; i++) {
		if (route_can_follow(cfg->routes[i]) && cfg->routes[i]->stream.heartbeat_ms == 0)
			return cfg->routes[i];
	}
	return NULL;
}

/* A client that has left is noticed at the next write. */
static void
tell_late_notice(struct doctor *d, double busy)
{
	const struct route *rt = route_without_heartbeat(d->cfg);

	if (rt == NULL) {
		doctor_ok("leaving",
			  "a client that leaves is noticed when it is next sent something (after "
			  "%.0f ms of a busy stream): leave the routes their heartbeats",
			  busy);
		return;
	}
	doctor_warn("leaving",
		    "that a client has left is noticed when it is next sent something, and "
		    "[route %s] has no heartbeat",
		    rt->name);
	doctor_line("[route %s] heartbeat = 15s     # in sluice.ini", rt->name);
}

void
doctor_check_leaving(struct doctor *d)
{
	double silent = leave(d, "events=1&every=20000", LEAVING_AT_ONCE_MS), busy;

	if (silent >= 0) {
		doctor_ok("leaving", "a client that leaves is noticed after %.0f ms", silent);
		return;
	}
	busy = leave(d, "events=60&every=200", LEAVING_MS);
	if (busy < 0) {
		doctor_fail(d, "leaving",
			    "that a client has left is not even noticed when it is "
			    "sent events: its stream goes on");
		doctor_cure(d, CURE_LEAVING);
	} else if (d->server != NULL && d->server->notices_silent) {
		doctor_warn("leaving",
			    "that a client has left is noticed only when it is next sent "
			    "something");
		doctor_cure(d, CURE_LEAVING);
	} else {
		tell_late_notice(d, busy);
	}
}

/* The silent stream is begun early and looked at last, because it takes time. */

void
doctor_begin_silence(struct doctor *d)
{
	char plan[TEXT_LEN];

	if (d->silence_ms == 0)
		return;
	snprintf(plan, sizeof(plan), "events=1&every=%u", d->silence_ms);
	if (doctor_stream_begin(d, &d->silent, d->prefix, plan, "") == 0)
		doctor_stream_run(&d->silent, 1, DOCTOR_ANSWER_MS);
}

void
doctor_check_silence(struct doctor *d)
{
	struct doctor_stream *s = &d->silent;
	double begun = s->n > 0 ? s->came_ms[0] : 0, so_far;

	if (d->silence_ms == 0) {
		doctor_ok("silence", "not tried (--quick)");
		return;
	}
	so_far = (double)(clock_ms() - s->x.begun_ms);
	if (so_far < d->silence_ms && !s->x.is_ended && isatty(STDOUT_FILENO))
		doctor_line("a stream is silent for %.0f s more ...",
			    (d->silence_ms - so_far) / 1e3);
	doctor_stream_run(s, 2, d->silence_ms + DOCTOR_ANSWER_MS);
	if (s->n >= 2) {
		doctor_ok("silence", "a stream may be silent for %.0f s", d->silence_ms / 1e3);
		return;
	}
	if (s->x.is_ended && s->x.ended_ms > 0)
		doctor_fail(d, "silence", "a silent stream is cut after %.1f s",
			    ((double)(s->x.ended_ms - s->x.begun_ms) - begun) / 1e3);
	else
		doctor_fail(d, "silence", "behind a silence of %.0f s nothing came",
			    d->silence_ms / 1e3);
	doctor_cure(d, CURE_SILENCE);
}
