#include <getopt.h>
#include <stdio.h>

#include "cmd.h"
#include "config.h"

int
cmd_options(struct cmd_options *opt, int argc, char **argv)
{
	static const struct option longs[] = {
	    {"help", no_argument, NULL, 'h'},         {"config", required_argument, NULL, 'c'},
	    {"listen", required_argument, NULL, 'l'}, {"json", no_argument, NULL, 'j'},
	    {"stream", no_argument, NULL, 's'},       {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "hc:l:", longs, NULL)) != -1) {
		if (c == 'h') {
			fputs(opt->usage, stdout);
			return 0;
		}
		if (c == 'c') {
			opt->config = optarg;
		} else if (c == 'l' && opt->takes_tail) {
			opt->address = optarg;
		} else if (c == 'j' && opt->takes_tail) {
			opt->is_json = true;
		} else if (c == 's' && opt->takes_stream) {
			opt->is_stream = true;
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
