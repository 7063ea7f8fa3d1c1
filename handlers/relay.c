/*
 * relay.c - the default handler: what the route's channels and patterns bring, as it is.
 */
#include <sluice/handler.h>

const struct handler relay = {
    .name = "relay",
    .open = feed_subjects,
};
