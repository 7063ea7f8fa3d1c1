#include "base/poison.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/shared.h"

/* The message that a worker is working on. */
struct mark {
	_Alignas(64) uint32_t is_set;
	struct poison what;
};

enum state { FREE, UNTOLD, TAKEN, TOLD };

/* A message that has killed two workers. */
struct poison_place {
	uint32_t state;
	uint32_t taken_by; /* the worker's row */
	struct poison what;
};

struct poison_page {
	_Alignas(64) uint32_t n_placed; /* how many there ever were; 0 is the usual case, in which
					   nobody looks further */
	uint32_t n_untold;
	struct poison_place places[POISON_MAX];
	struct mark marks[];
};

/* A message that has killed one worker: only the supervisor knows of these. */
struct suspect {
	unsigned n_deaths; /* 0: this place is free */
	uint64_t died_ms;  /* the last of them */
	struct poison what;
};

static struct poison_page *page;
static struct suspect *suspects; /* POISON_MAX of them; a new one takes the place of the oldest */
static unsigned own;
static bool is_watching;

static uint32_t
get(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void
set(uint32_t *p, uint32_t value)
{
	__atomic_store_n(p, value, __ATOMIC_RELEASE);
}

int
poison_open(unsigned n)
{
	void *p;
	int rc = shared_map(&p, "sluice poison", sizeof(*page), n, sizeof(page->marks[0]));

	if (rc < 0)
		return rc;
	page = p;
	free(suspects);
	suspects = calloc(POISON_MAX, sizeof(*suspects));
	return suspects != NULL ? 0 : -ENOMEM;
}

void
poison_use(unsigned row)
{
	own = row;
}

void
poison_watch(bool is_watched)
{
	is_watching = is_watched && page != NULL;
}

/* The mark */

static size_t
kept_len(const struct poison_work *work)
{
	if (work->id != NULL)
		return 0;
	return work->data_len < POISON_DATA ? work->data_len : POISON_DATA;
}

/* Copies only what is needed, because this happens for each message and feed. */
static void
keep(struct poison *p, const struct poison_work *work)
{
	p->subject_len = (uint32_t)work->subject_len;
	p->id_len = work->id != NULL ? (uint32_t)work->id_len : 0;
	p->kept_len = (uint32_t)kept_len(work);
	p->data_len = work->id != NULL ? 0 : work->data_len;
	p->is_recorded = work->is_recorded;
	strncpy(p->route, work->route, POISON_ROUTE - 1);
	memcpy(p->subject, work->subject, p->subject_len);
	p->subject[p->subject_len] = '\0';
	if (p->id_len > 0)
		memcpy(p->id, work->id, p->id_len);
	p->id[p->id_len] = '\0';
	if (p->kept_len > 0)
		memcpy(p->data, work->data, p->kept_len);
}

static bool
fits(const struct poison_work *work)
{
	return work->subject_len < POISON_SUBJECT && (work->id == NULL || work->id_len < POISON_ID);
}

static bool
is_same(const struct poison *p, const struct poison_work *work)
{
	size_t id_len = work->id != NULL ? work->id_len : 0, len = kept_len(work);

	return p->subject_len == work->subject_len && p->id_len == id_len && p->kept_len == len &&
	       p->data_len == (work->id != NULL ? 0 : work->data_len) &&
	       strncmp(p->route, work->route, POISON_ROUTE - 1) == 0 &&
	       memcmp(p->subject, work->subject, work->subject_len) == 0 &&
	       (id_len == 0 || memcmp(p->id, work->id, id_len) == 0) &&
	       (len == 0 || memcmp(p->data, work->data, len) == 0);
}

static enum poison_verdict
judge(const struct poison_work *work)
{
	unsigned i;

	for (i = 0; i < POISON_MAX; i++) {
		uint32_t state = get(&page->places[i].state);

		if (state != FREE && is_same(&page->places[i].what, work))
			return state == TOLD ? POISON_TOLD : POISON_UNTOLD;
	}
	return POISON_NONE;
}

enum poison_verdict
poison_begin(const struct poison_work *work)
{
	enum poison_verdict verdict;

	if (!is_watching || !fits(work))
		return POISON_NONE;
	if (get(&page->n_placed) > 0 && (verdict = judge(work)) != POISON_NONE)
		return verdict;
	keep(&page->marks[own].what, work);
	set(&page->marks[own].is_set, 1);
	return POISON_NONE;
}

void
poison_end(void)
{
	if (is_watching)
		set(&page->marks[own].is_set, 0);
}

/* The quarantine */

const struct poison *
poison_take(void)
{
	unsigned i;

	if (!is_watching || get(&page->n_untold) == 0)
		return NULL;
	for (i = 0; i < POISON_MAX; i++) {
		struct poison_place *place = &page->places[i];
		uint32_t untold = UNTOLD;

		if (!__atomic_compare_exchange_n(&place->state, &untold, TAKEN, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			continue;
		place->taken_by = own;
		__atomic_sub_fetch(&page->n_untold, 1, __ATOMIC_ACQ_REL);
		return &place->what;
	}
	return NULL;
}

static void
put_back(struct poison_place *place)
{
	set(&place->state, UNTOLD);
	__atomic_add_fetch(&page->n_untold, 1, __ATOMIC_ACQ_REL);
}

void
poison_put(const struct poison *p, bool is_told)
{
	unsigned i;

	for (i = 0; i < POISON_MAX; i++) {
		struct poison_place *place = &page->places[i];

		if (&place->what != p || get(&place->state) != TAKEN)
			continue;
		if (is_told)
			set(&place->state, TOLD);
		else
			put_back(place);
	}
}

/* Deaths */

/*
 * A dead worker had taken this message to put it into the quarantine: now another worker does it.
 */
static void
give_back(unsigned row)
{
	unsigned i;

	for (i = 0; i < POISON_MAX; i++) {
		struct poison_place *place = &page->places[i];

		if (get(&place->state) == TAKEN && place->taken_by == row)
			put_back(place);
	}
}

static struct poison_work
work_of(const struct poison *p)
{
	return (struct poison_work){.route = p->route,
				    .subject = p->subject,
				    .subject_len = p->subject_len,
				    .id = p->id_len > 0 ? p->id : NULL,
				    .id_len = p->id_len,
				    .data = p->data,
				    .data_len = p->data_len};
}

/* A message that has killed no other worker for so long was being worked on by chance. */
static void
forget_old(uint64_t now_ms)
{
	unsigned i;

	for (i = 0; i < POISON_MAX; i++) {
		if (now_ms - suspects[i].died_ms >= POISON_FORGET_MS)
			suspects[i].n_deaths = 0;
	}
}

/* One that is free, or else the oldest. */
static struct suspect *
make_room(void)
{
	struct suspect *room = &suspects[0];
	unsigned i;

	for (i = 1; i < POISON_MAX && room->n_deaths > 0; i++) {
		if (suspects[i].n_deaths == 0 || suspects[i].died_ms < room->died_ms)
			room = &suspects[i];
	}
	return room;
}

static struct suspect *
find_suspect(const struct poison *what)
{
	const struct poison_work work = work_of(what);
	struct suspect *s;
	unsigned i;

	for (i = 0; i < POISON_MAX; i++) {
		if (suspects[i].n_deaths > 0 && is_same(&suspects[i].what, &work))
			return &suspects[i];
	}
	s = make_room();
	s->what = *what;
	s->n_deaths = 0;
	return s;
}

/*
 * Chooses a place that is told already, or else the oldest. So a message that has killed two
 * workers is not forgotten before it stands in the quarantine, as long as another place is free.
 */
static void
condemn(const struct poison *what)
{
	uint32_t n = get(&page->n_placed);
	struct poison_place *place = &page->places[n % POISON_MAX];
	unsigned i;

	for (i = 0; i < POISON_MAX; i++, place = &page->places[(n + i) % POISON_MAX]) {
		if (get(&place->state) == FREE || get(&place->state) == TOLD)
			break;
	}
	if (i == POISON_MAX)
		return; /* all places wait for the quarantine: this message kills another worker,
			   and is noted then */
	set(&place->state, FREE);
	place->what = *what;
	put_back(place);
	set(&page->n_placed, n + 1);
}

/* A worker that wrote to a wrong address may have written anything here. */
static void
make_whole(struct poison *p)
{
	if (p->subject_len >= POISON_SUBJECT)
		p->subject_len = POISON_SUBJECT - 1;
	if (p->id_len >= POISON_ID)
		p->id_len = POISON_ID - 1;
	p->data_len = p->id_len > 0 ? 0 : p->data_len;
	p->kept_len = (uint32_t)(p->data_len < POISON_DATA ? p->data_len : POISON_DATA);
	p->route[POISON_ROUTE - 1] = '\0';
	p->subject[p->subject_len] = '\0';
	p->id[p->id_len] = '\0';
}

const struct poison *
poison_died(unsigned row, const char *reason, uint64_t now_ms, unsigned *n_deaths)
{
	struct mark *mark = &page->marks[row];
	struct poison_work work;
	struct suspect *s;

	give_back(row);
	if (get(&mark->is_set) == 0)
		return NULL;
	set(&mark->is_set, 0);
	make_whole(&mark->what);
	forget_old(now_ms);
	s = find_suspect(&mark->what);
	snprintf(s->what.reason, sizeof(s->what.reason), "%s", reason);
	s->died_ms = now_ms;
	*n_deaths = ++s->n_deaths;
	work = work_of(&s->what);
	if (s->n_deaths >= POISON_DEATHS && judge(&work) == POISON_NONE)
		condemn(&s->what);
	return &s->what;
}
