/*
 * presence.c - who is here: those who follow this route.
 *
 * The section names one channel, such as "channels = here:{room}". A hash of the same name holds
 * who is here, each with the time until which that is so; the channel tells who comes and goes. A
 * subscriber is here under the user that a credential proves, else under the parameter "name", else
 * as a guest without one. It renews its time as long as it follows, and says goodbye. If that is
 * lost, as when a machine dies, its time is over by itself: all is right again within the section's
 * "lease". A user's last goodbye counts once "linger" is over; one who is back by then never left.
 *
 * Each gets first an event "presence", {"count":2,"users":["ada","bob"]}, and then "join" and
 * "leave", {"user":"ada"}: of a user's first and last subscriber; of each guest, with null. With
 * "?mode=watch" one looks without being here, and "?mode=poll" answers with the first event alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/handler.h>

enum { FIRST_MS = 1, OPEN_MS = 20, AGAIN_MS = 500, RENEWALS = 4 };
enum { TEND_MIN_MS = 50, TEND_MAX_MS = 1000, TENDS = 8 };

#define BOOK       "sluice:presence"
#define PUT_OFF_MS "2000"

struct here {
	char id[UNIQUE_LEN];
	char *name; /* as JSON; owned */
	char *info; /* as JSON, or empty; owned */
	bool is_watching, is_told, is_asking;
	bool is_old; /* the list may lack somebody who came or went while it was asked for */
};

/*
 * KEYS are the book of all rooms and, but for "sweep", the room: its hash and its channel. ARGV are
 * what is to be done, the subscriber's id, its name and info as JSON, lease and linger in
 * milliseconds, and whether the room's first and last are told. "here" renews, "list" renews and
 * gives the list, "look" gives the list alone, "leave" says goodbye; "sweep" looks after all rooms
 * in which something is due, and gives the milliseconds to the next.
 *
 * The hash has "TILL NAME", behind a tab the info, for each id, and for each user who has just left
 * under "gone:NAME"; its field without a name is when it was swept. The book has for each room when
 * somebody's time is next over, and outlives the hash; it has "!ROOM" while "occupied" is the last
 * that was told of it.
 *
 * In a cluster the book would be in another slot than the room, so KEYS is the room alone, and ARGV
 * goes on with PUBLISH or SPUBLISH. The hash stays until it is swept, and has the field "!" while
 * "occupied" was told last; "sweep" looks after this room and gives, behind the milliseconds to
 * what is due next, or nothing, and a tab, what was said in place of an id.
 *
 * What is to be told is written first: a Redis that refuses writes (it is full, has too few
 * replicas, cannot save) lets a script publish, and ends it at the first write.
 */
