/*
 * relay.c - the default handler: what the route's channels, patterns and streams bring, as it is.
 */
#include <sluice/handler.h>

const struct handler relay = {
    .name = "relay",
    .open = feed_subjects,
};
