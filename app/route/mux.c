/*
 * mux.c - one connection that carries many routes.
 *
 * Each subscription of it is a request of its own to the site, made with the credentials of the
 * connection: matched, authorised and limited as if its client had asked for it. What its stream
 * says comes out as events of the connection, named "mux": the first line of the data is a JSON
 * array of the subscription's key, the event's name and its id, the rest is the event's data.
 *
 * The connection is a feed of its own, so that heartbeats, limits and slow clients are dealt with
 * as everywhere. It follows a channel that only its client can name: by it a POST that comes to any
 * worker adds and removes subscriptions.
 */
#include "route/mux.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/random.h"
#include "base/strings.h"
#include "logic/message.h"
#include "route/mux_leg.h"
#include "route/serving.h"

enum {
	LEGS_MAX = 500,
	KEY_MAX = 64,
	PATH_MAX_LEN = 2048,
	PIECE_MIN = 1024,
	SOON_MS = 1,
	AGAIN_MS = 10,
};

struct mux {
	struct mux_legs legs;
	struct serving_context *in;
	char *user;    /* owned; NULL: nobody */
	char *last_id; /* the last id of its request; owned; NULL: none */
	char secret[MUX_SECRET_TEXT];
	/* the subscriptions that the request asks for, until it is open; owned */
	struct json_object *wanted;
};

/* NULL: it is no text, or holds a NUL, behind which nothing would be read. */
static const char *
text_at(struct json_object *array, size_t i)
{
	struct json_object *one = json_object_array_get_idx(array, i);
	const char *text;

	if (!json_object_is_type(one, json_type_string))
		return NULL;
	text = json_object_get_string(one);
	return strlen(text) == (size_t)json_object_get_string_len(one) ? text : NULL;
}

/* The last id in ["key", "/path?query", "last id"]; NULL: there is none. */
static const char *
id_of(struct json_object *wanted)
{
	return json_object_is_type(wanted, json_type_array) ? text_at(wanted, 2) : NULL;
}

/* Reads ["key", "/path?query", "last id"]; if it is something else, an event says so. */
static void
add(struct mux *mux, struct json_object *wanted, const char *position, struct mux_slot *slot)
{
	bool is_array = json_object_is_type(wanted, json_type_array);
	const char *key = is_array ? text_at(wanted, 0) : NULL;
	const char *path = is_array ? text_at(wanted, 1) : NULL;
	const char *last_id = id_of(wanted);
	struct mux_leg *leg;

	if (slot != NULL && position != NULL && strcmp(position, MUX_OVER) == 0) {
		mux_slot_leave(slot, MUX_OVER);
		if (key != NULL && strlen(key) <= KEY_MAX)
			mux_say_text(&mux->legs.say, key, "mux-end", MUX_FOR_GOOD);
		return;
	}
	if (position != NULL && *position != '\0')
		last_id = position; /* it is newer than the id in the address */
	if (key == NULL || *key == '\0' || strlen(key) > KEY_MAX ||
	    mux_leg_find(&mux->legs, key) != NULL || path == NULL || *path != '/' ||
	    strlen(path) > PATH_MAX_LEN) {
		mux_say_refused(&mux->legs.say, key != NULL && strlen(key) <= KEY_MAX ? key : "",
				HTTP_BAD_REQUEST, "A subscription is a new key and a path.");
		return;
	}
	if (mux->legs.n == LEGS_MAX ||
	    (leg = mux_leg_new(&mux->legs, slot, key, path, last_id != NULL ? last_id : "")) ==
		NULL) {
		mux_say_refused(&mux->legs.say, key, HTTP_TOO_MANY_REQUESTS,
				"A connection has at most 500 subscriptions.");
		return;
	}
	mux->in->serve(mux->in, &leg->sub, &leg->vars, "", 0, NULL);
	if (!subscriber_is_stream(&leg->sub) && subscriber_has_bytes(&leg->sub))
		leg->sub.ops->send(&leg->sub);
}

