/*
 * doctor_limits.c - how many streams the web server carries at a time, and what it answers while no
 * Sluice runs.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor.h"

enum {
	OPENING_MS = 10000, /* how long to wait until all streams are open */
	USUAL_STREAMS = 1000,
	FEW_H2_STREAMS = 32,
	TEXT_LEN = 256,
	PROC_LEN = 4096,
};

/* Limits */

/* A file of /proc about a process into text. Returns false if there is none. */
static bool
read_proc(const char *pid, const char *file, char *text, size_t len)
{
	char path[TEXT_LEN];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%.32s/%s", pid, file);
	if ((f = fopen(path, "re")) == NULL)
		return false;
	n = fread(text, 1, len - 1, f);
	text[n] = '\0';
	fclose(f);
	return true;
}

/* How many descriptors the process may open; 0: it is another program's, or not known. */
static unsigned long
descriptors_of(const char *pid, const char *process)
{
	static const char line[] = "Max open files";
	char text[PROC_LEN];
	const char *at;

	if (!read_proc(pid, "comm", text, sizeof(text)))
		return 0;
	text[strcspn(text, "\n")] = '\0';
	if (strcmp(text, process) != 0 || !read_proc(pid, "limits", text, sizeof(text)) ||
	    (at = strstr(text, line)) == NULL)
		return 0;
	return strtoul(at + strlen(line), NULL, 10);
}

/* The least that any process of the web server on this machine may open; 0: there is none. */
static unsigned long
fewest_descriptors(const char *process)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;
	unsigned long least = 0, n;

	/* cppcheck-suppress readdirCalled; only the main thread asks */
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if ((n = descriptors_of(entry->d_name, process)) > 0 && (least == 0 || n < least))
			least = n;
	}
	if (dir != NULL)
		closedir(dir);
	return least;
}

static void
check_descriptors(struct doctor *d)
{
	uint64_t wanted =
	    d->cfg->server.max_subscribers > 0 ? d->cfg->server.max_subscribers : USUAL_STREAMS;
	unsigned long n = d->server != NULL ? fewest_descriptors(d->server->process) : 0;

	if (n == 0 || n / d->server->descriptors >= wanted)
		return;
	doctor_warn("limits", "%s may open %lu files, enough for some %lu streams", d->server->name,
		    n, n / d->server->descriptors);
	doctor_cure(d, CURE_LIMIT);
}

struct opening {
	struct doctor_stream *v;
	unsigned n;
};

static unsigned
count_open(const struct opening *o)
{
	unsigned n = 0;

	for (unsigned i = 0; i < o->n; i++)
		n += o->v[i].greeting != NULL;
	return n;
}

static bool
are_all_open(void *arg)
{
	const struct opening *o = arg;

	return count_open(o) == o->n;
}

/* Opens as many as it takes, up to n. */
static unsigned
open_streams(struct doctor *d, struct opening *o, unsigned n)
{
	struct http_exchange **all = calloc(n + 1, sizeof(struct http_exchange *));
	unsigned n_open;

	while (all != NULL && o->n < n) {
		struct doctor_stream *s = &o->v[o->n];

		if (doctor_stream_begin(d, s, d->prefix, "events=30&every=1000", "") < 0)
			break;
		all[o->n++] = &s->x;
	}
	if (all != NULL)
		http_run(all, o->n, OPENING_MS, are_all_open, o);
	n_open = count_open(o);
	free(all);
	return n_open;
}

void
doctor_check_streams(struct doctor *d)
{
	struct opening o = {.v = calloc(d->n_streams + 1, sizeof(*o.v))};
	unsigned n;

	if (o.v == NULL)
		return;
	n = open_streams(d, &o, d->n_streams);
	if (n < d->n_streams) {
		doctor_fail(d, "streams", "of %u streams at once only %u are open", d->n_streams,
			    n);
		doctor_cure(d, CURE_LIMIT);
	} else {
		doctor_ok("streams", "%u at once are open", n);
		check_descriptors(d);
	}
	for (unsigned i = 0; i < d->n_streams; i++) {
		if (*o.v[i].key != '\0')
			doctor_stream_end(d, &o.v[i]);
	}
	free(o.v);
}

void
doctor_check_http2(struct doctor *d)
{
	long n;

	if (!d->http.url.is_tls) {
		doctor_ok("http2", "not with http://: a browser has six streams of a site at most");
		return;
	}
	n = http_h2_streams(&d->http);
	if (d->server != NULL && d->server->h2_at_once > 0 && n > d->server->h2_at_once)
		n = d->server->h2_at_once;
	if (n < 0) {
		doctor_warn("http2", "HTTP/1.1 alone: a browser has six streams of a site at most");
		doctor_cure(d, CURE_HTTP2);
	} else if (n > 0 && n < FEW_H2_STREAMS) {
		doctor_warn("http2", "of an HTTP/2 connection %s serves %ld streams at a time",
			    doctor_server_name(d), n);
		doctor_line("let all tabs of a browser share one: www/sluice.js");
	} else {
		doctor_ok("http2", "a connection has %ld streams at most", n);
	}
}

/* What is answered while no Sluice runs: one request ends as if it had died. */
void
doctor_check_come_back(struct doctor *d)
{
	struct doctor_stream s;

	if (doctor_stream_begin(d, &s, d->prefix, "drop=1", "") == 0)
		doctor_stream_run(&s, 1, DOCTOR_ANSWER_MS);
	if (s.is_sent_away && s.x.status == 200) {
		doctor_ok("come back", "while no Sluice runs an EventSource is told to try again");
	} else {
		doctor_warn("come back",
			    "while no Sluice runs an EventSource is told %d and never "
			    "comes back",
			    s.x.status);
		doctor_cure(d, CURE_COME_BACK);
	}
	doctor_stream_end(d, &s);
}
