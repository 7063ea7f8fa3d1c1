/*
 * check - is the configuration in order? And which route serves a path.
 */
#include <stdio.h>

#include "cli/subcommand.h"
#include "cli/connect.h"
#include "cli/explain.h"
#include "cli/sharing.h"
#include "config/config.h"

/* Logic that uses a parameter runs once for each of its values, so it is better to know. */
static void
tell_logic(const struct route *rt)
{
	const struct stages *st = &rt->stream.stages;
	char text[SHARING_TEXT];
	const char *name;

	if (stages_is_empty(st))
		return;
	printf("[route %s]", rt->name);
	for (size_t n = 0; (name = stages_name(st, n)) != NULL; n++)
		printf(" %s", name);
	printf(": shared by %s\n", sharing_text(rt, text));
}

static void
tell(const struct config *cfg, const char *path)
{
	for (size_t i = 0; i < cfg->n_routes; i++)
		tell_logic(cfg->routes[i]);
	printf("%s: %zu route%s, fine\n", path, cfg->n_routes, cfg->n_routes == 1 ? "" : "s");
}

static int
run(const struct options *opt, char **args)
{
	const char *path = args[0] != NULL ? args[0] : opt->config;
	struct config *cfg;
	int status = 0;

	if (opt->explain != NULL && opt->is_connect)
		return command_refuse(opt, "one of --explain and --connect");
	if (config_load(&cfg, path, stderr) < 0)
		return 1;
	if (cfg->notes != NULL)
		fputs(cfg->notes, stderr);
	if (opt->explain != NULL)
		status = explain_path(cfg, opt->explain);
	else if (opt->is_connect)
		status = connect_check(cfg);
	else
		tell(cfg, path);
	config_free(cfg);
	return status;
}

const struct subcommand check_command = {
    .name = "check",
    .synopsis = "[-c] [FILE]\n[-c FILE] --explain PATH\n[-c FILE] --connect",
    .help = "Reads the configuration as the server would; tells every fault as FILE:LINE: what is "
	    "wrong,\n"
	    "and notes what is allowed and hardly meant.\n",
    .takes = "ceo",
    .max_args = 1,
    .run = run,
};
