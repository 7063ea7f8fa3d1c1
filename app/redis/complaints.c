#include "redis/complaints.h"

#include <stdio.h>
#include <string.h>

bool
complaints_may(struct complaints *cs, size_t server, const char *why, uint64_t now_ms)
{
	size_t n = server % COMPLAINTS_MAX;
	const size_t max = sizeof(cs->of[n].why) - 1;

	if (strncmp(cs->of[n].why, why, max) != 0)
		cs->of[n].pause = (struct logger_pause){0};
	if (!logger_may(&cs->of[n].pause, now_ms, LOGGER_PERIOD_MS))
		return false;
	snprintf(cs->of[n].why, sizeof(cs->of[n].why), "%.*s", (int)max, why);
	return true;
}

void
complaints_forget(struct complaints *cs)
{
	memset(cs, 0, sizeof(*cs));
}