#define SCRIPT \
	"local book, key, publish = KEYS[1], KEYS[2], ARGV[8]\n" \
	"if publish then book, key = nil, KEYS[1] else publish = 'PUBLISH' end\n" \
	"local mode, id, name, info = ARGV[1], ARGV[2], ARGV[3], ARGV[4]\n" \
	"local lease, linger = tonumber(ARGV[5]), tonumber(ARGV[6])\n" \
	"local t = redis.call('TIME')\n" \
	"local now = t[1] * 1000 + math.floor(t[2] / 1000)\n" \
	"local function all(key)\n" \
	"  local here, flat = {}, redis.call('HGETALL', key)\n" \
	"  for i = 1, #flat, 2 do\n" \
	"    local till, who, more = string.match(flat[i + 1], '^(%d+) " \
	"([^\\t]*)\\t?(.*)$')\n" \
	"    if till and flat[i] ~= '' then here[flat[i]] = {tonumber(till), who, more} end\n" \
	"  end\n" \
	"  return here\n" \
	"end\n" \
	"local function has(here, who)\n" \
	"  for _, one in pairs(here) do\n" \
	"    if who ~= 'null' and one[2] == who then return true end\n" \
	"  end\n" \
	"  return false\n" \
	"end\n" \
	"local function tell(key, what, who, more, id)\n" \
	"  if more ~= '' then more = ',\"info\":' .. more end\n" \
	"  redis.call(publish, key, '{\"type\":\"' .. what .. '\",\"id\":\"' .. id .. " \
	"'\",\"user\":' .. who .. more .. '}')\n" \
	"end\n" \
	"local function put(field, till)\n" \
	"  local score = book and redis.call('ZSCORE', book, key)\n" \
	"  till = string.format('%d', till)\n" \
	"  redis.call('HSET', key, field, till .. ' ' .. name .. (info ~= '' and '\\t' " \
	".. info or ''))\n" \
	"  if book and (not score or tonumber(score) > tonumber(till)) then\n" \
	"    redis.call('ZADD', book, till, key)\n" \
	"  end\n" \
	"end\n" \
	"local function settle(key, here)\n" \
	"  local due\n" \
	"  for _, one in pairs(here) do\n" \
	"    if not due or one[1] < due then due = one[1] end\n" \
	"  end\n" \
	"  if due and book then redis.call('ZADD', book, string.format('%d', due), key) " \
	"end\n" \
	"  if due then return due end\n" \
	"  local was = book and 0 or redis.call('HEXISTS', key, '!')\n" \
	"  redis.call('DEL', key)\n" \
	"  if book then\n" \
	"    redis.call('ZREM', book, key)\n" \
	"    was = redis.call('ZREM', book, '!' .. key)\n" \
	"  end\n" \
	"  if was == 1 then\n" \
	"    redis.call(publish, key .. ':presence', '{\"type\":\"vacated\"}')\n" \
	"  end\n" \
	"end\n" \
	"local function sweep(key)\n" \
	"  local here, gone, told = all(key), {}, {}\n" \
	"  for i, one in pairs(here) do\n" \
	"    if one[1] <= now then gone[i] = one[2] end\n" \
	"  end\n" \
	"  for i in pairs(gone) do\n" \
	"    redis.call('HDEL', key, i)\n" \
	"    here[i] = nil\n" \
	"  end\n" \
	"  for _, who in pairs(gone) do\n" \
	"    if not has(here, who) and not told[who] then tell(key, 'leave', who, '', " \
	"'') end\n" \
	"    told[who] = who ~= 'null'\n" \
	"  end\n" \
	"  return here, settle(key, here)\n" \
	"end\n" \
	"if mode == 'sweep' and not book then\n" \
	"  local _, due = sweep(key)\n" \
	"  return (due and string.format('%d', math.max(due - now, 0)) or '') .. '\t' .. id\n" \
	"end\n" \
	"if mode == 'sweep' then\n" \
	"  for _, one in ipairs(redis.call('ZRANGEBYSCORE', book, '-inf', now, " \
	"'LIMIT', 0, 100)) do\n" \
	"    sweep(one)\n" \
	"  end\n" \
	"  local first = redis.call('ZRANGEBYSCORE', book, '-inf', '(+inf', " \
	"'WITHSCORES', 'LIMIT', 0, 1)\n" \
	"  return first[2] and string.format('%d', math.max(first[2] - now, 0))\n" \
	"end\n" \
	"if mode == 'leave' then\n" \
	"  if redis.call('HEXISTS', key, id) == 0 then return false end\n" \
	"  local here = all(key)\n" \
	"  here[id] = nil\n" \
	"  if linger > 0 and name ~= 'null' and not has(here, name) then\n" \
	"    put('gone:' .. name, now + linger)\n" \
	"    redis.call('HDEL', key, id)\n" \
	"  else\n" \
	"    redis.call('HDEL', key, id)\n" \
	"    if not has(here, name) then tell(key, 'leave', name, '', id) end\n" \
	"    settle(key, here)\n" \
	"  end\n" \
	"  return false\n" \
	"end\n" \
	"if mode ~= 'look' then\n" \
	"  local is_new = redis.call('HEXISTS', key, id) == 0\n" \
	"  local is_first = is_new and not has(all(key), name)\n" \
	"  put(id, now + lease * 3 / 4)\n" \
	"  if book then redis.call('PEXPIRE', key, 2 * lease + linger) end\n" \
	"  if is_new then redis.call('HDEL', key, 'gone:' .. name) end\n" \
	"  if is_first then tell(key, 'join', name, info, id) end\n" \
	"  if ARGV[7] == '1' and (book and redis.call('ZADD', book, '+inf', '!' .. key) or " \
	"not book and redis.call('HSETNX', key, '!', '1')) == 1 then\n" \
	"    redis.call(publish, key .. ':presence', '{\"type\":\"occupied\"}')\n" \
	"  end\n" \
	"end\n" \
	"if mode == 'here' and now - tonumber(redis.call('HGET', key, '') or 0) < " \
	"lease / 8 then\n" \
	"  return false\n" \
	"end\n" \
	"local here = sweep(key)\n" \
	"if mode ~= 'look' then redis.call('HSET', key, '', string.format('%d ', now)) " \
	"end\n" \
	"if mode == 'here' then return false end\n" \
	"local count, users, infos, seen = 0, {}, {}, {}\n" \
	"for _, one in pairs(here) do\n" \
	"  local who = one[2]\n" \
	"  if who == 'null' or not seen[who] then count = count + 1 end\n" \
	"  if who ~= 'null' and not seen[who] then users[#users + 1] = who end\n" \
	"  if who ~= 'null' and one[3] ~= '' then seen[who] = one[3] end\n" \
	"  seen[who] = seen[who] or ''\n" \
	"end\n" \
	"table.sort(users)\n" \
	"for _, who in ipairs(users) do\n" \
	"  if seen[who] ~= '' then infos[#infos + 1] = who .. ':' .. seen[who] end\n" \
	"end\n" \
	"local list = '{\"count\":' .. count .. ',\"users\":[' .. table.concat(users, ',') " \
	".. ']'\n" \
	"if #infos > 0 then list = list .. ',\"info\":{' .. table.concat(infos, ',') .. " \
	"'}' end\n" \
	"return list .. '}'"

