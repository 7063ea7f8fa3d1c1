#ifndef SLUICE_NOTIFICATIONS_H
#define SLUICE_NOTIFICATIONS_H

/*
 * notifications - is each server of Redis configured to send keyspace notifications
 * (notify-keyspace-events)? Otherwise a route with keyspace would be silent, and nobody would know
 * why.
 */
#include <stdbool.h>
#include <stdint.h>

enum { NOTIFICATIONS_TEXT = 192 };

struct command;

struct notifications {
	char lack[NOTIFICATIONS_TEXT];  /* what is missing, as a sentence; "": nothing */
	char found[NOTIFICATIONS_TEXT]; /* the same, from the servers that have answered so far */
	unsigned n_asked;               /* how many servers have not answered yet */
	uint64_t asked_ms;
};

/*
 * notifications_ask - asks all servers if is_followed, that is if a route follows keys; otherwise
 * nothing is missing. nt must live longer than the command. If a server does not allow the
 * question, it counts as configured.
 */
void notifications_ask(struct notifications *nt, struct command *command, bool is_followed);

/* notifications_look - asks again, every few seconds, while something is missing. */
void notifications_look(struct notifications *nt, struct command *command, bool is_followed);

#endif
