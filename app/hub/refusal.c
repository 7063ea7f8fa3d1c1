#include "hub/refusal.h"

#include "base/clock.h"
#include "base/counters.h"
#include "base/logger.h"
#include "hub/feed_state.h"

enum { RETRY_MS = 1000 };

unsigned
class_retry_ms(const struct feed_class *fc)
{
	return RETRY_MS - (unsigned)(uv_now(fc->hub->loop) % RETRY_MS);
}

void
class_tell_refusal(struct feed_class *fc, const char *what, const char *why)
{
	counters_add_of(fc->out.counted, COUNTER_REFUSALS, 1);
	counters_set_refusal(fc->out.counted, clock_ms());
	if (!logger_may(&fc->refusals, uv_now(fc->hub->loop), LOGGER_PERIOD_MS))
		return;
	if (fc->refusals.n_reported > 0)
		logger_warn("[route %s] Redis refuses %s: %s (%u more since the last report)",
			    fc->settings->stages.route, what, why, fc->refusals.n_reported);
	else
		logger_warn("[route %s] Redis refuses %s: %s", fc->settings->stages.route, what,
			    why);
}
