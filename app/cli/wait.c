/*
 * cmd_wait.c - waits for one event of a route with handler = wait, for scripts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/cmd.h"
#include "config/config.h"

static const char usage[] =
    "usage: sluice wait [-c FILE] [-l ADDRESS] [--timeout MS] PATH\n"
    "Waits for the first message of a route of the running server with handler = wait, and prints\n"
    "it. Exits with 3 if none came in time. ADDRESS is unix:PATH or HOST:PORT, by default the\n"
    "\"listen\" of the configuration. PATH may have a query: ?after=ID.\n";

static void
print_answer(const struct client *client)
{
	size_t len = client->text.len;

	if (len > 0)
		fwrite(client->text.p, 1, len, stdout);
	putchar('\n');
}

int
cmd_wait(int argc, char **argv)
{
	struct cmd_options opt = {.usage = usage, .n_args = 1, .takes = "lt"};
	struct config *cfg = NULL;
	struct client client;
	char *path = NULL;
	int status = cmd_options(&opt, argc, argv);

	if (status >= 0)
		return status;
	status = 1;
	client_init(&client, "wait");
	client.accept = "application/json";
	client.refuses_streams = true;
	if (opt.timeout == NULL)
		path = strdup(argv[optind]);
	else if (asprintf(&path, "%s%stimeout=%s", argv[optind],
			  strchr(argv[optind], '?') != NULL ? "&" : "?", opt.timeout) < 0)
		path = NULL;
	if (path == NULL) {
		fputs("sluice wait: out of memory\n", stderr);
	} else if (config_load(&cfg, opt.config, stderr) == 0 &&
		   client_ask(&client, cfg, opt.address, path) == 0) {
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
