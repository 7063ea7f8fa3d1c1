/*
 * stage.c - to be copied: a stage, here one that drops a message that is longer than "longest = 4k"
 * says.
 *
 * To have it: put it into app/logic/ as longest.c, and add
 *
 *	logic/stages.h          size_t longest; (0: any) to struct stages
 *	logic/stage.h           extern const struct stage longest;
 *	logic/stages.c          &longest, to the list, where it is its turn
 *	config/keys.c           the row below
 *	docs/architecture.md    its place, before stages, in the table of folders
 *	docs/sluice.ini.5 and conf/sluice.ini: the key
 *
 *	{STREAM(stages.longest), .name = "longest", .set = config_set_size,
 *	 .fallback = "0", .min = 1, .max = KIB * KIB, .or_zero = true,
 *	 .help = "a longer message is not sent; 0: any length"},
 *
 * sluice check, --explain and the rule about messages that are not JSON know it from there.
 */
#include "base/counters.h"
#include "logic/message.h"
#include "logic/stage.h"

/* Stands for st->longest. */
static size_t
longest_of(const struct stages *st)
{
	return st->set; /* a number, so that this compiles as it is */
}

static bool
has_longest(const struct stages *st)
{
	return longest_of(st) > 0;
}

static unsigned
longest_sees(const struct stages *st)
{
	(void)st;
	return SEES_TEXT; /* it also takes messages that are not JSON */
}

/*
 * Returns false if nothing is sent; then no later stage runs. A stage that has no result says why
 * by stage_failed(), which counts it and logs it once a minute.
 */
static bool
run_longest(struct stages *st, struct passage *p)
{
	size_t len;

	(void)message_bytes(p->scope->msg, &len);
	if (len <= longest_of(st))
		return true;
	counters_add_of(st->counted, COUNTER_FILTERED, 1);
	p->result = STAGES_NOTHING;
	return false;
}

extern const struct stage longest;
const struct stage longest = {"longest", has_longest, longest_sees, run_longest};