/*
 * In a cluster: the book of all rooms, which only says when somebody is to look after one. KEYS is
 * the book; ARGV "put ROOM MS": in so many milliseconds at the latest; "due": gives a room whose
 * time has come as "SCORE ROOM", and puts it off, so that nobody else looks, by so many; "next
 * SCORE ROOM MS": it was looked after, and is due then, or, without, never, unless it was put in
 * meanwhile.
 */
#define ROOMS \
	"local book, mode, room, ms = KEYS[1], ARGV[1], ARGV[2], ARGV[3]\n" \
	"local t = redis.call('TIME')\n" \
	"local now = t[1] * 1000 + math.floor(t[2] / 1000)\n" \
	"local function score(in_ms) return string.format('%d', now + in_ms) end\n" \
	"if mode == 'due' then\n" \
	"  local first = redis.call('ZRANGEBYSCORE', book, '-inf', now, 'LIMIT', 0, 1)[1]\n" \
	"  if not first then return false end\n" \
	"  redis.call('ZADD', book, score(ms), first)\n" \
	"  return score(ms) .. ' ' .. first\n" \
	"end\n" \
	"local claimed\n" \
	"if mode == 'next' then claimed, room = string.match(room, '^(%d+) (.*)$') end\n" \
	"local was = redis.call('ZSCORE', book, room)\n" \
	"if was and claimed and tonumber(was) == tonumber(claimed) then was = nil end\n" \
	"if ms == '' then\n" \
	"  if not was then redis.call('ZREM', book, room) end\n" \
	"elseif not was or tonumber(was) > now + ms then\n" \
	"  redis.call('ZADD', book, score(ms), room)\n" \
	"end\n" \
	"return false"

static void
on_put(struct feed *feed, struct message *reply)
{
	(void)feed; /* if it failed, the next renewal does it */
	(void)reply;
}

/*
 * The room is put into the book before the answer, so that it is looked after even if this worker
 * dies.
 */
static int
put_room(struct feed *feed, unsigned long long ms)
{
	char in[24];

	snprintf(in, sizeof(in), "%llu", ms);
	return feed_ask(feed, on_put, "EVAL", ROOMS, "1", BOOK, "put", feed_channel_name(feed, 0),
			in, NULL);
}

static void
on_answer(struct feed *feed, struct message *reply)
{
	struct here *here = feed_data(feed);
	const char *list;
	size_t len;

	here->is_asking = false;
	if (reply == NULL || (here->is_old && !here->is_told)) {
		here->is_old = false;
		feed_timer(feed, reply == NULL ? AGAIN_MS : FIRST_MS);
	} else if ((list = message_bytes(reply, &len)) != NULL) {
		here->is_told = true;
		feed_send(feed, "presence", list, len);
	}
}

