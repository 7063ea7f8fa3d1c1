/*
 * doctor - sends events at known times through the real web server, and names the line of its
 * configuration that stands in the way.
 */
#include "cli/doctor.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "cli/subcommand.h"

enum {
	STREAMS = 50,
	STREAMS_MAX = 4000,
	SILENCE_MIN_MS = 5000,
	SILENCE_MAX_MS = 90000,
	SILENCE_LIMIT_MS = 580000,
};

/* The checks */

static const struct doctor_check {
	void (*run)(struct doctor *d);
	bool needs_redis, needs_reach, needs_flow;
} checks[] = {
    {doctor_check_redis, false, false, false},
    {doctor_check_program, true, false, false},
    {doctor_check_reached, true, false, false},
    {doctor_check_base, true, true, false},
    {doctor_check_proxies, true, true, false},
    {doctor_check_request, true, true, false},
    {doctor_check_buffer, true, true, false},
    {doctor_begin_silence, true, true, true}, /* which then lasts as long as the others */
    {doctor_check_gzip, true, true, false},
    {doctor_check_http2, true, true, false},
    {doctor_check_come_back, true, true, false},
    {doctor_check_leaving, true, true, true},
    {doctor_check_streams, true, true, true},
    {doctor_check_silence, true, true, true},
};

static void
run_checks(struct doctor *d)
{
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		if ((!checks[i].needs_redis || d->has_redis) &&
		    (!checks[i].needs_reach || d->is_reached) &&
		    (!checks[i].needs_flow || !d->is_held_back))
			checks[i].run(d);
	}
	if (d->is_held_back)
		doctor_line("Once events flow, ask again: leaving, limits and silence could not be "
			    "looked at.");
	doctor_stream_end(d, &d->silent);
	doctor_stream_end(d, &d->first);
}

/* The stream must be silent for longer than any heartbeat. */
static unsigned
longest_silence(const struct config *cfg)
{
	uint64_t ms = SILENCE_MIN_MS;

	for (size_t i = 0; i < cfg->n_routes; i++) {
		uint64_t beat = cfg->routes[i]->stream.heartbeat_ms;

		if (route_can_follow(cfg->routes[i]) && beat + beat / 4 > ms)
			ms = beat + beat / 4;
	}
	return ms > SILENCE_MAX_MS ? SILENCE_MAX_MS : (unsigned)ms;
}

/* Returns NULL, or why the options are not understood. */
static const char *
read_options(struct doctor *d, const struct options *opt)
{
	uint64_t n = STREAMS, ms = 0;

	if (opt->streams != NULL &&
	    (units_number(&n, opt->streams) < 0 || n < 1 || n > STREAMS_MAX))
		return "--streams takes a number from 1 to 4000";
	if (opt->silence != NULL &&
	    (units_duration(&ms, opt->silence) < 0 || ms > SILENCE_LIMIT_MS))
		return "--for takes a time up to 9m, as in 30s";
	d->n_streams = (unsigned)n;
	d->silence_ms = (unsigned)ms;
	return NULL;
}

static int
run(const struct options *opt, char **args)
{
	struct doctor d = {.opt = opt, .first.x.fd = -1, .silent.x.fd = -1};
	struct http_url url;
	const char *why;

	if (!http_url_parse(&url, args[0]))
		return command_refuse(opt,
				      "the URL is that of a site, as in http://localhost/events");
	if ((why = read_options(&d, opt)) != NULL)
		return command_refuse(opt, why);
	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
	if (config_load(&d.cfg, opt->config, stderr) < 0)
		return 1;
	if (http_client_init(&d.http, &url, opt->is_insecure) < 0) {
		config_free(d.cfg);
		return 1;
	}
	d.http.cookie = opt->cookie;
	if (opt->silence == NULL)
		d.silence_ms = opt->is_quick ? 0 : longest_silence(d.cfg);
	run_checks(&d);
	http_client_fini(&d.http);
	config_free(d.cfg);
	return d.is_at_fault ? 1 : 0;
}

const struct subcommand doctor_command = {
    .name = "doctor",
    .synopsis = "[-c FILE] [--quick | --for TIME] [--streams N] [--insecure] [--cookie NAME=VALUE] "
		"URL",
    .help = "Sends events at known times through the web server at URL, which is that of Sluice's "
	    "base, and\n"
	    "names the line of its configuration that stands in the way. No route is touched.\n",
    .takes = "cqfniK",
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
