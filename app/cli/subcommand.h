#ifndef SLUICE_CLI_SUBCOMMAND_H
#define SLUICE_CLI_SUBCOMMAND_H

/*
 * subcommand - each is a file with this table, and a line in main.c. --help is printed from
 * this table and from the table of options.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct options;

struct subcommand {
	const char *name;
	const char *synopsis; /* what stands behind the name, one form a line; "" if nothing does */
	const char *help;     /* whole lines */
	const char *takes;    /* the letters of its options, in options.c */
	int min_args, max_args;
	bool is_default;               /* it runs if no name is given */
	void (*print_usage)(FILE *to); /* NULL: from the above */
	/*
	 * opt and args, which ends with NULL, are borrowed. Returns the exit status: 0; 1 if
	 * something failed, with a line on stderr; COMMAND_USAGE if the command line is not
	 * understood.
	 */
	int (*run)(const struct options *opt, char **args);
};

enum { COMMAND_USAGE = 2 };

extern const struct subcommand check_command, cursor_command, dev_command, doctor_command,
    emit_command, routes_command, tail_command, token_command, wait_command;

/* The given options; NULL: it was not given. */
struct options {
	const struct subcommand *command;
	const char *config; /* never NULL: what -c says, or its default */
	const char *address, *workers, *explain, *timeout, *user, *token, *cookie, *link, *ttl,
	    *may, *upstream, *front, *silence, *streams;
	const char **claims;
	size_t n_claims;
	bool is_json, is_stream, is_connect, is_redis, prints_events, is_quick, is_insecure;
};

/*
 * subcommand_run - argv[0] is the command's own name. Returns the exit status, which is 1 if its
 * output could not be written.
 */
int subcommand_run(const struct subcommand *command, int argc, char **argv);

/*
 * command_refuse - prints on stderr why the command line is not understood. Returns COMMAND_USAGE.
 */
int command_refuse(const struct options *opt, const char *why);

/*
 * subcommand_print_synopsis - prints a line for each form; options_print - prints the options with
 * those letters.
 */
void subcommand_print_synopsis(const struct subcommand *command, const char *before, FILE *to);
void options_print(const char *takes, FILE *to); /* NULL: all */

/*
 * emit.c: command_refuse_json - NULL if text is one JSON value (RFC 8259) in UTF-8, else why it is
 * not; *at is the offset.
 */
const char *command_refuse_json(const char *text, size_t len, size_t *at);

/*
 * token.c: command_put_token - appends the token or link that the options ask for. Returns 0; 1
 * having printed why not.
 */
struct buf;
struct config;
int command_put_token(struct buf *b, const struct config *cfg, const struct options *opt);

#endif
