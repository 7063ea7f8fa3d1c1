#ifndef SLUICE_CLI_COMMAND_H
#define SLUICE_CLI_COMMAND_H

/*
 * command - one subcommand: a file with this table, and a line in main.c. What --help says is
 * printed from it, and from the table of options.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct options;

struct command {
	const char *name;
	const char *synopsis; /* behind the name; one form a line; "" for one that takes nothing */
	const char *help;     /* whole lines */
	const char *takes;    /* the letters of its options, in options.c */
	int min_args, max_args;
	bool is_default;               /* what happens without a name */
	void (*print_usage)(FILE *to); /* NULL: from the above */
	/*
	 * opt and args, which ends with NULL, are borrowed. Returns the exit status: 0; 1 for what
	 * failed, with a line on stderr; COMMAND_USAGE for a command line that is not understood.
	 */
	int (*run)(const struct options *opt, char **args);
};

enum { COMMAND_USAGE = 2 };

extern const struct command check_command, cursor_command, dev_command, doctor_command,
    emit_command, routes_command, tail_command, token_command, wait_command;

/* What was given; NULL: it was not. */
struct options {
	const struct command *command;
	const char *config; /* never NULL: what -c says, or what holds without it */
	const char *address, *workers, *explain, *timeout, *user, *token, *cookie, *link, *ttl,
	    *may, *upstream, *front, *silence, *streams;
	const char **claims;
	size_t n_claims;
	bool is_json, is_stream, is_connect, is_redis, prints_events, is_quick, is_insecure;
};

/* command_run - argv[0] is the command's own name. Returns the exit status; what it printed has
 * reached its place, or the status is 1. */
int command_run(const struct command *command, int argc, char **argv);

/* command_refuse - why the command line is not understood, on stderr. Returns COMMAND_USAGE. */
int command_refuse(const struct options *opt, const char *why);

/* command_print_synopsis - a line for each form; options_print - of those letters. */
void command_print_synopsis(const struct command *command, const char *before, FILE *to);
void options_print(const char *takes, FILE *to); /* NULL: all */

/* command_refuse_json - NULL if text is one JSON value (RFC 8259) in UTF-8, else why not; *at is
 * the byte. */
const char *command_refuse_json(const char *text, size_t len, size_t *at);

/* command_put_token - append the token or link that the options ask for. Returns 0; 1 having told
 * why not. */
struct buf;
struct config;
int command_put_token(struct buf *b, const struct config *cfg, const struct options *opt);

#endif
