#ifndef SLUICE_REDIS_PAST_H
#define SLUICE_REDIS_PAST_H

/*
 * past - what stands in streams already, for whoever must have what came before: read page by page,
 * each of some 64 KiB, when its reader asks for it.
 *
 * So many pages of one worker are on their way at a time; the others wait for their turn, so that
 * one client's past costs neither Redis's memory nor another client's time. Who asks for the same
 * page at the same time shares it.
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
	unsigned count; /* the most entries of a page */
};

/* Borrowed until the callback returns. */
struct past_answer {
	const struct redisReply *reply; /* NULL: Redis did not answer; or its error */
	bool is_whole;                  /* of a range: these entries are all of it */
};

/* A part of whatever asks; zeroed before its first use. One question at a time. */
struct past_reading {
	struct list of_question;
	void (*on_answer)(struct past_reading *reading, const struct past_answer *answer);
};

/* past_new - nobody is asked until there is a command link. Returns 0, -ENOMEM. */
int past_new(struct past **out, uv_loop_t *loop);
void past_set_command(struct past *past, struct command *command); /* borrowed; NULL: none */
void past_free(struct past *past); /* takes NULL; nobody may be reading any more */

/* past_count - entries of a page if one has so many bytes; 0: nobody knows. */
unsigned past_count(size_t entry_size);

/*
 * past_read - entries of the stream with this key. past_look - XINFO STREAM of it, as it is from
 * now on. The callback comes exactly once, never before these return, unless past_cancel() comes
 * before. Return 0, -ENOMEM.
 */
int past_read(struct past *past, struct past_reading *reading, const char *key,
	      const struct past_range *range);
int past_look(struct past *past, struct past_reading *reading, const char *key);
void past_cancel(struct past_reading *reading);

#endif
