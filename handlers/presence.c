/*
 * presence.c - who is here: those who follow this route.
 *
 * The section names one channel, such as "channels = here:{room}". A hash of the same name holds
 * who is here, each with the time until which that is so; the channel tells who comes and goes. A
 * subscriber is here under the user that a credential proves, else under the parameter "name", else
 * as a guest without one. It renews its time as long as it follows, and says goodbye. If that is
 * lost, as when a machine dies, its time is over by itself: all is right again within the section's
 * "lease".
 *
 * Each gets first an event "presence", {"count":3,"users":["ada","bob"]}, and then "join" and
 * "leave", {"user":"ada"}: of a user's first and last subscriber; of each guest, with null. With
 * "?mode=watch" one looks without being here, and "?mode=poll" answers with the first event alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/handler.h>

enum { FIRST_MS = 1, OPEN_MS = 20, AGAIN_MS = 500, RENEWALS = 4 };

struct here {
	char id[UNIQUE_LEN];
	char *name; /* as JSON; owned */
	bool is_watching, is_told, is_asking;
	bool is_old; /* who came or went while the list was asked for may not be in it */
};

/*
 * KEYS[1] is the hash and the channel; ARGV are the subscriber's id, its name as JSON, the lease in
 * milliseconds, and what is to be done: "here" renews, "list" renews and gives the list, "look"
 * gives the list alone, "leave" says goodbye. The hash's field without a name is when it was swept.
 */
#define SCRIPT \
	"local key, id, name, lease, mode = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), " \
	"ARGV[4]\n" \
	"local t = redis.call('TIME')\n" \
	"local now = t[1] * 1000 + math.floor(t[2] / 1000)\n" \
	"local function all()\n" \
	"  local here, flat = {}, redis.call('HGETALL', key)\n" \
	"  for i = 1, #flat, 2 do\n" \
	"    local till, who = string.match(flat[i + 1], '^(%d+) (.*)$')\n" \
	"    if flat[i] ~= '' then here[flat[i]] = {tonumber(till), who} end\n" \
	"  end\n" \
	"  return here\n" \
	"end\n" \
	"local function tell(what, who, here, id)\n" \
	"  for _, one in pairs(here) do\n" \
	"    if who ~= 'null' and one[2] == who then return end\n" \
	"  end\n" \
	"  redis.call('PUBLISH', key, '{\"type\":\"' .. what .. '\",\"id\":\"' .. id .. " \
	"'\",\"user\":' " \
	".. who .. '}')\n" \
	"end\n" \
	"if mode == 'leave' then\n" \
	"  if redis.call('HDEL', key, id) == 1 then tell('leave', name, all(), id) end\n" \
	"  return false\n" \
	"end\n" \
	"if mode ~= 'look' then\n" \
	"  if redis.call('HEXISTS', key, id) == 0 then tell('join', name, all(), id) end\n" \
	"  redis.call('HSET', key, id, string.format('%d %s', now + lease * 3 / 4, name))\n" \
	"  redis.call('PEXPIRE', key, 2 * lease)\n" \
	"end\n" \
	"if mode == 'here' and now - tonumber(redis.call('HGET', key, '') or 0) < lease / 8 " \
	"then\n" \
	"  return false\n" \
	"end\n" \
	"local here, gone = all(), {}\n" \
	"for i, one in pairs(here) do\n" \
	"  if one[1] < now then gone[i] = one[2] end\n" \
	"end\n" \
	"for i in pairs(gone) do\n" \
	"  redis.call('HDEL', key, i)\n" \
	"  here[i] = nil\n" \
	"end\n" \
	"local told = {}\n" \
	"for _, who in pairs(gone) do\n" \
	"  if who == 'null' or not told[who] then tell('leave', who, here, '') end\n" \
	"  told[who] = true\n" \
	"end\n" \
	"if mode ~= 'look' then redis.call('HSET', key, '', string.format('%d ', now)) end\n" \
	"if mode == 'here' then return false end\n" \
	"local count, users, seen = 0, {}, {}\n" \
	"for _, one in pairs(here) do\n" \
	"  count = count + 1\n" \
	"  if one[2] ~= 'null' and not seen[one[2]] then users[#users + 1] = one[2] end\n" \
	"  seen[one[2]] = true\n" \
	"end\n" \
	"table.sort(users)\n" \
	"return '{\"count\":' .. count .. ',\"users\":[' .. table.concat(users, ',') .. ']}'"

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
	char lease[16];

	snprintf(lease, sizeof(lease), "%u", (unsigned)feed_key_number(feed, "lease"));
	return feed_ask(feed, on_answer, "EVAL", SCRIPT, "1", feed_channel_name(feed, 0), here->id,
			here->name, lease, mode, NULL);
}

/* Not before Redis has confirmed: who comes after the list was made must be heard of. */
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

/* "join" and "leave" of others, without what is said to us. */
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
as_json(const char *name)
{
	struct json_object *value = name != NULL ? json_object_new_string(name) : NULL;
	char *text = NULL;

	if (name == NULL)
		return strdup("null");
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
	int status;

	if (here == NULL)
		return HTTP_INTERNAL_ERROR;
	feed_set_data(feed, here);
	unique_make(here->id);
	here->is_watching =
	    mode != NULL && (strcmp(mode, "watch") == 0 || strcmp(mode, "poll") == 0);
	if ((here->name = as_json(name != NULL ? name : request_param(req, "name"))) == NULL)
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
	free(here);
}

static const char *const params[] = {"name", "mode", NULL};

static const struct handler_key keys[] = {
    {"lease", HANDLER_DURATION, "20s", 1000, 3600000,
     "how long who is gone without a goodbye counts as present"},
    {0},
};

static const char *const refuses[] = {"patterns", "streams", "keyspace", "record",
				      "snapshot", "rate",    "batch",    NULL};

const struct handler presence = {
    .name = "presence",
    .keys = keys,
    .refuses = refuses,
    .why_refused = "handler = presence follows one channel, which it uses itself",
    .open = presence_open,
    .message = presence_message,
    .timer = presence_timer,
    .close = presence_close,
    .params = params,
    .is_private = true,
    .tells_state = true,
};
