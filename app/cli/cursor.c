/*
 * cursor - where a page that is rendered now must begin to follow a route.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/command.h"
#include "config/config.h"

/*
 * An id that is nobody's: what came before is not wanted, wherever the route lets a newcomer begin,
 * and the first frame says where the stream stands.
 */
#define NOBODYS_ID "now"

/* The value of a field of the frame, up to its line's end; NULL. */
static const char *
field(const char *frame, const char *end, const char *name, size_t *len)
{
	size_t name_len = strlen(name);

	for (const char *p = frame, *eol; p < end; p = eol + 1) {
		if ((eol = memchr(p, '\n', (size_t)(end - p))) == NULL)
			eol = end;
		if ((size_t)(eol - p) >= name_len && memcmp(p, name, name_len) == 0) {
			*len = (size_t)(eol - p) - name_len;
			return p + name_len;
		}
	}
	return NULL;
}

/* The first frame has it, or the route has none. */
static int
take_cursor(struct client *client)
{
	const char *end = memmem(client->text.p, client->text.len, "\n\n", 2), *id;
	size_t len;

	if (end == NULL)
		return 0;
	id = field(client->text.p, end, "id: ", &len);
	if (id == NULL || field(client->text.p, end, "event: stream-open", &len) == NULL)
		return -ENODATA;
	id = field(client->text.p, end, "id: ", &len);
	printf("%.*s\n", (int)len, id);
	return -ECANCELED;
}

static int
run(const struct options *opt, char **args)
{
	struct config *cfg = NULL;
	struct client client;
	int status = 1, rc;

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
		else if (rc == 0)
			client_print_problem(&client);
	}
	client_fini(&client);
	config_free(cfg);
	return status;
}

const struct command cursor_command = {
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
