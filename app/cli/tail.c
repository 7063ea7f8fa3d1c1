/*
 * tail - a subscriber in the terminal.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/subcommand.h"
#include "config/config.h"
#include "sse/wire.h"

static void
on_interrupt(int number)
{
	(void)number;
	_exit(0); /* each event was flushed when it came */
}

/* What of a stream is told so far. */
struct tail_state {
	bool is_json, has_begun, is_announced;
};

/* Is the line of NDJSON an event of this name? */
static bool
is_named(const char *line, const char *eol, const char *name)
{
	static const char member[] = ",\"event\":\"";
	const char *p = memmem(line, (size_t)(eol - line), member, strlen(member));
	size_t len = strlen(name);

	if (p == NULL)
		return false;
	p += strlen(member);
	return (size_t)(eol - p) > len && memcmp(p, name, len) == 0 && p[len] == '"';
}

/*
 * A heartbeat is an empty line. A route with announce = no gives no event about the stream: that
 * the last line says the end is for whoever comes back.
 */
static bool
is_shown(struct tail_state *told, const char *line, const char *eol)
{
	if (!told->is_json)
		return true;
	if (line == eol)
		return false;
	if (!told->has_begun)
		told->is_announced = is_named(line, eol, "stream-open");
	told->has_begun = true;
	return told->is_announced || !is_named(line, eol, "stream-done");
}

/*
 * Prints the frames that have come as a whole. If stdout cannot be written any more, no more is
 * read.
 */
static int
print_lines(struct client *client)
{
	const char *p = client->text.p, *end = p + client->text.len, *eol;

	for (; p < end && (eol = memchr(p, '\n', (size_t)(end - p))) != NULL; p = eol + 1) {
		if (is_shown(client->arg, p, eol))
			fwrite(p, 1, (size_t)(eol + 1 - p), stdout);
	}
	if (p != client->text.p)
		buf_consume(&client->text, (size_t)(p - client->text.p));
	return fflush(stdout) == EOF || ferror(stdout) != 0 ? -EIO : 0;
}

static int
run(const struct options *opt, char **args)
{
	struct config *cfg = NULL;
	struct client client;
	struct tail_state told = {.is_json = opt->is_json};
	int status = client_check(opt);

	if (status != 0)
		return status;
	status = 1;
	client_init(&client, "tail");
	client.on_body = print_lines;
	if (opt->is_json)
		client.accept = wire_ndjson.media_type;
	client.arg = &told;
	signal(SIGINT, on_interrupt);
	if (config_load(&cfg, opt->config, stderr) == 0 &&
	    client_authorise(&client, cfg, opt) == 0 &&
	    client_ask(&client, cfg, opt->address, args[0]) == 0) {
		status = client.status != 200;
		if (status != 0)
			client_print_problem(&client);
	}
	client_fini(&client);
	config_free(cfg);
	return status;
}

const struct subcommand tail_command = {
    .name = "tail",
    .synopsis =
	"[-c FILE] [-l ADDRESS] [--json] [--user ID | --token TOKEN | --cookie NAME=VALUE] PATH",
    .help = "Subscribes to a route of the running server and prints each event as it comes. PATH "
	    "may have\n"
	    "a query. Ctrl-C ends it.\n",
    .takes = "cljukK",
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
