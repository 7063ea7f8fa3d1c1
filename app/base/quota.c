#include "base/quota.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/shared.h"

enum { SLOTS = 65536, PROBES = 64, ROWS_MAX = 256 };

/* A slot whose counts are all zero is free. A window counts in row 0, until it ends. */
struct quota_slot {
	uint64_t key;
	uint64_t window_ends_ms; /* 0: it is no window */
	uint32_t n[];            /* by row */
};

struct probe {
	uint64_t key, until_ms;
};

struct quota_table {
	pthread_mutex_t lock;              /* robust: a worker may die while it holds it */
	struct probe probes[QUOTA_PROBES]; /* a ring */
	_Atomic uint32_t n_probes;         /* all that ever were; looked at without the lock */
	uint64_t seed;
	unsigned n_rows;
	bool was_used[ROWS_MAX];
	_Alignas(8) char slots[];
};

static struct quota_table *table;
static unsigned own_row;

static size_t
slot_size(unsigned n_rows)
{
	size_t size = offsetof(struct quota_slot, n) + n_rows * sizeof(uint32_t);

	return (size + 7) / 8 * 8;
}

static struct quota_slot *
nth(size_t i)
{
	return (struct quota_slot *)(void *)(table->slots + i % SLOTS * slot_size(table->n_rows));
}

static int
init_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;
	int rc;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	rc = pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
	return -rc;
}

int
quota_open(unsigned n)
{
	void *p;
	int rc = shared_map(&p, "sluice quota", sizeof(struct quota_table), SLOTS, slot_size(n));

	if (rc < 0)
		return rc;
	table = p;
	table->n_rows = n;
	if ((rc = init_lock(&table->lock)) < 0)
		return rc;
	if (getrandom(&table->seed, sizeof(table->seed), 0) != (ssize_t)sizeof(table->seed))
		return -EIO;
	return 0;
}

static void
lock(void)
{
	/* Each change is of one count, so what a dead worker left is consistent. */
	if (pthread_mutex_lock(&table->lock) == EOWNERDEAD)
		pthread_mutex_consistent(&table->lock);
}

static void
unlock(void)
{
	pthread_mutex_unlock(&table->lock);
}

/* If quota_open() was not called, this process counts alone. */
static bool
is_open(void)
{
	return table != NULL || quota_open(1) == 0;
}

void
quota_use(unsigned row)
{
	size_t i;

	own_row = row;
	if (!is_open())
		return;
	lock();
	for (i = 0; table->was_used[row] && i < SLOTS; i++) {
		if (nth(i)->window_ends_ms == 0)
			nth(i)->n[row] = 0;
	}
	table->was_used[row] = true;
	unlock();
}

static uint64_t
mix(uint64_t h, const char *text)
{
	for (; text != NULL && *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3U; /* FNV-1a */
	return (h ^ 0xff) * 0x100000001b3U; /* so that "ab" "c" and "a" "bc" differ */
}

uint64_t
quota_key(const char *kind, const char *a, const char *b)
{
	uint64_t h = is_open() ? table->seed : 0;

	h = mix(mix(mix(h, kind), a), b);
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdU; /* the finaliser of MurmurHash3 */
	h ^= h >> 33;
	return h != 0 ? h : 1;
}

static uint64_t
sum(const struct quota_slot *slot)
{
	uint64_t total = 0;
	unsigned row;

	for (row = 0; row < table->n_rows; row++)
		total += slot->n[row];
	return total;
}

/* The key's slot, or a free one that becomes the key's; NULL: there is none. */
static struct quota_slot *
find(uint64_t key, bool is_new, uint64_t now_ms)
{
	struct quota_slot *slot, *free_slot = NULL;
	size_t i;

	for (i = 0; i < PROBES; i++) {
		slot = nth(key + i);
		if (slot->key == key)
			return slot;
		if (free_slot == NULL &&
		    (slot->key == 0 || sum(slot) == 0 ||
		     (slot->window_ends_ms != 0 && slot->window_ends_ms < now_ms)))
			free_slot = slot;
	}
	if (!is_new || free_slot == NULL)
		return NULL;
	memset(free_slot, 0, slot_size(table->n_rows));
	free_slot->key = key;
	return free_slot;
}

bool
quota_take(uint64_t key, uint64_t max)
{
	struct quota_slot *slot;
	bool is_ours;

	if (!is_open())
		return false;
	lock();
	slot = find(key, true, 0);
	is_ours = slot != NULL && sum(slot) < max;
	if (is_ours)
		slot->n[own_row]++;
	unlock();
	return is_ours;
}

void
quota_give(uint64_t key)
{
	struct quota_slot *slot;

	if (!is_open())
		return;
	lock();
	slot = find(key, false, 0);
	if (slot != NULL && slot->n[own_row] > 0)
		slot->n[own_row]--;
	unlock();
}

/* Only the keys in the ring count: one that was pushed out of it is probed anew. */
static bool
is_probed(uint64_t key, uint64_t now_ms)
{
	for (unsigned i = 0; i < QUOTA_PROBES; i++) {
		if (table->probes[i].key == key && table->probes[i].until_ms > now_ms)
			return true;
	}
	return false;
}

void
quota_probe(uint64_t key, uint64_t ms, uint64_t now_ms)
{
	if (!is_open())
		return;
	lock();
	if (!is_probed(key, now_ms)) {
		table->probes[table->n_probes % QUOTA_PROBES] = (struct probe){key, now_ms + ms};
		table->n_probes++;
	}
	unlock();
}

unsigned
quota_probed(uint64_t keys[QUOTA_PROBES], uint32_t *seen)
{
	unsigned n = 0;

	if (!is_open() || table->n_probes == *seen)
		return 0;
	lock();
	if (table->n_probes - *seen > QUOTA_PROBES)
		*seen = table->n_probes - QUOTA_PROBES;
	for (; *seen != table->n_probes; ++*seen)
		keys[n++] = table->probes[*seen % QUOTA_PROBES].key;
	unlock();
	return n;
}

uint64_t
quota_take_in(uint64_t key, uint64_t n, uint64_t ms, uint64_t now_ms)
{
	uint64_t left = ms;
	struct quota_slot *slot;

	if (!is_open())
		return left;
	lock();
	if ((slot = find(key, true, now_ms)) != NULL) {
		if (now_ms >= slot->window_ends_ms) {
			slot->window_ends_ms = now_ms + ms;
			slot->n[0] = 0;
		}
		left = slot->n[0] < n ? 0 : slot->window_ends_ms - now_ms;
		if (left == 0)
			slot->n[0]++;
	}
	unlock();
	return left;
}
