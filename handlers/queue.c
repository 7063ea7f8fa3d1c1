/*
 * queue.c - each entry of the route's one stream goes to one subscriber of its consumer group.
 *
 * "POST ?ack=ID" acknowledges where the section says ack = client; what nobody acknowledges within
 * claim_after is given to another.
 */
#include <sluice/handler.h>

enum { DAY_MS = 24 * 3600 * 1000 };

static const struct handler_key keys[] = {
    {.name = "group", .kind = HANDLER_SHARED, .help = "the consumer group of handler = queue"},
    {.name = "ack",
     .kind = HANDLER_WORD,
     .fallback = "auto",
     .words = "auto client",
     .help = "whether what was written counts as had, or the client says so"},
    {.name = "claim_after",
     .kind = HANDLER_DURATION,
     .fallback = "30s",
     .min = 100,
     .max = DAY_MS,
     .help = "an entry unacknowledged for so long is given to another"},
    {.name = "prefetch",
     .kind = HANDLER_NUMBER,
     .fallback = "100",
     .min = 1,
     .max = 10000,
     .help = "the most unacknowledged entries that one subscriber holds"},
    {.name = "dead_letter",
     .kind = HANDLER_SHARED,
     .help = "the stream of entries that were delivered too often"},
    {.name = "max_deliveries",
     .kind = HANDLER_NUMBER,
     .fallback = "5",
     .min = 1,
     .max = 1000000,
     .help = "how often is often enough"},
    {0},
};

static const char *const refuses[] = {"record", "snapshot", "rate", "batch", "id", NULL};

static void
queue_check(struct handler_section *section)
{
	if (section_count(section, "streams") != 1)
		section_fault(section, NULL, "needs one stream: streams = jobs");
	if (section_text(section, "group") == NULL)
		section_fault(section, NULL, "needs a consumer group: group = workers");
	if (section_text(section, "dead_letter") == NULL)
		section_fault(section, "max_deliveries",
			      "there is no dead_letter stream for what was delivered so often");
}

const struct handler queue_handler = {
    .name = "queue",
    .kind = HANDLER_QUEUE,
    .keys = keys,
    .check = queue_check,
    .follows_only = "streams",
    .refuses = refuses,
    .why_refused =
	"handler = queue gives the entries of one stream, each by itself and with its own "
	"ID",
    .open = feed_subjects,
};
