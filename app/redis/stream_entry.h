#ifndef SLUICE_REDIS_STREAM_ENTRY_H
#define SLUICE_REDIS_STREAM_ENTRY_H

/*
 * stream_entry - what Redis says of streams: an entry, and XINFO STREAM. Pure.
 */
#include <stdbool.h>
#include <stddef.h>

#include "redis/stream_id.h"

struct redisReply;

struct stream_entry { /* borrowed */
	struct stream_id id;
	const struct redisReply *fields; /* an array: names and values by turns */
};

/* stream_entry_parse - is it [id, [name, value, ...]]? The one place that asks. */
bool stream_entry_parse(struct stream_entry *entry, const struct redisReply *reply);

/* stream_entry_bytes - of all strings in a reply, however they are nested. */
size_t stream_entry_bytes(const struct redisReply *reply);

/*
 * What XINFO STREAM says of a stream; a key that does not exist is an empty one. Returns 0, -EINVAL
 * for an error or another reply.
 */
struct stream_info {
	struct stream_id first, newest; /* first: of what there is; newest: that was ever added */
	uint64_t length, n_added;       /* n_added 0: Redis does not say */
	size_t entry_size;              /* bytes of the larger of the first and the last entry */
	bool is_newest_there;           /* it was not deleted, nor trimmed */
	struct stream_id deleted;       /* the newest that was; 0-0: none, or Redis does not say */
};
int stream_info_read(struct stream_info *info, const struct redisReply *reply);

/* stream_reply_is_passing - an error that says only that Redis cannot answer now. */
bool stream_reply_is_passing(const struct redisReply *reply);

/* If a fail-over loses at most so many entries, nothing else is missed. */
enum { STREAM_HAD_MAX = 32 };

/* Where somebody who follows a stream stands in it. */
struct stream_place {
	struct stream_id last;  /* all up to here was had, or came before */
	uint64_t n_added;       /* of the stream's whole life, up to last; as XINFO counts */
	struct stream_id first; /* of what there was when it was looked at; 0-0: nothing */
	bool was_away;          /* the connection broke since it was looked at */
	bool is_found;          /* and it is known since which of had is still there */
	bool is_uncounted;      /* n_added does not hold: at last nothing that was had was there */
	uint8_t n_had, newest;  /* of had, a ring: entries up to last, none left out */
	uint8_t n_lost;         /* the newest of had are not there any more */
	struct stream_id had[STREAM_HAD_MAX];
};

/* stream_place_begin - at the stream's end. stream_place_advance - it had this entry, too. */
void stream_place_begin(struct stream_place *place, const struct stream_info *info);
void stream_place_advance(struct stream_place *place, const struct stream_id *id);

/*
 * stream_place_doubt - the connection broke. Then Redis may have lost what it wrote last: a replica
 * that was promoted had not received it, or a server that was restarted had not saved it. And there
 * may be others in its stead, older than the place, that were written to the replica.
 *
 * So before XINFO its followers look for the newest entry that they had and that is there:
 * stream_place_asks() names an id, of which XREVRANGE ID - COUNT 1 is asked, and the reply is
 * handed to stream_place_answer(), until no more is asked for.
 */
void stream_place_doubt(struct stream_place *place);
bool stream_place_asks(const struct stream_place *place, struct stream_id *id);
void stream_place_answer(struct stream_place *place, const struct redisReply *reply);

enum stream_change {
	STREAM_SAME,
	STREAM_TRIMMED,    /* some behind the place will never come */
	STREAM_BEGAN_ANEW, /* its ids are not newer than the place, which is its beginning now */
	STREAM_CUT_SHORT,  /* it has lost its end, or others are there in its stead */
};

/*
 * stream_place_look - did the stream lose anything behind the place, or is it another stream by
 * now? XINFO counts what was ever added, so where Redis says it (since 7) the answer is exact.
 * Moves the place to where the stream goes on. Of one that was cut short that is behind the newest
 * entry that was had and is there; if none is known, behind the oldest that is remembered.
 */
enum stream_change stream_place_look(struct stream_place *place, const struct stream_info *info);

/* stream_info_lacks - has anything behind an id, of which no more is known, gone for ever? */
bool stream_info_lacks(const struct stream_info *info, const struct stream_id *from);

#endif
