#include "base/board.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

enum {
	/*
	 * A worker may have accepted this many connections more than another, and a 32nd part more.
	 * One that is further ahead waits.
	 */
	LEAD = 2,
	LEAD_PART = 32,
};

struct row {
	_Alignas(64) uint64_t beats;
	uint64_t accepted;
	uint64_t level; /* what this worker had accepted when the newest worker began */
	uint64_t is_serving, has_redis, has_finished;
};

struct board {
	_Alignas(64) uint64_t facts[BOARD_FACTS];
	struct row rows[];
};

static struct {
	_Alignas(64) uint64_t facts[BOARD_FACTS];
	struct row row;
} alone;
static uint64_t *facts = alone.facts;
static struct row *rows = &alone.row;
static struct row *own = &alone.row;
static unsigned n_rows = 1;

static uint64_t
get(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static void
set(uint64_t *p, uint64_t value)
{
	__atomic_store_n(p, value, __ATOMIC_RELAXED);
}

int
board_open(unsigned n)
{
	struct board *b = mmap(NULL, sizeof(*b) + n * sizeof(b->rows[0]), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (b == MAP_FAILED)
		return -errno;
	facts = b->facts;
	rows = own = b->rows;
	n_rows = n;
	return 0;
}

void
board_use(unsigned row)
{
	own = &rows[row];
}

void
board_beat(void)
{
	set(&own->beats, get(&own->beats) + 1);
}

void
board_serve(bool is_serving)
{
	set(&own->is_serving, is_serving);
}

void
board_accepted(void)
{
	set(&own->accepted, get(&own->accepted) + 1);
}

void
board_redis(bool is_up)
{
	set(&own->has_redis, is_up);
}

/*
 * Each worker writes its own mark before it reads those of the others. So if two finish at once, at
 * least one of them sees the other.
 */
bool
board_finish(void)
{
	unsigned r;

	__atomic_store_n(&own->has_finished, 1, __ATOMIC_SEQ_CST);
	for (r = 0; r < n_rows; r++) {
		if (__atomic_load_n(&rows[r].has_finished, __ATOMIC_SEQ_CST) == 0)
			return false;
	}
	return true;
}

static uint64_t
taken(const struct row *row)
{
	return get(&row->accepted) - get(&row->level);
}

uint64_t
board_others_mark(void)
{
	uint64_t sum = 0;
	unsigned r;

	for (r = 0; r < n_rows; r++) {
		if (&rows[r] != own)
			sum += get(&rows[r].accepted);
	}
	return sum;
}

bool
board_is_ahead(void)
{
	uint64_t mine = taken(own), least = UINT64_MAX;
	unsigned r;

	for (r = 0; r < n_rows; r++) {
		if (&rows[r] != own && get(&rows[r].is_serving) && taken(&rows[r]) < least)
			least = taken(&rows[r]);
	}
	return least != UINT64_MAX && mine >= least + LEAD + least / LEAD_PART;
}

uint64_t
board_beats(unsigned row)
{
	return get(&rows[row].beats);
}

bool
board_serves(unsigned row)
{
	return get(&rows[row].is_serving) != 0;
}

void
board_begins(unsigned row)
{
	unsigned r;

	board_left(row);
	set(&rows[row].has_finished, 0);
	for (r = 0; r < n_rows; r++)
		set(&rows[r].level, get(&rows[r].accepted));
}

void
board_left(unsigned row)
{
	set(&rows[row].is_serving, 0);
	set(&rows[row].has_redis, 0);
	set(&rows[row].has_finished, 1);
}

void
board_set(enum board_fact fact, uint64_t value)
{
	set(&facts[fact], value);
}

uint64_t
board_get(enum board_fact fact)
{
	return get(&facts[fact]);
}

void
board_sum(struct board_sum *out)
{
	unsigned r;

	*out = (struct board_sum){.n_workers = n_rows};
	for (r = 0; r < n_rows; r++) {
		out->n_serving += get(&rows[r].is_serving) != 0;
		out->n_with_redis += get(&rows[r].has_redis) != 0;
	}
}