static void
remove_leg(struct mux *mux, const char *key)
{
	struct mux_leg *leg = key != NULL ? mux_leg_find(&mux->legs, key) : NULL;
	struct mux_slot *slot;

	if (leg == NULL)
		return;
	slot = leg->slot;
	mux_leg_end(leg);
	if (slot != NULL)
		mux_slot_leave(slot, MUX_OVER);
}

/* Has "17-0;;5-3,6-1" as many members as there are subscriptions? Then it may be of ours. */
static bool
is_of_so_many(const char *positions, size_t n)
{
	size_t n_members = 1;

	for (; *positions != '\0'; positions++)
		n_members += *positions == ';';
	return n_members == n;
}

/* Its n-th member, for the caller to free. */
static char *
member_of(const char *positions, size_t n)
{
	for (; n > 0; n--)
		positions = strchr(positions, ';') + 1;
	return strndup(positions, strcspn(positions, ";"));
}

/*
 * Where a subscription of the address begins, for the caller to free; NULL: nobody says it. An id
 * that is none of this address is none of each subscription, so each is told; but one whose own id
 * stands in the address.
 */
static char *
position_of(const struct mux *mux, const char *positions, struct json_object *list, size_t i)
{
	if (positions == NULL)
		return NULL;
	if (strcmp(positions, MUX_UNKNOWN) == 0)
		return strdup(MUX_UNKNOWN);
	if (is_of_so_many(positions, mux->legs.say.n_slots))
		return member_of(positions, i);
	return id_of(json_object_array_get_idx(list, i)) != NULL ? NULL : strdup(MUX_UNKNOWN);
}

/*
 * Adds the subscriptions of the address, which resume from one id. Each id that is told from the
 * first on has the places of all, also of those that are added later.
 */
static void
add_first(struct mux *mux, struct json_object *list, const char *positions)
{
	struct mux_slot *slots = mux->legs.say.slots;
	size_t n = mux->legs.say.n_slots, i;

	for (i = 0; i < n; i++) {
		char *position = position_of(mux, positions, list, i);

		if (position != NULL && (strcmp(position, MUX_OVER) == 0 || mux_is_place(position)))
			mux_slot_leave(&slots[i], position);
		free(position);
	}
	for (i = 0; i < n; i++) {
		char *position = position_of(mux, positions, list, i);

		add(mux, json_object_array_get_idx(list, i), position, &slots[i]);
		free(position);
	}
}

/* Adds the subscriptions that a POST asks for. */
static void
add_more(struct mux *mux, struct json_object *list)
{
	size_t i;

	if (!json_object_is_type(list, json_type_array))
		return;
	for (i = 0; i < json_object_array_length(list); i++)
		add(mux, json_object_array_get_idx(list, i), NULL, NULL);
}

/* The connection */

static enum verdict
mux_message(struct feed *feed, struct message *msg)
{
	struct mux *mux = feed_data(feed);
	struct json_object *control = message_json(msg), *list;
	const char *user;
	size_t i;

	if (control == NULL || mux->wanted != NULL)
		return HOLD; /* it is none of ours; or the connection is not open yet, and its
				client cannot know its name */
	user = json_text(control, "user");
	if ((user == NULL) != (mux->user == NULL) || (user != NULL && strcmp(user, mux->user) != 0))
		return HOLD; /* another's */
	if (json_object_object_get_ex(control, "remove", &list) &&
	    json_object_is_type(list, json_type_array)) {
		for (i = 0; i < json_object_array_length(list); i++)
			remove_leg(mux, text_at(list, i));
	}
	if (json_object_object_get_ex(control, "add", &list))
		add_more(mux, list);
	return HOLD;
}

/*
 * Redis has confirmed, so the channel of the connection is heard. Now the client is told its secret
 * name, and its subscriptions begin.
 */
