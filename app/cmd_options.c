#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "config.h"

/* Which field an option sets. */
static void
set(struct cmd_options *opt, int c)
{
	switch (c) {
	case 'l':
		opt->address = optarg;
		break;
	case 'j':
		opt->is_json = true;
		break;
	case 's':
		opt->is_stream = true;
		break;
	default:
		opt->timeout = optarg;
		break;
	}
}

int
cmd_options(struct cmd_options *opt, int argc, char **argv)
{
	static const struct option longs[] = {
	    {"help", no_argument, NULL, 'h'},
	    {"config", required_argument, NULL, 'c'},
	    {"listen", required_argument, NULL, 'l'},
	    {"json", no_argument, NULL, 'j'},
	    {"stream", no_argument, NULL, 's'},
	    {"timeout", required_argument, NULL, 't'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "hc:l:", longs, NULL)) != -1) {
		if (c == 'h') {
			fputs(opt->usage, stdout);
			return 0;
		}
		if (c == 'c') {
			opt->config = optarg;
		} else if (c != '?' && opt->takes != NULL && strchr(opt->takes, c) != NULL) {
			set(opt, c);
		} else {
			fputs(opt->usage, stderr);
			return 2;
		}
	}
	if (argc - optind != opt->n_args) {
		fputs(opt->usage, stderr);
		return 2;
	}
	opt->config = config_path(opt->config);
	return -1;
}
