/*
 * cmd_check.c - is the configuration in order?
 */
#include <stdio.h>

#include "cmd.h"
#include "config.h"

static const char usage[] =
    "usage: sluice check [-c FILE]\n"
    "Reads the configuration as the server would; tells every fault as FILE:LINE: what is wrong.\n";

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
	printf("%s: %zu route%s, fine\n", opt.config, cfg->n_routes, cfg->n_routes == 1 ? "" : "s");
	config_free(cfg);
	return 0;
}
