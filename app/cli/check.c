/*
 * cmd_check.c - is the configuration in order?
 */
#include <stdio.h>

#include "cli/cmd.h"
#include "config/config.h"
#include "cli/sharing.h"

static const char usage[] =
    "usage: sluice check [-c FILE]\n"
    "Reads the configuration as the server would; tells every fault as FILE:LINE: what is wrong.\n";

/* Logic that looks at a parameter is done for each of its values: better known before. */
static void
tell_logic(const struct route *rt)
{
	const struct stages *st = &rt->stream.stages;
	char text[SHARING_TEXT];

	if (stages_is_empty(st))
		return;
	printf("[route %s]%s%s%s%s%s: shared by %s\n", rt->name,
	       st->filter != NULL ? " filter" : "", st->transform != NULL ? " transform" : "",
	       st->script != NULL ? " script" : "", !shape_is_empty(&st->shape) ? " fields" : "",
	       st->until != NULL ? " until" : "", sharing_text(rt, text));
}

int
cmd_check(int argc, char **argv)
{
	struct cmd_options opt = {.usage = usage};
	struct config *cfg;
	int status = cmd_options(&opt, argc, argv);

	if (status >= 0)
		return status;
	if (config_load(&cfg, opt.config, stderr) < 0)
		return 1;
	if (cfg->notes != NULL)
		fputs(cfg->notes, stderr);
	for (size_t i = 0; i < cfg->n_routes; i++)
		tell_logic(cfg->routes[i]);
	printf("%s: %zu route%s, fine\n", opt.config, cfg->n_routes, cfg->n_routes == 1 ? "" : "s");
	config_free(cfg);
	return 0;
}
