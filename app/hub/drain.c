#include "hub/drain.h"

#include "base/random.h"

/*
 * The random part begins at a tenth of the whole. A program that is started when this one has ended
 * needs a moment, and until then nobody would answer.
 */
unsigned
drain_return_ms(const struct drain *drain, unsigned usual_ms)
{
	uint64_t passed, rest, part = drain->ms;

	if (!drain->is_draining || drain->is_succeeded || part == 0)
		return usual_ms;
	passed = drain_passed_ms(drain);
	rest = passed < part ? part - passed : 0;
	return (unsigned)(rest + part / 10 + random_below((unsigned)(part - part / 10)) + 1);
}
