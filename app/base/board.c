#include "base/board.h"

#include <stddef.h>

#include "base/shared.h"

enum {
	/*
	 * A worker may have accepted this many connections more than another, and a 32nd part more.
	 * One that is further ahead waits.
	 */
	LEAD = 2,
	LEAD_PART = 32,
};

struct board_row {
	_Alignas(64) uint64_t beats;
	uint64_t accepted;
	uint64_t level; /* what this worker had accepted when the newest worker began */
	uint64_t is_serving, has_redis, has_finished;
};

struct board {
	_Alignas(64) uint64_t facts[BOARD_FACTS];
	struct board_row rows[];
};

static struct {
	_Alignas(64) uint64_t facts[BOARD_FACTS];
	struct board_row row;
} alone;
static uint64_t *facts = alone.facts;
static struct board_row *rows = &alone.row;
static struct board_row *own = &alone.row;
static unsigned n_rows = 1;

int
board_open(unsigned n)
{
	void *p;
	struct board *b;
	int rc = shared_map(&p, "sluice board", sizeof(*b), n, sizeof(b->rows[0]));

	if (rc < 0)
		return rc;
	b = p;
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
	shared_set(&own->beats, shared_get(&own->beats) + 1);
}

void
board_serve(bool is_serving)
{
	shared_set(&own->is_serving, is_serving);
}

void
board_accepted(void)
{
	shared_set(&own->accepted, shared_get(&own->accepted) + 1);
}

void
board_redis(bool is_up)
{
	shared_set(&own->has_redis, is_up);
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
taken(const struct board_row *row)
{
	return shared_get(&row->accepted) - shared_get(&row->level);
}

uint64_t
board_others_mark(void)
{
	uint64_t sum = 0;
	unsigned r;

	for (r = 0; r < n_rows; r++) {
		if (&rows[r] != own)
			sum += shared_get(&rows[r].accepted);
	}
	return sum;
}

bool
board_is_ahead(void)
{
	uint64_t mine = taken(own), least = UINT64_MAX;
	unsigned r;

	for (r = 0; r < n_rows; r++) {
		if (&rows[r] != own && shared_get(&rows[r].is_serving) && taken(&rows[r]) < least)
			least = taken(&rows[r]);
	}
	return least != UINT64_MAX && mine >= least + LEAD + least / LEAD_PART;
}

uint64_t
board_beats(unsigned row)
{
	return shared_get(&rows[row].beats);
}

bool
board_serves(unsigned row)
{
	return shared_get(&rows[row].is_serving) != 0;
}

void
board_begins(unsigned row)
{
	unsigned r;

	board_left(row);
	shared_set(&rows[row].has_finished, 0);
	for (r = 0; r < n_rows; r++)
		shared_set(&rows[r].level, shared_get(&rows[r].accepted));
}

void
board_left(unsigned row)
{
	shared_set(&rows[row].is_serving, 0);
	shared_set(&rows[row].has_redis, 0);
	shared_set(&rows[row].has_finished, 1);
}

void
board_set(enum board_fact fact, uint64_t value)
{
	shared_set(&facts[fact], value);
}

uint64_t
board_get(enum board_fact fact)
{
	return shared_get(&facts[fact]);
}

void
board_sum(struct board_sum *out)
{
	unsigned r;

	*out = (struct board_sum){.n_workers = n_rows};
	for (r = 0; r < n_rows; r++) {
		out->n_serving += shared_get(&rows[r].is_serving) != 0;
		out->n_with_redis += shared_get(&rows[r].has_redis) != 0;
	}
}
