/*
 * stage.c - to be copied: a stage, here one that drops a message whose text is the same as the one
 * before.
 *
 * To have it: put it into app/logic/, give struct stages in logic/stages.h what it needs (here
 * "struct dedupe *dedupe"), its key in config/keys.c, and a line in the list in logic/stages.c:
 *
 *	{"dedupe", has_dedupe, dedupe_sees, run_dedupe},
 *
 * sluice check, --explain and the rule about messages that are not JSON know it from there.
 */
#include <stdlib.h>
#include <string.h>

#include "logic/message.h"
#include "logic/stage.h"

struct dedupe {
	char *last; /* NULL: none yet */
	size_t len;
};

/* Stands for st->dedupe. */
static struct dedupe *
dedupe_of(const struct stages *st)
{
	static struct dedupe only;

	(void)st;
	return &only;
}

static bool
has_dedupe(const struct stages *st)
{
	return dedupe_of(st) != NULL;
}

static unsigned
dedupe_sees(const struct stages *st)
{
	(void)st;
	return SEES_TEXT; /* a message that is not JSON is welcome */
}

/* false: nothing is sent, and no later stage is asked. */
static bool
run_dedupe(struct stages *st, struct passage *p)
{
	struct dedupe *dd = dedupe_of(st);
	size_t len;
	const char *text = message_bytes(p->scope->msg, &len);
	char *copy;

	if (dd->last != NULL && dd->len == len && memcmp(dd->last, text, len) == 0) {
		p->result = STAGES_NOTHING;
		return false;
	}
	if ((copy = malloc(len + 1)) == NULL) {
		stage_failed(st, "dedupe", "there is no memory for the message");
		return true; /* better twice than not at all */
	}
	memcpy(copy, text, len);
	free(dd->last);
	dd->last = copy;
	dd->len = len;
	return true;
}

extern const struct stage dedupe;
const struct stage dedupe = {"dedupe", has_dedupe, dedupe_sees, run_dedupe};
