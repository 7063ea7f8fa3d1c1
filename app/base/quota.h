#ifndef SLUICE_BASE_QUOTA_H
#define SLUICE_BASE_QUOTA_H

/*
 * quota - how many of a thing there are in all workers of this machine, for things that are
 * limited: the streams of a user, the messages posted to a route. Each worker gives back what it
 * has taken, and what one that died had taken is given back when its successor begins.
 *
 * Clients choose users and addresses, so a thing is a hash with a seed that is drawn at start. The
 * table has room for some 50,000 things; beyond it they count as over their limit.
 */
#include <stdbool.h>
#include <stdint.h>

/* quota_open - before the workers are forked: n of them. Until then this process counts alone.
 * Returns 0, or a negative errno. */
int quota_open(unsigned n);
void quota_use(unsigned row); /* this process is the worker with this number */

/* quota_key - the key of a kind (a constant) and up to two texts, which may be NULL. */
uint64_t quota_key(const char *kind, const char *a, const char *b);

/* quota_take - takes one more, unless there are max already. */
bool quota_take(uint64_t key, uint64_t max);
void quota_give(uint64_t key);

/*
 * quota_probe - called when a limit is reached: asks all workers to check whether what was taken
 * under the key is still in use. Each worker that has taken it sees the key in quota_probed(), once
 * within ms.
 */
void quota_probe(uint64_t key, uint64_t ms, uint64_t now_ms);

/* quota_probed - the keys since *seen, which is 0 at first, into keys. Returns how many: at most
 * QUOTA_PROBES. */
enum { QUOTA_PROBES = 64 };
unsigned quota_probed(uint64_t keys[QUOTA_PROBES], uint32_t *seen);

/*
 * quota_take_in - counts one more in a window of ms, unless there were n already. now_ms is of the
 * monotonic clock. Returns 0; or how many milliseconds are left of the window, which is full.
 */
uint64_t quota_take_in(uint64_t key, uint64_t n, uint64_t ms, uint64_t now_ms);

#endif
