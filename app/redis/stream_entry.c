#include "redis/stream_entry.h"

#include <errno.h>
#include <hiredis.h>
#include <string.h>

static bool
read_id(struct stream_id *id, const redisReply *reply)
{
	return reply != NULL && reply->type == REDIS_REPLY_STRING &&
	       stream_id_parse(id, reply->str, reply->len);
}

bool
stream_entry_parse(struct stream_entry *entry, const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
	    !read_id(&entry->id, reply->element[0]) || reply->element[1]->type != REDIS_REPLY_ARRAY)
		return false;
	entry->fields = reply->element[1];
	return true;
}

size_t
stream_entry_bytes(const redisReply *reply)
{
	size_t i, n = 0;

	if (reply->type == REDIS_REPLY_STRING)
		return reply->len;
	for (i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
		n += stream_entry_bytes(reply->element[i]);
	return n;
}

static const redisReply *
field(const redisReply *map, const char *name)
{
	size_t i;

	for (i = 0; map->type == REDIS_REPLY_ARRAY && i + 1 < map->elements; i += 2) {
		const redisReply *key = map->element[i];

		if (key->type == REDIS_REPLY_STRING && strcmp(key->str, name) == 0)
			return map->element[i + 1];
	}
	return NULL;
}

static void
measure(struct stream_info *info, const redisReply *entry)
{
	size_t n = entry != NULL ? stream_entry_bytes(entry) : 0;

	if (n > info->entry_size)
		info->entry_size = n;
}

int
stream_info_read(struct stream_info *info, const redisReply *reply)
{
	const redisReply *first, *last, *length, *added;
	struct stream_id id;

	memset(info, 0, sizeof(*info));
	if (reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "no such key") != NULL)
		return 0;
	if (reply->type != REDIS_REPLY_ARRAY ||
	    !read_id(&info->newest, field(reply, "last-generated-id")) ||
	    (length = field(reply, "length")) == NULL || length->type != REDIS_REPLY_INTEGER)
		return -EINVAL;
	info->length = (uint64_t)length->integer;
	added = field(reply, "entries-added");
	if (added != NULL && added->type == REDIS_REPLY_INTEGER)
		info->n_added = (uint64_t)added->integer;
	first = field(reply, "first-entry");
	if (first != NULL && first->type == REDIS_REPLY_ARRAY && first->elements > 0)
		(void)read_id(&info->first, first->element[0]);
	(void)read_id(&info->deleted, field(reply, "max-deleted-entry-id"));
	measure(info, first);
	last = field(reply, "last-entry");
	measure(info, last);
	info->is_newest_there = last != NULL && last->type == REDIS_REPLY_ARRAY &&
				last->elements > 0 && read_id(&id, last->element[0]) &&
				stream_id_compare(&id, &info->newest) == 0;
	return 0;
}

bool
stream_reply_is_passing(const redisReply *reply)
{
	static const char *const words[] = {"LOADING ", "BUSY ", "MASTERDOWN ", "TRYAGAIN ",
					    "CLUSTERDOWN "};
	size_t i;

	for (i = 0; reply->type == REDIS_REPLY_ERROR && i < sizeof(words) / sizeof(words[0]); i++) {
		if (strncmp(reply->str, words[i], strlen(words[i])) == 0)
			return true;
	}
	return false;
}

/* Does the stream now begin behind this place? */
static bool
begins_behind(const struct stream_info *info, const struct stream_id *id)
{
	return info->length > 0 && !stream_id_is_zero(id) &&
	       stream_id_compare(&info->first, id) > 0;
}

/*
 * n_gone counts what is not there any more. Up to the place there were n_added entries: if more
 * are gone, some of them were behind it. If fewer are gone, and the stream begins behind the place
 * all the same, or has ever had fewer entries, it was deleted and begun anew, with newer ids.
 */
static bool
has_lost(const struct stream_place *place, const struct stream_info *info)
{
	uint64_t n_gone = info->n_added - info->length;

	if (info->n_added == 0 || place->is_uncounted)
		return begins_behind(info, &place->last);
	return n_gone > place->n_added || info->n_added < place->n_added ||
	       (n_gone < place->n_added && begins_behind(info, &place->last));
}

static void
remember(struct stream_place *place, const struct stream_id *id)
{
	place->newest = (uint8_t)((place->newest + 1) % STREAM_HAD_MAX);
	place->had[place->newest] = *id;
	if (place->n_had < STREAM_HAD_MAX)
		place->n_had++;
}

/* The newest but n of what was had. */
static const struct stream_id *
had(const struct stream_place *place, unsigned n)
{
	return &place->had[(place->newest + STREAM_HAD_MAX - n) % STREAM_HAD_MAX];
}

void
stream_place_begin(struct stream_place *place, const struct stream_info *info)
{
	*place = (struct stream_place){
	    .last = info->newest, .n_added = info->n_added, .first = info->first};
	if (info->is_newest_there || stream_id_is_zero(&info->newest))
		remember(place, &info->newest);
}

void
stream_place_advance(struct stream_place *place, const struct stream_id *id)
{
	if (stream_id_is_zero(&place->first))
		place->first = *id;
	place->last = *id;
	place->n_added++;
	remember(place, id);
}

