#ifndef SLUICE_LOGIC_STAGE_H
#define SLUICE_LOGIC_STAGE_H

/*
 * stage - one step of what a route does to a message. A new one is a file with this table, its name
 * below, a line in the list in stages.c, a key, and what it needs in struct stages. That is of the
 * whole route: a stage knows of no feed. What must be remembered for each feed by itself is the
 * script's, whose callback each feed opens.
 */
#include "logic/stages.h"

/* One message on its way through the stages. */
struct passage {
	int callback; /* the feed's, of the script */
	const struct template_scope *scope;
	struct rendering *r;
	enum stages_result result; /* as far as they have come */
};

/* What of the message a stage looks at. */
enum sees { SEES_NOTHING = 0, SEES_TEXT = 1, SEES_JSON = 2 };

struct stage {
	const char *name; /* its key */
	bool (*is_set)(const struct stages *st);
	unsigned (*sees)(const struct stages *st); /* of enum sees */
	/* Returns false if nothing is sent, and no later stage is asked. */
	bool (*run)(struct stages *st, struct passage *p);
};

/* stage_failed - it came to no result: counted, and logged once a minute. */
void stage_failed(struct stages *st, const char *name, const char *why);

#endif