static int
ask(struct feed *feed, const char *mode)
{
	struct here *here = feed_data(feed);
	const char *tells = feed_key_number(feed, "presence_events") != 0 ? "1" : "0";
	char lease[24], linger[24];

	snprintf(lease, sizeof(lease), "%llu", feed_key_number(feed, "lease"));
	snprintf(linger, sizeof(linger), "%llu", feed_key_number(feed, "linger"));
	if (!feed_is_in_cluster(feed))
		return feed_ask(feed, on_answer, "EVAL", SCRIPT, "2", BOOK,
				feed_channel_name(feed, 0), mode, here->id, here->name, here->info,
				lease, linger, tells, NULL);
	if (!here->is_watching)
		put_room(feed, strcmp(mode, "leave") == 0 ? feed_key_number(feed, "linger")
							  : feed_key_number(feed, "lease") * 3 / 4);
	return feed_ask(feed, on_answer, "EVAL", SCRIPT, "1", feed_channel_name(feed, 0), mode,
			here->id, here->name, here->info, lease, linger, tells,
			feed_publish_verb(feed), NULL);
}

/* This waits for Redis's confirmation: whoever comes after the list was made must be announced. */
static void
presence_timer(struct feed *feed)
{
	struct here *here = feed_data(feed);

	if (!feed_is_open(feed)) {
		here->is_told = false;
		feed_timer(feed, OPEN_MS);
		return;
	}
	feed_timer(feed, (unsigned)feed_key_number(feed, "lease") / RENEWALS);
	if (here->is_asking || (here->is_watching && here->is_told))
		return;
	if (ask(feed, here->is_watching ? "look" : here->is_told ? "here" : "list") == 0)
		here->is_asking = true;
	else
		feed_timer(feed, AGAIN_MS);
}

/* How often to look: as often as the shortest time that can run out. */
static unsigned
tend_ms(const struct feed *feed)
{
	unsigned long long ms = feed_key_number(feed, "lease") / TENDS;
	unsigned long long linger = feed_key_number(feed, "linger");

	if (linger > 0 && linger / 2 < ms)
		ms = linger / 2;
	return ms < TEND_MIN_MS ? TEND_MIN_MS : ms > TEND_MAX_MS ? TEND_MAX_MS : (unsigned)ms;
}

static void
on_tended(struct feed *feed, struct message *reply)
{
	size_t len;
	const char *due = reply != NULL ? message_bytes(reply, &len) : NULL;
	unsigned ms = tend_ms(feed);
	unsigned long long next = due != NULL ? strtoull(due, NULL, 10) + FIRST_MS : ms;

	feed_timer(feed, next < ms ? (unsigned)next : ms);
}

/* In a cluster rooms are looked after one by one, until none is due. */

static void
on_settled(struct feed *feed, struct message *reply)
{
	(void)reply;
	feed_timer(feed, FIRST_MS);
}

/* "MS<tab>SCORE ROOM" */
static void
on_swept(struct feed *feed, struct message *reply)
{
	size_t len;
	const char *text = reply != NULL ? message_bytes(reply, &len) : NULL, *tab;
	char ms[24];

	if (text == NULL || (tab = strchr(text, '\t')) == NULL) {
		feed_timer(feed, tend_ms(feed));
		return;
	}
	snprintf(ms, sizeof(ms), "%.*s", (int)(tab - text), text);
	if (feed_ask(feed, on_settled, "EVAL", ROOMS, "1", BOOK, "next", tab + 1, ms, NULL) < 0)
		feed_timer(feed, tend_ms(feed));
}

/* "SCORE ROOM" */
static void
on_due(struct feed *feed, struct message *reply)
{
	size_t len;
	const char *text = reply != NULL ? message_bytes(reply, &len) : NULL, *room;

	if (text == NULL || (room = strchr(text, ' ')) == NULL ||
	    feed_ask(feed, on_swept, "EVAL", SCRIPT, "1", room + 1, "sweep", text, "", "", "0", "0",
		     "0", feed_publish_verb(feed), NULL) < 0)
		feed_timer(feed, tend_ms(feed));
}

