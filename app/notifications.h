#ifndef SLUICE_NOTIFICATIONS_H
#define SLUICE_NOTIFICATIONS_H

/*
 * notifications - is each server of Redis set to tell of keys (notify-keyspace-events)? Without it
 * a route with keyspace would be silent, and nobody would know why.
 */
#include <stdbool.h>
#include <stdint.h>

enum { NOTIFICATIONS_TEXT = 192 };

struct command;

struct notifications {
	char lack[NOTIFICATIONS_TEXT];  /* what is not set, as a sentence; "": nothing */
	char found[NOTIFICATIONS_TEXT]; /* by those servers that have answered */
	unsigned n_asked;               /* servers, which have not answered yet */
	uint64_t asked_ms;
};

/*
 * notifications_ask - ask all servers, if is_followed: a route follows keys; else nothing is
 * lacking. nt must outlive the command. What may not be asked is taken for set.
 */
void notifications_ask(struct notifications *nt, struct command *command, bool is_followed);

/* notifications_look - ask again, every few seconds, whether what was lacking is set by now. */
void notifications_look(struct notifications *nt, struct command *command, bool is_followed);

#endif
