/*
 * wait.c - the first message that comes is the answer, as JSON; or 504 when the time is over.
 *
 * "?timeout=" says how many milliseconds, up to the section's timeout_max. On recorded channels and
 * streams "?after=ID" lets what came behind that ID count, too.
 */
#include <sluice/handler.h>

static const char *const takes[] = {"timeout", "timeout_max", NULL};

const struct handler wait_handler = {
    .name = "wait",
    .takes = takes,
    .open = feed_subjects,
    .is_wait = true,
};
