/*
 * relay.c - the default handler: passes on what comes from the route's channels, patterns and
 * streams.
 */
#include <sluice/handler.h>

static void
relay_check(struct handler_section *section)
{
	section_fault(section, "interval", "relay asks Redis nothing; handler = poll does");
}

const struct handler relay = {
    .name = "relay",
    .check = relay_check,
    .open = feed_subjects,
};
