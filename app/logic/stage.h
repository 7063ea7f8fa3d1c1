#ifndef SLUICE_LOGIC_STAGE_H
#define SLUICE_LOGIC_STAGE_H

/*
 * stage - one step of what a route does to a message. A new one is a file with this table, its name
 * below, a line in the list in stages.c, a key, and what it needs in struct stages.
 *
 * A stage belongs to the whole route, and knows no feed. What must be kept for each feed is kept by
 * the script, whose callback each feed opens.
 */
#include "logic/stages.h"

/* One message on its way through the stages. */
struct passage {
	int callback; /* of the script, for this feed */
	const struct template_scope *scope;
	struct rendering *r;
	enum stages_result result; /* the result of the stages so far */
};

/* Which form of the message a stage reads. */
enum sees { SEES_NOTHING = 0, SEES_TEXT = 1, SEES_JSON = 2 };

struct stage {
	const char *name; /* its key */
	bool (*is_set)(const struct stages *st);
	unsigned (*sees)(const struct stages *st); /* of enum sees */
	/* Returns false if nothing is sent; then no later stage runs. */
	bool (*run)(struct stages *st, struct passage *p);
};

/* stage_failed - the stage had no result: this is counted, and logged once a minute. */
void stage_failed(struct stages *st, const char *name, const char *why);

#endif
