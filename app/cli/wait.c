/*
 * wait - waits for one event of a route with handler = wait, for scripts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/subcommand.h"
#include "config/config.h"

static void
print_answer(const struct client *client)
{
	size_t len = client->text.len;

	if (len > 0)
		fwrite(client->text.p, 1, len, stdout);
	putchar('\n');
}

/* The path, its query with the time; for the caller to free. */
static char *
make_path(const struct options *opt, const char *path)
{
	char *text;

	if (opt->timeout == NULL)
		return strdup(path);
	return asprintf(&text, "%s%stimeout=%s", path, strchr(path, '?') != NULL ? "&" : "?",
			opt->timeout) < 0
		   ? NULL
		   : text;
}

static int
run(const struct options *opt, char **args)
{
	struct config *cfg = NULL;
	struct client client;
	int status = client_check(opt);
	char *path;

	if (status != 0)
		return status;
	status = 1;
	path = make_path(opt, args[0]);
	client_init(&client, "wait");
	client.accept = "application/json";
	client.refuses_streams = true;
	if (path == NULL) {
		fputs("sluice wait: out of memory\n", stderr);
	} else if (config_load(&cfg, opt->config, stderr) == 0 &&
		   client_authorise(&client, cfg, opt) == 0 &&
		   client_ask(&client, cfg, opt->address, path) == 0) {
		status = client.status == 200 ? 0 : client.status == 504 ? 3 : 1;
		if (status == 0)
			print_answer(&client);
		else
			client_print_problem(&client);
	}
	free(path);
	client_fini(&client);
	config_free(cfg);
	return status;
}

const struct subcommand wait_command = {
    .name = "wait",
    .synopsis =
	"[-c FILE] [-l ADDRESS] [--timeout MS] [--user ID | --token TOKEN | --cookie NAME=VALUE] "
	"PATH",
    .help = "Waits for the first message of a route of the running server with handler = wait, and "
	    "prints\n"
	    "it. Exits with 3 if none came in time. PATH may have a query: ?after=ID.\n",
    .takes = "cltukK",
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
