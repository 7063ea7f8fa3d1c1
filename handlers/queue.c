/*
 * queue.c - each entry of the route's one stream goes to one subscriber of its consumer group.
 *
 * "POST ?ack=ID" acknowledges where the section says ack = client; what nobody acknowledges within
 * claim_after is given to another.
 */
#include <sluice/handler.h>

static const char *const takes[] = {
    "group", "ack", "claim_after", "prefetch", "dead_letter", "max_deliveries", NULL};
static const char *const refuses[] = {"channels", "patterns", "keyspace", "record", "snapshot",
				      "rate",     "batch",    "id",       NULL};

const struct handler queue_handler = {
    .name = "queue",
    .takes = takes,
    .refuses = refuses,
    .why_refused =
	"handler = queue gives the entries of one stream, each by itself and with its own "
	"ID",
    .open = feed_subjects,
    .is_queue = true,
};
