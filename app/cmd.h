#ifndef SLUICE_CMD_H
#define SLUICE_CMD_H

/*
 * cmd - the subcommands. argv[0] is the subcommand's own name.
 *
 * Return the exit status: 0; 1 for what failed, with a line on stderr; 2 for a command line
 * that is not understood.
 */
#include <stdbool.h>
#include <stddef.h>

int cmd_check(int argc, char **argv);
int cmd_routes(int argc, char **argv);
int cmd_emit(int argc, char **argv);
int cmd_tail(int argc, char **argv);
int cmd_wait(int argc, char **argv);

/* cmd_refuse_json - NULL if text is one JSON value (RFC 8259) in UTF-8, else why not; *at is the
 * byte. */
const char *cmd_refuse_json(const char *text, size_t len, size_t *at);

/* What the subcommands share of their options. */
struct cmd_options {
	const char *usage;
	int n_args;
	const char *takes; /* of l j s t: --listen, --json, --stream, --timeout; NULL: none */
	/* What was given: */
	const char *config;  /* never NULL afterwards */
	const char *address; /* NULL: not given */
	const char *timeout; /* NULL: not given */
	bool is_json, is_stream;
};

/*
 * cmd_options - read -c and --help, and what else opt takes. Returns -1 to go on, with the first of
 * n_args arguments at argv[optind], else the exit status.
 */
int cmd_options(struct cmd_options *opt, int argc, char **argv);

#endif
