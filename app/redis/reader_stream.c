#include "redis/reader_private.h"

#include <hiredis.h>

enum { COUNT_MAX = 200 }; /* entries of one stream in one reply */

struct reader_stream *
readers_find(const struct readers *rds, const char *key, size_t len)
{
	struct map_node *node = map_find(&rds->by_key, key, len);

	return node != NULL ? MAP_ENTRY(node, struct reader_stream, by_key) : NULL;
}

void
reader_look(struct reader_question *q, struct reader_stream *st)
{
	struct stream_id id;

	st->is_entry_asked = stream_place_asks(&st->place, &id);
	if (!st->is_entry_asked) {
		*q = (struct reader_question){.argc = 3,
					      .argv = {"XINFO", "STREAM", st->by_key.key}};
		return;
	}
	*q = (struct reader_question){
	    .argc = 6, .argv = {"XREVRANGE", st->by_key.key, q->id, "-", "COUNT", "1"}};
	stream_id_print(q->id, &id);
}

/* Between our place and what there is now, entries may have been lost. */
enum reader_look
reader_looked(struct readers *rds, struct reader_stream *st, struct stream_info *info,
	      const redisReply *reply)
{
	enum stream_change change;

	if (stream_reply_is_passing(reply))
		return READER_PUT_OFF;
	if (st->is_entry_asked) {
		stream_place_answer(&st->place, reply);
		return READER_LOOK_ON;
	}
	st->is_looked_at = true;
	st->is_refused = stream_info_read(info, reply) < 0;
	if (st->is_refused) {
		rds->ops->on_refused(st,
				     reply->type == REDIS_REPLY_ERROR ? reply->str : "no stream");
		return READER_REFUSES;
	}
	st->seen_ms = uv_now(rds->loop);
	if (!st->is_known) {
		st->is_known = true;
		stream_place_begin(&st->place, info);
		rds->ops->on_confirmed(st);
	} else if ((change = stream_place_look(&st->place, info)) != STREAM_SAME) {
		rds->ops->on_loss(st, change);
	}
	return READER_LOOKED;
}

void
reader_entry(struct readers *rds, struct reader_stream *st, const struct stream_entry *entry)
{
	if (stream_id_compare(&entry->id, &st->place.last) <= 0)
		return;
	stream_place_advance(&st->place, &entry->id);
	st->seen_ms = uv_now(rds->loop);
	rds->ops->on_entry(st, entry);
}

unsigned
reader_count(size_t size, size_t entry_size)
{
	size_t count = size / (entry_size + 1);

	return count < 1 ? 1 : count > COUNT_MAX ? COUNT_MAX : (unsigned)count;
}