/* Each worker looks after all rooms where something is due, even if nobody is left there. */
static void
presence_tend(struct feed *feed)
{
	if (feed_is_in_cluster(feed)) {
		if (feed_ask(feed, on_due, "EVAL", ROOMS, "1", BOOK, "due", "", PUT_OFF_MS, NULL) <
		    0)
			feed_timer(feed, tend_ms(feed));
		return;
	}
	if (feed_ask(feed, on_tended, "EVAL", SCRIPT, "1", BOOK, "sweep", NULL) < 0)
		feed_timer(feed, tend_ms(feed));
}

/* Passes on "join" and "leave" of others, and not what is meant for this subscriber. */
static enum verdict
presence_message(struct feed *feed, struct message *msg)
{
	const char *type = json_text(message_json(msg), "type");
	struct here *here = feed_data(feed);
	struct json_object *out;
	bool is_join = type != NULL && strcmp(type, "join") == 0;

	if (json_is(message_json(msg), "id", here->id))
		return DROP;
	if (!here->is_told) {
		here->is_old = true;
		return DROP;
	}
	if (!is_join && (type == NULL || strcmp(type, "leave") != 0))
		return DROP;
	if ((out = message_copy(msg)) == NULL)
		return DROP;
	json_object_object_del(out, "type");
	json_object_object_del(out, "id");
	message_set_event(msg, is_join ? "join" : "leave");
	return message_replace(msg, out);
}

static char *
as_json(const char *name, const char *otherwise)
{
	struct json_object *value = name != NULL ? json_object_new_string(name) : NULL;
	char *text = NULL;

	if (name == NULL)
		return strdup(otherwise);
	if (value != NULL)
		text = strdup(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
	json_object_put(value);
	return text;
}

static int
presence_open(struct feed *feed, const struct request *req)
{
	const char *name = request_param(req, "user"), *mode = request_param(req, "mode");
	struct here *here = calloc(1, sizeof(*here));
	char *info = NULL;
	int status;

	if (here == NULL)
		return HTTP_INTERNAL_ERROR;
	feed_set_data(feed, here);
	unique_make(here->id);
	here->is_watching =
	    mode != NULL && (strcmp(mode, "watch") == 0 || strcmp(mode, "poll") == 0);
	if ((status = request_key_text(req, "presence_info", &info)) != 0)
		return status;
	here->name = as_json(name != NULL ? name : request_param(req, "name"), "null");
	here->info = as_json(info, "");
	free(info);
	if (here->name == NULL || here->info == NULL)
		return HTTP_INTERNAL_ERROR;
	if ((status = feed_subjects(feed, req)) != 0)
		return status;
	if (feed_channel_name(feed, 0) == NULL)
		return HTTP_NOT_FOUND;
	return feed_timer(feed, FIRST_MS);
}

static void
presence_close(struct feed *feed)
{
	struct here *here = feed_data(feed);

	if (here == NULL)
		return;
	if (!here->is_watching && (here->is_told || here->is_asking))
		(void)ask(feed, "leave");
	free(here->name);
	free(here->info);
	free(here);
}

static const char *const params[] = {"name", "mode", NULL};

static const struct handler_key keys[] = {
    {.name = "lease",
     .kind = HANDLER_DURATION,
     .fallback = "20s",
     .min = 1000,
     .max = 3600000,
     .help = "how long who is gone without a goodbye counts as present"},
    {.name = "linger",
     .kind = HANDLER_DURATION,
     .fallback = "5s",
     .min = 0,
     .max = 600000,
     .help = "how long a user who has left may be back without having left"},
    {.name = "presence_info", .kind = HANDLER_TEMPLATE, .help = "what is told of each subscriber"},
    {.name = "presence_events",
     .kind = HANDLER_YES_NO,
     .fallback = "no",
     .help = "tell CHANNEL:presence of the first who comes and the last who goes"},
    {0},
};

static const char *const refuses[] = {"record", "snapshot", "rate", "batch", NULL};

static void
presence_check(struct handler_section *section)
{
	if (section_count(section, "channels") != 1)
		section_fault(section, NULL, "needs one channel: channels = here:{room}");
}

const struct handler presence = {
    .name = "presence",
    .keys = keys,
    .check = presence_check,
    .follows_only = "channels",
    .refuses = refuses,
    .why_refused = "handler = presence follows one channel, which it uses itself",
    .open = presence_open,
    .message = presence_message,
    .timer = presence_timer,
    .close = presence_close,
    .tend = presence_tend,
    .params = params,
    .is_private = true,
    .tells_state = true,
};
