/*
 * cursor - prints where a page that is rendered now must begin to follow a route.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/subcommand.h"
#include "config/config.h"
#include "sse/frame.h"

/*
 * An id that no stream has. With it the past is not sent, wherever the route lets new clients
 * begin, and the first frame says where the stream stands.
 */
#define NOBODYS_ID "now"

/* The id stands in the first frame, or the route has none. */
static int
take_cursor(struct client *client)
{
	const char *end = memmem(client->text.p, client->text.len, "\n\n", 2);
	struct frame said;

	if (end == NULL)
		return 0;
	frame_read(&said, client->text.p, end + 1);
	if (said.id == NULL || said.type_len != strlen("stream-open") ||
	    memcmp(said.type, "stream-open", said.type_len) != 0)
		return -ENODATA;
	printf("%.*s\n", (int)said.id_len, said.id);
	return -ECANCELED;
}

static int
run(const struct options *opt, char **args)
{
	struct config *cfg = NULL;
	struct client client;
	int status = client_check(opt), rc;

	if (status != 0)
		return status;
	status = 1;
	client_init(&client, "cursor");
	client.on_body = take_cursor;
	client.last_event_id = NOBODYS_ID;
	if (config_load(&cfg, opt->config, stderr) == 0 &&
	    client_authorise(&client, cfg, opt) == 0) {
		rc = client_ask(&client, cfg, opt->address, args[0]);
		status = rc != -ECANCELED;
		if (rc == -ENODATA)
			fputs("sluice cursor: the route does not say where it stands: it has "
			      "neither streams nor record, or announce = no\n",
			      stderr);
		else if (rc == 0 && client.status == 200)
			fputs("sluice cursor: the path gives no stream\n", stderr);
		else if (rc == 0)
			client_print_problem(&client);
	}
	client_fini(&client);
	config_free(cfg);
	return status;
}

const struct subcommand cursor_command = {
    .name = "cursor",
    .synopsis = "[-c FILE] [-l ADDRESS] [--user ID | --token TOKEN | --cookie NAME=VALUE] PATH",
    .help =
	"Prints the id at which a page that is rendered now must begin to follow a route: read it\n"
	"before the page's data, and give it to the page as its Last-Event-ID.\n",
    .takes = "clukK",
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
