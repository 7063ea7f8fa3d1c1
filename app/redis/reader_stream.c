#include "redis/reader_private.h"

#include <hiredis.h>

struct reader_stream *
readers_find(const struct readers *rds, const char *key, size_t len)
{
	struct map_node *node = map_find(&rds->by_key, key, len);

	return node != NULL ? MAP_ENTRY(node, struct reader_stream, by_key) : NULL;
}

/* Between our place and what there is now, entries may have been lost. */
enum reader_look
reader_looked(struct readers *rds, struct reader_stream *st, struct stream_info *info,
	      const redisReply *reply)
{
	bool was_away = st->was_away;
	enum stream_change change;

	if (stream_reply_is_passing(reply))
		return READER_PUT_OFF;
	st->is_looked_at = true;
	st->is_refused = stream_info_read(info, reply) < 0;
	if (st->is_refused) {
		rds->ops->on_refused(st,
				     reply->type == REDIS_REPLY_ERROR ? reply->str : "no stream");
		return READER_REFUSES;
	}
	st->seen_ms = uv_now(rds->loop);
	st->was_away = false;
	if (!st->is_known) {
		st->is_known = true;
		stream_place_begin(&st->place, info);
		rds->ops->on_confirmed(st);
	} else if ((change = stream_place_look(&st->place, info, was_away)) != STREAM_SAME) {
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