void
stream_place_doubt(struct stream_place *place)
{
	place->was_away = true;
	place->is_found = false;
	place->n_lost = 0;
}

bool
stream_place_asks(const struct stream_place *place, struct stream_id *id)
{
	if (!place->was_away || place->is_found || place->n_lost >= place->n_had)
		return false;
	*id = *had(place, place->n_lost);
	return true;
}

/*
 * The reply has the newest entry up to the id. If it is an older one, all that we had between them
 * is lost. If there is none, the stream was trimmed, or is another one, which XINFO tells.
 */
void
stream_place_answer(struct stream_place *place, const redisReply *reply)
{
	struct stream_entry there;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 ||
	    !stream_entry_parse(&there, reply->element[0])) {
		place->is_found = true;
		return;
	}
	while (place->n_lost < place->n_had &&
	       stream_id_compare(had(place, place->n_lost), &there.id) > 0)
		place->n_lost++;
	place->is_found = place->n_lost < place->n_had &&
			  stream_id_compare(had(place, place->n_lost), &there.id) == 0;
}

/* Back to the newest but n of what was had. */
static void
go_back(struct stream_place *place, unsigned n)
{
	place->last = *had(place, n);
	place->n_added = place->n_added > n ? place->n_added - n : 0;
	place->newest = (uint8_t)((place->newest + STREAM_HAD_MAX - n) % STREAM_HAD_MAX);
	place->n_had = (uint8_t)(place->n_had - n);
}

/*
 * It ends before the place. Is it what it was, without its end? Then it begins as it did; or it was
 * trimmed, as one that lives for long is, and one that was begun a moment ago is not.
 */
static bool
is_what_it_was(const struct stream_place *place, const struct stream_info *info)
{
	if (info->length == 0)
		return false;
	return info->n_added > info->length || stream_id_compare(&info->first, &place->first) == 0;
}

static enum stream_change
look_before_place(struct stream_place *place, const struct stream_info *info)
{
	static const struct stream_info nothing;

	if (place->was_away && is_what_it_was(place, info)) {
		stream_place_begin(place, info);
		return STREAM_CUT_SHORT;
	}
	stream_place_begin(place, &nothing);
	return STREAM_BEGAN_ANEW;
}

/* Fewer entries were ever added than we know of. */
static bool
had_fewer(const struct stream_place *place, const struct stream_info *info)
{
	return !place->is_uncounted && info->n_added > 0 && info->n_added < place->n_added;
}

/* Its newest id is our place, and there was nobody but its own server to lose anything of it. */
static bool
ends_anew_at_place(const struct stream_place *place, const struct stream_info *info)
{
	return !place->was_away && stream_id_compare(&info->newest, &place->last) == 0 &&
	       had_fewer(place, info);
}

static enum stream_change
look_behind_place(struct stream_place *place, const struct stream_info *info, int order)
{
	bool has_lost_some = has_lost(place, info);

	place->first = info->first;
	if (order == 0) {
		/* Nothing is behind the place; unless it had fewer before: then some were
		 * written before it, in the place of others. */
		has_lost_some = had_fewer(place, info);
		place->n_added = info->n_added;
		place->is_uncounted = false;
	} else if (has_lost_some) {
		place->n_added = info->n_added > 0 ? info->n_added - info->length : 0;
		place->is_uncounted = false;
	}
	return has_lost_some ? STREAM_TRIMMED : STREAM_SAME;
}

/*
 * What we had last is not there, though something older is. If nothing that is remembered is there,
 * all that stands behind the oldest of it is new to us.
 */
static enum stream_change
look_without_last(struct stream_place *place, const struct stream_info *info)
{
	unsigned oldest = place->n_had - 1U;
	unsigned n = place->n_lost <= oldest ? place->n_lost : oldest;

	if (stream_id_compare(&info->newest, had(place, n)) < 0) {
		stream_place_begin(place, info);
		return STREAM_CUT_SHORT;
	}
	place->is_uncounted = n != place->n_lost;
	go_back(place, n);
	(void)look_behind_place(place, info, stream_id_compare(&info->newest, &place->last));
	return STREAM_CUT_SHORT;
}

enum stream_change
stream_place_look(struct stream_place *place, const struct stream_info *info)
{
	int order = stream_id_compare(&info->newest, &place->last);
	bool is_known_again = place->n_lost < place->n_had || order >= 0;
	enum stream_change change;

	if (stream_id_compare(&info->deleted, &place->last) == 0)
		place->n_lost = 0; /* it is not lost, but was deleted */
	if (place->n_lost > 0 && (is_known_again || is_what_it_was(place, info)))
		change = look_without_last(place, info);
	else if (order < 0 || ends_anew_at_place(place, info))
		change = look_before_place(place, info);
	else
		change = look_behind_place(place, info, order);
	place->was_away = place->is_found = false;
	place->n_lost = 0;
	return change;
}

bool
stream_info_lacks(const struct stream_info *info, const struct stream_id *from)
{
	struct stream_id last;

	if (info->length == 0)
		return stream_id_compare(from, &info->newest) < 0;
	if (stream_id_is_zero(from)) /* there was nothing when this place was taken */
		return info->n_added != info->length;
	last = stream_id_before(info->first);
	return stream_id_compare(from, &last) < 0;
}
