/*
 * queue.c - each entry of the route's one stream goes to one subscriber of its consumer group.
 *
 * "POST ?ack=ID" acknowledges where the section says ack = client; what nobody acknowledges within
 * claim_after is given to another.
 */
#include <sluice/handler.h>

const struct handler queue_handler = {
    .name = "queue",
    .open = feed_subjects,
    .is_queue = true,
};
