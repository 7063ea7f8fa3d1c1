/*
 * wait.c - answers with the first message that comes, as JSON; or with 504 when the time is over.
 *
 * "?timeout=" is in milliseconds, up to the section's timeout_max. On recorded channels and streams
 * "?after=ID" includes messages behind that ID which have come already.
 */
#include <sluice/handler.h>

static const struct handler_key keys[] = {
    {.name = "timeout",
     .kind = HANDLER_DURATION,
     .fallback = "10s",
     .min = 10,
     .max = 3600000,
     .help = "how long handler = wait waits"},
    {.name = "timeout_max",
     .kind = HANDLER_DURATION,
     .fallback = "60s",
     .min = 10,
     .max = 3600000,
     .help = "how long a client may ask for"},
    {0},
};

const struct handler wait_handler = {
    .name = "wait",
    .kind = HANDLER_WAIT,
    .keys = keys,
    .open = feed_subjects,
};
