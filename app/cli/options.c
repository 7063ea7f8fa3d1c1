#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "config/config.h"

static int
add_claim(struct cmd_options *opt)
{
	const char **v = reallocarray(opt->claims, opt->n_claims + 1, sizeof(*v));

	if (v == NULL)
		return -ENOMEM;
	opt->claims = v;
	v[opt->n_claims++] = optarg;
	return 0;
}

/* The text that an option sets; NULL for one that is no text. */
static const char **
text_of(struct cmd_options *opt, int c)
{
	switch (c) {
	case 'l':
		return &opt->address;
	case 't':
		return &opt->timeout;
	case 'u':
		return &opt->user;
	case 'k':
		return &opt->token;
	case 'L':
		return &opt->link;
	case 'T':
		return &opt->ttl;
	case 'M':
		return &opt->may;
	default:
		return NULL;
	}
}

static int
set(struct cmd_options *opt, int c)
{
	if (text_of(opt, c) != NULL)
		*text_of(opt, c) = optarg;
	else if (c == 'C')
		return add_claim(opt);
	else if (c == 'j')
		opt->is_json = true;
	else
		opt->is_stream = true;
	return 0;
}

void
cmd_options_fini(struct cmd_options *opt)
{
	free(opt->claims);
	opt->claims = NULL;
	opt->n_claims = 0;
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
	    {"user", required_argument, NULL, 'u'},
	    {"token", required_argument, NULL, 'k'},
	    {"link", required_argument, NULL, 'L'},
	    {"ttl", required_argument, NULL, 'T'},
	    {"claim", required_argument, NULL, 'C'},
	    {"may", required_argument, NULL, 'M'},
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
		} else if (c == '?' || opt->takes == NULL || strchr(opt->takes, c) == NULL ||
			   set(opt, c) < 0) {
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
