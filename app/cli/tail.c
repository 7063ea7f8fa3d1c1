/*
 * tail - a subscriber in the terminal.
 */
#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/command.h"
#include "config/config.h"

#define FRAME_MAX ((size_t)64 << 20)

static void
on_interrupt(int number)
{
	(void)number;
	_exit(0); /* each event was flushed when it came */
}

/* One frame without its blank line, as {"id":…,"event":…,"data":…}; a comment prints nothing. */
static void
print_json(const char *p, const char *end)
{
	struct json_object *o = json_object_new_object();
	struct buf data;
	bool has_data = false;

	buf_init(&data, FRAME_MAX);
	for (const char *eol; p < end; p = eol + 1) {
		const char *value;

		if ((eol = memchr(p, '\n', (size_t)(end - p))) == NULL)
			eol = end;
		if ((value = memchr(p, ':', (size_t)(eol - p))) == NULL || value == p)
			continue;
		value += value + 1 < eol && value[1] == ' ' ? 2 : 1;
		if (strncmp(p, "data:", 5) == 0) {
			if (has_data)
				(void)buf_putc(&data, '\n');
			(void)buf_put(&data, value, (size_t)(eol - value));
			has_data = true;
		} else if (strncmp(p, "id:", 3) == 0) {
			json_object_object_add(
			    o, "id", json_object_new_string_len(value, (int)(eol - value)));
		} else if (strncmp(p, "event:", 6) == 0) {
			json_object_object_add(
			    o, "event", json_object_new_string_len(value, (int)(eol - value)));
		}
	}
	if (has_data) {
		json_object_object_add(
		    o, "data",
		    json_object_new_string_len(data.len > 0 ? data.p : "", (int)data.len));
		puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
							   JSON_C_TO_STRING_NOSLASHESCAPE));
	}
	buf_fini(&data);
	json_object_put(o);
}

/* What is whole of the stream. Nobody reads on what cannot be written. */
static int
print_frames(struct client *client)
{
	const struct options *opt = client->arg;
	const char *end;

	while (client->text.len > 0 &&
	       (end = memmem(client->text.p, client->text.len, "\n\n", 2)) != NULL) {
		size_t len = (size_t)(end + 2 - client->text.p);

		if (opt->is_json)
			print_json(client->text.p, end + 1);
		else
			fwrite(client->text.p, 1, len, stdout);
		buf_consume(&client->text, len);
	}
	return fflush(stdout) == EOF || ferror(stdout) != 0 ? -EIO : 0;
}

static int
run(const struct options *opt, char **args)
{
	struct config *cfg = NULL;
	struct client client;
	int status = 1;

	client_init(&client, "tail");
	client.on_body = print_frames;
	client.arg = opt;
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

const struct command tail_command = {
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