static void
mux_timer(struct feed *feed)
{
	struct mux *mux = feed_data(feed);
	struct json_object *wanted = mux->wanted;
	char data[sizeof("{\"connection\":\"\"}") + MUX_SECRET_TEXT];

	if (!feed_is_followed(feed) || !feed_is_open(feed)) {
		feed_timer(feed, AGAIN_MS);
		return;
	}
	snprintf(data, sizeof(data), "{\"connection\":\"%s\"}", mux->secret);
	feed_send(feed, "mux-open", data, strlen(data));
	mux->wanted = NULL;
	add_first(mux, wanted, mux->last_id);
	json_object_put(wanted);
}

static void
mux_close(struct feed *feed)
{
	struct mux *mux = feed_data(feed);

	if (mux == NULL)
		return;
	while (!list_is_empty(&mux->legs.all))
		mux_leg_end(LIST_ENTRY(mux->legs.all.next, struct mux_leg, of_mux));
	strings_free(mux->legs.vars.envp);
	free(mux->user);
	free(mux->last_id);
	json_object_put(mux->wanted);
	mux_say_fini(&mux->legs.say);
	free(mux);
}

/* The client of the connection has read everything. */
static void
on_flushed(struct feed *feed)
{
	struct mux *mux = feed_data(feed);

	mux_legs_go_on(&mux->legs);
}

/* "?s=" is a JSON array of subscriptions. */
static int
mux_open(struct feed *feed, const struct request *req)
{
	const char *text = query_get(&req->query, "s");
	struct mux *mux;
	size_t n;

	if ((mux = calloc(1, sizeof(*mux))) == NULL)
		return HTTP_INTERNAL_ERROR;
	mux_say_init(&mux->legs.say, feed);
	list_init(&mux->legs.all);
	mux->in = req->route->in;
	mux->legs.route = req->route->name;
	mux->legs.lag_max = req->route->stream.queue / 4;
	if (mux->legs.lag_max < PIECE_MIN)
		mux->legs.lag_max = PIECE_MIN;
	feed_set_data(feed, mux);
	if ((mux->legs.vars.envp = strings_copy(req->vars->envp)) == NULL ||
	    random_secret(mux->secret, MUX_SECRET_BYTES) < 0 ||
	    (req->identity->user != NULL && (mux->user = strdup(req->identity->user)) == NULL))
		return HTTP_INTERNAL_ERROR;
	if (text != NULL && !json_text_check(text, strlen(text), NULL))
		return HTTP_BAD_REQUEST;
	mux->wanted = text != NULL ? json_tokener_parse(text) : json_object_new_array();
	if (!json_object_is_type(mux->wanted, json_type_array))
		return HTTP_BAD_REQUEST;
	if ((n = json_object_array_length(mux->wanted)) > LEGS_MAX)
		return HTTP_BAD_REQUEST;
	if (mux_say_make_slots(&mux->legs.say, n) < 0 ||
	    (req->last_event_id != NULL && (mux->last_id = strdup(req->last_event_id)) == NULL))
		return HTTP_INTERNAL_ERROR;
	if (feed_timer(feed, SOON_MS) != 0 || feed_on_flushed(feed, on_flushed) < 0)
		return HTTP_INTERNAL_ERROR;
	return feed_channel(feed, MUX_CHANNEL "%s", mux->secret);
}

static const struct handler_key keys[] = {
    {.name = "routes",
     .kind = HANDLER_TEXT,
     .help = "the routes that a connection of handler = mux may carry; *: all that stream"},
    {0},
};

static void
mux_check(struct handler_section *section)
{
	if (section_count(section, "routes") == 0)
		section_fault(section, NULL,
			      "does not say what it carries: routes = NAME NAME, or * for every "
			      "route that streams");
}

const struct handler mux_handler = {
    .name = "mux",
    .kind = HANDLER_MUX,
    .keys = keys,
    .check = mux_check,
    .open = mux_open,
    .message = mux_message,
    .timer = mux_timer,
    .close = mux_close,
    .is_private = true,
};
