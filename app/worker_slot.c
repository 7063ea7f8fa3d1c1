#include "worker_slot.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/board.h"
#include "base/clock.h"
#include "base/logger.h"
#include "base/poison.h"

enum {
	/*
	 * If a worker and its successor both die so young, the next one starts after a pause, which
	 * doubles each time. So workers that cannot live do not take the whole machine.
	 */
	YOUNG_MS = 5000,
	NEWBORN_MS = 1000, /* if it dies younger than this, there is a pause at once */
	PAUSE_MS = 500,
	PAUSE_MAX_MS = 8000,
	CRASHES = 3,     /* if this many die in a row, health reports it */
	ABORT_MS = 1000, /* the time from SIGABRT, which leaves a core, to SIGKILL */
};

void
worker_slot_begins(struct worker_slot *slot, unsigned n, pid_t pid)
{
	slot->pid = pid;
	slot->started_ms = clock_ms();
	slot->beats = board_beats(n);
	slot->restart_ms = slot->silent_ms = slot->aborted_ms = 0;
}

void
worker_slot_failed(struct worker_slot *slot)
{
	slot->restart_ms = clock_ms() + PAUSE_MS;
}

bool
worker_slot_is_crashing(const struct worker_slot *slot)
{
	return slot->n_crashes >= CRASHES;
}

static void
log_death(pid_t pid, int status)
{
	if (WIFSIGNALED(status))
		logger_error("worker %d was killed by signal %d (%s)", (int)pid, WTERMSIG(status),
			     strsignal(WTERMSIG(status)));
	else
		logger_error("worker %d ended with status %d", (int)pid, WEXITSTATUS(status));
}

/*
 * Looks at the message that the worker was working on. If another worker has died of it before, it
 * may be left out from now on.
 */
static void
look_at_its_work(unsigned n, int status, bool has_hung)
{
	char reason[64];
	const struct poison *p;
	unsigned n_deaths;

	if (has_hung)
		snprintf(reason, sizeof(reason), "the worker hung");
	else if (WIFSIGNALED(status))
		snprintf(reason, sizeof(reason), "signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(reason, sizeof(reason), "exit status %d", WEXITSTATUS(status));
	if ((p = poison_died(n, reason, clock_ms(), &n_deaths)) == NULL)
		return;
	logger_error("[route %s] a worker died at %s%s%s%s", p->route,
		     p->id_len > 0 ? "the entry " : "", p->id,
		     p->id_len > 0 ? " of " : "a message on ", p->subject);
	if (n_deaths != POISON_DEATHS)
		return;
	board_set(BOARD_POISONS, board_get(BOARD_POISONS) + 1);
	logger_error(
	    "[route %s] two workers have died at this message: it is left out from now on, "
	    "and goes to the quarantine",
	    p->route);
}

static void
count_death(const struct worker_slot *slot)
{
	enum board_fact fact = slot->aborted_ms > 0 ? BOARD_HUNG : BOARD_DIED;

	board_set(fact, board_get(fact) + 1);
}

/* When the next one may begin. */
static void
plan_restart(struct worker_slot *slot)
{
	uint64_t now = clock_ms(), age = now - slot->started_ms, pause;

	slot->n_crashes = age < YOUNG_MS ? slot->n_crashes + 1 : 0;
	pause = age < NEWBORN_MS ? PAUSE_MS : 0;
	if (slot->n_crashes > 1)
		pause = (uint64_t)PAUSE_MS << (slot->n_crashes < 6 ? slot->n_crashes - 1 : 5);
	if (pause > PAUSE_MAX_MS)
		pause = PAUSE_MAX_MS;
	slot->restart_ms = now + pause;
	if (worker_slot_is_crashing(slot))
		logger_error("a worker has died %u times in a row, each within %d s of its start: "
			     "the next one starts in %u ms",
			     slot->n_crashes, YOUNG_MS / 1000, (unsigned)pause);
}

void
worker_slot_died(struct worker_slot *slot, unsigned n, int status)
{
	log_death(slot->pid, status);
	look_at_its_work(n, status, slot->aborted_ms > 0);
	count_death(slot);
	plan_restart(slot);
	slot->pid = 0;
}

/* Workers that hang */

static void
end_hung(struct worker_slot *slot, uint64_t now)
{
	if (slot->aborted_ms == 0) {
		logger_error("worker %d has not turned for %u ms: it is ended", (int)slot->pid,
			     (unsigned)slot->silent_ms);
		kill(slot->pid, SIGABRT);
		slot->aborted_ms = now;
	} else if (now - slot->aborted_ms >= ABORT_MS) {
		kill(slot->pid, SIGKILL);
	}
}

void
worker_slot_look(struct worker_slot *slot, unsigned n, uint64_t passed_ms, uint64_t hung_ms)
{
	uint64_t now = clock_ms(), beats = board_beats(n);

	slot->silent_ms = beats == slot->beats ? slot->silent_ms + passed_ms : 0;
	slot->beats = beats;
	if (slot->pid > 0 && hung_ms > 0 && (slot->aborted_ms > 0 || slot->silent_ms >= hung_ms))
		end_hung(slot, now);
	if (slot->n_crashes > 0 && slot->pid > 0 && now - slot->started_ms >= YOUNG_MS)
		slot->n_crashes = 0;
}
