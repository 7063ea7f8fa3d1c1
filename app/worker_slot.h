#ifndef SLUICE_WORKER_SLOT_H
#define SLUICE_WORKER_SLOT_H

/*
 * worker_slot - the place of one worker, as the supervisor sees it: does its loop turn, why did it
 * die, and when may the next one start?
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct worker_slot {
	pid_t pid; /* 0: no worker */
	uint64_t started_ms;
	uint64_t restart_ms; /* not before */
	uint64_t beats;      /* when last looked at */
	uint64_t silent_ms;  /* for how long its beats have not changed, while the supervisor itself
				ran */
	uint64_t aborted_ms; /* when it was sent SIGABRT for that; 0: it was not */
	unsigned n_crashes;  /* in a row, each young */
};

/*
 * worker_slot_begins - the n-th worker has been forked. worker_slot_failed - the fork failed, so it
 * is tried later.
 */
void worker_slot_begins(struct worker_slot *slot, unsigned n, pid_t pid);
void worker_slot_failed(struct worker_slot *slot);

/*
 * worker_slot_died - logs and counts it, and plans the next one. The message that it was working on
 * may have killed it, and may be left out from now on. status is that of waitpid().
 */
void worker_slot_died(struct worker_slot *slot, unsigned n, int status);

/*
 * worker_slot_look - does its loop turn? passed_ms: the time since the last look, while the
 * supervisor itself ran. hung_ms: after how long without a beat it is ended; 0: never.
 */
void worker_slot_look(struct worker_slot *slot, unsigned n, uint64_t passed_ms, uint64_t hung_ms);

/* worker_slot_is_crashing - have so many died young in a row that health reports it? */
bool worker_slot_is_crashing(const struct worker_slot *slot);

#endif
