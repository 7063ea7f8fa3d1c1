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
int cmd_token(int argc, char **argv);

/* cmd_refuse_json - NULL if text is one JSON value (RFC 8259) in UTF-8, else why not; *at is the
 * byte. */
const char *cmd_refuse_json(const char *text, size_t len, size_t *at);

/* What the subcommands share of their options. */
struct cmd_options {
	const char *usage;
	int n_args;
	/*
	 * Of l j s t u k L T C M: --listen, --json, --stream, --timeout, --user, --token, --link,
	 * --ttl, --claim, --may; NULL: none.
	 */
	const char *takes;
	/* What was given: */
	const char *config;  /* never NULL afterwards */
	const char *address; /* this and the following: NULL: not given */
	const char *timeout, *user, *token, *link, *ttl, *may;
	const char **claims; /* of cmd_options_fini() */
	size_t n_claims;
	bool is_json, is_stream;
};

/*
 * cmd_options - read -c and --help, and what else opt takes. Returns -1 to go on, with the first of
 * n_args arguments at argv[optind], else the exit status.
 */
int cmd_options(struct cmd_options *opt, int argc, char **argv);
void cmd_options_fini(struct cmd_options *opt);

/* cmd_token_put - append the token or link that the options ask for. Returns 0; 1 having told why
 * not. */
struct buf;
struct config;
int cmd_token_put(struct buf *b, const struct config *cfg, const struct cmd_options *opt);

#endif
