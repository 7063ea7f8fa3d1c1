#ifndef SLUICE_SLOT_H
#define SLUICE_SLOT_H

/*
 * slot - a worker's place, as its supervisor knows it: whether it turns, what is made of its death,
 * and when the next one may begin.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct slot {
	pid_t pid; /* 0: no worker */
	uint64_t started_ms;
	uint64_t restart_ms; /* not before */
	uint64_t beats;      /* when last looked at */
	uint64_t silent_ms;  /* for how long they have not changed, as far as we turned ourselves */
	uint64_t aborted_ms; /* when it was told to die for it; 0: it was not */
	unsigned n_crashes;  /* in a row, each young */
};

/* slot_begins - the n-th worker has been forked. slot_failed - it could not be: later, then. */
void slot_begins(struct slot *slot, unsigned n, pid_t pid);
void slot_failed(struct slot *slot);

/*
 * slot_died - log it, count it, plan the next one. What it had in work may have killed it: of that
 * nobody may have to learn. status: as waitpid() tells it.
 */
void slot_died(struct slot *slot, unsigned n, int status);

/*
 * slot_look - does it turn? passed_ms: since the last look, as far as the supervisor turned itself.
 * hung_ms: of silence, from which on it is ended; 0: it is not looked for.
 */
void slot_look(struct slot *slot, unsigned n, uint64_t passed_ms, uint64_t hung_ms);

/* slot_is_crashing - so many have died young in a row that health tells of it. */
bool slot_is_crashing(const struct slot *slot);

#endif
