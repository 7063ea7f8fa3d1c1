#ifndef SLUICE_REDIS_PAST_H
#define SLUICE_REDIS_PAST_H

/*
 * past - reads what stands in streams already, page by page of some 64 KiB, when the caller asks
 * for it. A worker asks for a limited number of pages at a time and the others wait for their turn,
 * so that one client's past costs neither Redis's memory nor another client's time. Callers that
 * ask for the same page at the same time share it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/list.h"
#include "redis/stream_id.h"

struct command;
struct past;
struct redisReply;

enum past_order { PAST_OLDEST_FIRST, PAST_NEWEST_FIRST };

struct past_range {
	struct stream_id from, to; /* both are of it */
	enum past_order order;
	unsigned count; /* the most entries in a page */
};

/* Borrowed until the callback returns. */
struct past_answer {
	const struct redisReply *reply; /* NULL: Redis did not answer; it may be an error */
	bool is_whole;                  /* for a range: these entries are all of it */
};

/* Embedded by whatever asks; zeroed before its first use. It can ask one question at a time. */
struct past_reading {
	struct list of_question;
	void (*on_answer)(struct past_reading *reading, const struct past_answer *answer);
};

/* past_new - nothing is asked before there is a command link. Returns 0, -ENOMEM. */
int past_new(struct past **out, uv_loop_t *loop);
void past_set_command(struct past *past, struct command *command); /* borrowed; NULL: none */
void past_free(struct past *past); /* takes NULL; there must be no readings any more */

/*
 * past_count - how many entries fit into a page if one has this many bytes; 0: the size is not
 * known.
 */
unsigned past_count(size_t entry_size);

/*
 * past_read - reads entries of the stream with this key. past_look - asks XINFO STREAM, and gives
 * an answer from now or later. The callback is called exactly once, and not before these return,
 * unless past_cancel() is called before. Return 0, -ENOMEM.
 */
int past_read(struct past *past, struct past_reading *reading, const char *key,
	      const struct past_range *range);
int past_look(struct past *past, struct past_reading *reading, const char *key);
void past_cancel(struct past_reading *reading);

#endif
