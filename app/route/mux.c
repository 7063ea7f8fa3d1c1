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
#include <sys/random.h>

#include "base/logger.h"
#include "base/strings.h"
#include "base/json_text.h"
#include "logic/message.h"
#include "redis/stream_id.h"
#include "sse/frame.h"
#include "route/serving.h"
#include "sse/event.h"

#define FOR_GOOD "{\"for_good\":true}"
#define OVER     "-" /* in an id: not to be subscribed again */
#define UNKNOWN  "~" /* an id that none can resume from */

enum {
	LEGS_MAX = 500,
	KEY_MAX = 64,
	PATH_MAX_LEN = 2048,
	POSITION_MAX = 64 * 1024,
	PIECE = 64 * 1024,
	PIECE_MIN = 1024,
	HEADER_MAX = 4096,
	SOON_MS = 1,
	AGAIN_MS = 10,
	TEXT_MAX = 16 * 1024 * 1024
};

/* One subscription of the address. */
struct slot {
	struct leg *leg; /* NULL: it is not there */
	char *left;      /* where it stood when it went; owned; or NULL */
};

struct mux {
	struct feed *feed;
	struct serving_context *in;
	struct params vars; /* of its request, for those of its subscriptions; owned */
	const char *route;  /* its name */
	char *user;         /* owned; NULL: nobody */
	char *last_id;      /* of its request; owned; NULL: none */
	char secret[MUX_SECRET_TEXT];
	struct list legs;
	size_t n_legs;
	struct json_object *wanted; /* subscriptions of the request, until it is open; owned */
	struct slot *slots;         /* of each of them */
	size_t n_slots;
	struct buf text, id; /* of an event */
	size_t lag_max;      /* bytes that may wait for its client before its subscriptions wait */
	bool has_paused;     /* some of them do */
};

/* One subscription: a subscriber whose bytes go to the connection. */
struct leg {
	struct subscriber sub;
	struct list of_mux;
	struct mux *mux;
	struct slot *slot; /* NULL: it came by POST */
	char *key;
	char *envp[8]; /* those that differ from the connection's; owned */
	struct params vars;
	struct buf in;    /* what is not dealt with */
	size_t n_scanned; /* of it: no frame ends there */
	bool has_head, is_stream, is_problem, is_too_long;
	int status;
	char last_id[EVENT_ID_MAX + 1]; /* as its client is told */
	char place[EVENT_ID_MAX + 1];   /* from which its feed can go on; empty: it cannot */
};

/* Events */

static const char *
position_in(const char *place)
{
	return event_is_end_id(place, strlen(place)) ? OVER : place;
}

/*
 * Where each subscription of the address stands, in its order: the one id that resumes them all.
 * Empty: none can be resumed. Those that came by POST are not of it: who connects anew does not ask
 * for them. If it is longer than any id may be, it says that all have missed something, lest a
 * shorter one from before be taken for the last.
 */
static int
put_position(struct mux *mux)
{
	bool is_some = false;
	size_t i;
	int rc = 0;

	buf_truncate(&mux->id, 0);
	for (i = 0; i < mux->n_slots && rc == 0 && mux->id.len <= EVENT_ID_MAX; i++) {
		const struct slot *slot = &mux->slots[i];
		const char *text = slot->leg != NULL    ? position_in(slot->leg->place)
				   : slot->left != NULL ? slot->left
							: "";

		if (i > 0)
			rc = buf_putc(&mux->id, ';');
		if (rc == 0)
			rc = buf_puts(&mux->id, text);
		is_some = is_some || *text != '\0';
	}
	if (!is_some)
		buf_truncate(&mux->id, 0);
	if (mux->id.len <= EVENT_ID_MAX || rc != 0)
		return rc;
	buf_truncate(&mux->id, 0);
	return buf_puts(&mux->id, UNKNOWN);
}

static int
put_header(struct buf *b, const char *key, const char *type, size_t type_len, const char *id)
{
	int rc;

	if ((rc = buf_putc(b, '[')) < 0 || (rc = json_put_string(b, key, strlen(key))) < 0 ||
	    (rc = buf_putc(b, ',')) < 0 || (rc = json_put_string(b, type, type_len)) < 0 ||
	    (rc = buf_putc(b, ',')) < 0 || (rc = json_put_string(b, id, strlen(id))) < 0)
		return rc;
	return buf_puts(b, "]\n");
}

/* What stands in text, as an event of the connection. */
static int
send_text(struct mux *mux)
{
	struct event ev = {.type = "mux", .type_len = strlen("mux")};

	if (put_position(mux) == 0 && mux->id.len > 0) {
		ev.id = mux->id.p;
		ev.id_len = mux->id.len;
	}
	ev.data = mux->text.p;
	ev.data_len = mux->text.len;
	return feed_emit(mux->feed, &ev);
}

static void
tell(struct mux *mux, const char *key, const char *type, size_t type_len, const char *id,
     const char *data, size_t len)
{
	buf_truncate(&mux->text, 0);
	if (put_header(&mux->text, key, type, type_len, id) < 0 ||
	    buf_put(&mux->text, data, len) < 0 || send_text(mux) < 0)
		logger_error("out of memory: an event of a subscription is not sent");
}

static void
tell_text(struct mux *mux, const char *key, const char *type, const char *data)
{
	tell(mux, key, type, strlen(type), "", data, strlen(data));
}

static void
tell_refused(struct mux *mux, const char *key, int status, const char *detail)
{
	struct answer a;

	answer_init(&a);
	answer_problem(&a, status, detail, 0);
	tell(mux, key, "mux-refused", strlen("mux-refused"), "", a.body.p, a.body.len);
	answer_fini(&a);
}

/* Streams of subscriptions */

static void
leg_free(struct leg *leg)
{
	size_t i;

	if (leg->slot != NULL) {
		leg->slot->leg = NULL;
		leg->slot->left = strdup(position_in(leg->place));
	}
	list_del(&leg->of_mux);
	leg->mux->n_legs--;
	for (i = 0; i < sizeof(leg->envp) / sizeof(leg->envp[0]); i++)
		free(leg->envp[i]);
	free(leg->vars.envp);
	free(leg->key);
	buf_fini(&leg->in);
	free(leg);
}

/*
 * Where the client of the subscription stands, and where its feed could go on: of a route that
 * cannot resume an id is whatever a message says, and no place.
 */
static void
take_id(struct leg *leg, const struct frame *said)
{
	struct feed *feed = feed_of_stream(&leg->sub);

	if (feed != NULL && !feed_can_resume(feed))
		leg->place[0] = '\0'; /* what its client said is none either */
	if (said->id == NULL || said->id_len > EVENT_ID_MAX)
		return;
	snprintf(leg->last_id, sizeof(leg->last_id), "%.*s", (int)said->id_len, said->id);
	if ((feed != NULL && feed_can_resume(feed)) || event_is_end_id(said->id, said->id_len))
		memcpy(leg->place, leg->last_id, sizeof(leg->place));
}

/* What a message may not say: a client could not tell it from ours. */
static bool
is_own_name(const char *type, size_t len)
{
	if (len < strlen("mux-") || memcmp(type, "mux-", strlen("mux-")) != 0)
		return false;
	logger_debug("an event %.*s of a message was not sent: the name is mux's own", (int)len,
		     type);
	return true;
}

/* One frame without its blank line: as event.c writes them. */
static void
take_frame(struct leg *leg, const char *p, const char *end)
{
	struct mux *mux = leg->mux;
	struct frame said;

	frame_read(&said, p, end);
	take_id(leg, &said);
	if (said.data == NULL || is_own_name(said.type, said.type_len) ||
	    (said.type_len == 10 && memcmp(said.type, "keep-alive", 10) == 0))
		return;
	buf_truncate(&mux->text, 0);
	if (put_header(&mux->text, leg->key, said.type, said.type_len, leg->last_id) < 0 ||
	    frame_put_data(&mux->text, said.data, end) < 0 || send_text(mux) < 0)
		leg->is_too_long = true;
}

/* "Status: 200 OK" and the rest of the head. */
static bool
take_head(struct leg *leg)
{
	const char *end = memmem(leg->in.p, leg->in.len, "\r\n\r\n", 4);
	const char *status = leg->in.p;
	size_t len;

	if (end == NULL)
		return false;
	len = (size_t)(end - leg->in.p);
	leg->has_head = true;
	leg->status =
	    strncmp(status, "Status: ", 8) == 0 ? (int)strtol(status + 8, NULL, 10) : HTTP_OK;
	leg->is_stream =
	    leg->status == HTTP_OK && memmem(leg->in.p, len, "text/event-stream", 17) != NULL;
	leg->is_problem = memmem(leg->in.p, len, "application/problem+json", 24) != NULL;
	buf_consume(&leg->in, len + 4);
	return true;
}

/* All whole frames. What follows them is looked at once, however slowly its end comes. */
static void
take(struct leg *leg)
{
	const char *begin, *from, *end, *blank;

	if (leg->in.len == 0 || (!leg->has_head && !take_head(leg)) || !leg->is_stream ||
	    leg->in.len == 0)
		return;
	begin = leg->in.p;
	end = begin + leg->in.len;
	from = begin + leg->n_scanned;
	while ((blank = memmem(from, (size_t)(end - from), "\n\n", 2)) != NULL) {
		take_frame(leg, begin, blank + 1);
		if (leg->is_too_long)
			break; /* it stays: its id is told */
		begin = from = blank + 2;
	}
	leg->n_scanned = end > begin ? (size_t)(end - begin) - 1 : 0;
	buf_consume(&leg->in, (size_t)(begin - leg->in.p));
}

/* What it was answered instead of a stream, or that its stream is over. */
static void
tell_end(struct leg *leg)
{
	char data[64];

	if (leg->is_stream) {
		snprintf(data, sizeof(data), "{\"for_good\":%s}",
			 event_is_end_id(leg->last_id, strlen(leg->last_id)) ? "true" : "false");
		tell_text(leg->mux, leg->key, "mux-end", data);
	} else if (leg->status == HTTP_NO_CONTENT) {
		tell_text(leg->mux, leg->key, "mux-end", FOR_GOOD);
	} else if (leg->is_problem) {
		tell(leg->mux, leg->key, "mux-refused", strlen("mux-refused"), "",
		     leg->in.len > 0 ? leg->in.p : "", leg->in.len);
	} else {
		tell_refused(leg->mux, leg->key, HTTP_BAD_REQUEST,
			     "A connection carries event streams, and this is none.");
	}
}

/* An event that no connection can carry. Its client is told, with the id behind which it goes on.
 */
static void
tell_too_long(struct leg *leg)
{
	static const char data[] = "{\"for_good\":false,\"reason\":\"too-long\"}";
	struct frame said;

	if (leg->in.len > 0) {
		frame_read(&said, leg->in.p, leg->in.p + leg->in.len);
		take_id(leg, &said);
	}
	logger_warn("[route %s] an event is too long for a subscription of a connection",
		    leg->mux->route);
	tell(leg->mux, leg->key, "mux-end", strlen("mux-end"), leg->last_id, data,
	     sizeof(data) - 1);
}

/* One piece of what waits. False: there is nothing. */
static bool
take_piece(struct leg *leg, size_t max)
{
	struct iovec iov[16];
	int n = 16, i;
	size_t len = subscriber_gather(&leg->sub, iov, &n, max);

	for (i = 0; i < n && len > 0; i++) {
		if (buf_put(&leg->in, iov[i].iov_base, iov[i].iov_len) < 0)
			leg->is_too_long = true;
	}
	subscriber_sent(&leg->sub, len);
	take(leg);
	return len > 0;
}

static bool
is_lagging(const struct mux *mux)
{
	return feed_n_unsent(mux->feed) > mux->lag_max;
}

/* While the connection lags, its subscriptions do, too, each as its own route allows; then the one
 * that was written last is the last to go on. */
static enum send_result
leg_pause(struct leg *leg)
{
	leg->mux->has_paused = true;
	list_move_tail(&leg->mux->legs, &leg->of_mux);
	return SEND_BLOCKED;
}

static enum send_result
leg_send(struct subscriber *sub)
{
	struct leg *leg = LIST_ENTRY(sub, struct leg, sub);
	struct mux *mux = leg->mux;
	size_t piece = mux->lag_max < PIECE ? mux->lag_max : PIECE;

	while (!leg->is_too_long) {
		if (subscriber_is_stream(sub) && is_lagging(mux) && subscriber_has_bytes(sub))
			return leg_pause(leg);
		if (!take_piece(leg, piece))
			break;
	}
	if (leg->is_too_long)
		tell_too_long(leg);
	else if (subscriber_is_finished(sub))
		tell_end(leg);
	else
		return SEND_ALL;
	subscriber_close(sub);
	leg_free(leg);
	return SEND_GONE;
}

/* The connection's client has read all. */
static void
on_flushed(struct feed *feed)
{
	struct mux *mux = feed_data(feed);
	struct list *node, *tmp;

	if (!mux->has_paused)
		return;
	mux->has_paused = false;
	LIST_FOREACH (node, tmp, &mux->legs) {
		struct leg *leg = LIST_ENTRY(node, struct leg, of_mux);

		if (leg->sub.is_blocked)
			subscriber_unblocked(&leg->sub);
	}
}

static void
leg_abort(struct subscriber *sub)
{
	struct leg *leg = LIST_ENTRY(sub, struct leg, sub);

	subscriber_close(sub);
	leg_free(leg);
}

/* A comment to the subscription alone would reach nobody. */
static void
leg_probe(struct subscriber *sub)
{
	feed_probe(LIST_ENTRY(sub, struct leg, sub)->mux->feed);
}

static const struct subscriber_ops leg_ops = {
    .send = leg_send, .abort = leg_abort, .probe = leg_probe};

/* Adding and removing */

static const char *
query_of(const struct mux *mux)
{
	const char *query = params_get(&mux->vars, "QUERY_STRING");

	return query != NULL ? query : "";
}

/* The connection's variables with the subscription's in place of its own. 0, -ENOMEM. */
static int
make_vars(struct leg *leg, const char *path, const char *last_id)
{
	static const char *const replaced[] = {
	    "REQUEST_URI=",    "QUERY_STRING=",       "SCRIPT_NAME=",
	    "PATH_INFO=",      "REQUEST_METHOD=",     "CONTENT_TYPE=",
	    "CONTENT_LENGTH=", "HTTP_LAST_EVENT_ID=", "HTTP_ACCEPT="};
	enum { N_REPLACED = sizeof(replaced) / sizeof(replaced[0]) };
	char *const *from = leg->mux->vars.envp;
	const char *query = strchrnul(path, '?');
	size_t n = 0, i, k;

	if (asprintf(&leg->envp[0], "REQUEST_URI=%s", path) < 0 ||
	    asprintf(&leg->envp[1], "QUERY_STRING=%s", *query == '?' ? query + 1 : "") < 0 ||
	    asprintf(&leg->envp[2], "SCRIPT_NAME=%.*s", (int)(query - path), path) < 0 ||
	    asprintf(&leg->envp[3], "REQUEST_METHOD=GET") < 0 ||
	    asprintf(&leg->envp[4], "HTTP_LAST_EVENT_ID=%s", last_id) < 0 ||
	    asprintf(&leg->envp[5], REQUEST_CARRIED "=%s?%s", leg->mux->route, query_of(leg->mux)) <
		0)
		return -ENOMEM;
	while (from[n] != NULL)
		n++;
	if ((leg->vars.envp = calloc(n + 7, sizeof(char *))) == NULL)
		return -ENOMEM;
	for (i = 0, n = 0; from[i] != NULL; i++) {
		for (k = 0;
		     k < N_REPLACED && strncmp(from[i], replaced[k], strlen(replaced[k])) != 0; k++)
			;
		if (k == N_REPLACED)
			leg->vars.envp[n++] = from[i];
	}
	for (i = 0; i < 6; i++)
		leg->vars.envp[n++] = leg->envp[i];
	return 0;
}

static struct leg *
find_leg(const struct mux *mux, const char *key)
{
	struct list *node;

	for (node = mux->legs.next; node != &mux->legs; node = node->next) {
		if (strcmp(LIST_ENTRY(node, struct leg, of_mux)->key, key) == 0)
			return LIST_ENTRY(node, struct leg, of_mux);
	}
	return NULL;
}

/* What a client says, and what we once said: it is among others, with a ";" between. */
static bool
is_place(const char *text)
{
	return strlen(text) <= EVENT_ID_MAX && strchr(text, ';') == NULL && strcmp(text, OVER) != 0;
}

static struct leg *
leg_new(struct mux *mux, struct slot *slot, const char *key, const char *path, const char *last_id)
{
	struct leg *leg = calloc(1, sizeof(*leg));

	if (leg == NULL)
		return NULL;
	leg->mux = mux;
	subscriber_init(&leg->sub, &leg_ops);
	buf_init(&leg->in, TEXT_MAX);
	list_init(&leg->of_mux);
	list_add_tail(&mux->legs, &leg->of_mux);
	mux->n_legs++;
	snprintf(leg->last_id, sizeof(leg->last_id), "%s", last_id);
	if (is_place(last_id))
		snprintf(leg->place, sizeof(leg->place), "%s", last_id);
	if ((leg->slot = slot) != NULL)
		slot->leg = leg;
	if ((leg->key = strdup(key)) != NULL && make_vars(leg, path, last_id) == 0)
		return leg;
	leg_free(leg);
	return NULL;
}

/* NULL: it is none, or holds a NUL, behind which nobody would look. */
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

/* ["key", "/path?query", "last id"]: as an event tells, if it is none. */
static void
add(struct mux *mux, struct json_object *wanted, const char *position, struct slot *slot)
{
	bool is_array = json_object_is_type(wanted, json_type_array);
	const char *key = is_array ? text_at(wanted, 0) : NULL;
	const char *path = is_array ? text_at(wanted, 1) : NULL;
	const char *last_id = is_array ? text_at(wanted, 2) : NULL;
	struct leg *leg;

	if (position != NULL && strcmp(position, OVER) == 0) {
		slot->left = strdup(OVER);
		if (key != NULL && strlen(key) <= KEY_MAX)
			tell_text(mux, key, "mux-end", FOR_GOOD);
		return;
	}
	if (position != NULL && *position != '\0')
		last_id = position; /* newer than what the address says */
	if (key == NULL || *key == '\0' || strlen(key) > KEY_MAX || find_leg(mux, key) != NULL ||
	    path == NULL || *path != '/' || strlen(path) > PATH_MAX_LEN) {
		tell_refused(mux, key != NULL && strlen(key) <= KEY_MAX ? key : "",
			     HTTP_BAD_REQUEST, "A subscription is a new key and a path.");
		return;
	}
	if (mux->n_legs == LEGS_MAX ||
	    (leg = leg_new(mux, slot, key, path, last_id != NULL ? last_id : "")) == NULL) {
		tell_refused(mux, key, HTTP_TOO_MANY_REQUESTS,
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
	struct leg *leg = key != NULL ? find_leg(mux, key) : NULL;
	struct slot *slot;

	if (leg == NULL)
		return;
	slot = leg->slot;
	leg_abort(&leg->sub);
	if (slot != NULL) {
		free(slot->left);
		slot->left = strdup(OVER);
	}
}

/* The n-th member of "17-0;;5-3,6-1", for the caller to free; NULL: there is none. */
static char *
position_of(const char *positions, size_t n)
{
	if (positions != NULL && strcmp(positions, UNKNOWN) == 0)
		return strdup(UNKNOWN);
	for (; positions != NULL && n > 0; n--) {
		positions = strchr(positions, ';');
		positions = positions != NULL ? positions + 1 : NULL;
	}
	return positions != NULL ? strndup(positions, strcspn(positions, ";")) : NULL;
}

/* Those of the address, which resume from one id. */
static void
add_first(struct mux *mux, struct json_object *list, const char *positions)
{
	size_t i;

	for (i = 0; i < mux->n_slots; i++) {
		char *position = position_of(positions, i);

		add(mux, json_object_array_get_idx(list, i), position, &mux->slots[i]);
		free(position);
	}
}

/* Those of a POST. */
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
		return HOLD; /* none of ours; or it is not open yet, and its client cannot know it
			      */
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
 * Redis has confirmed, so the client hears its channel: now it is told the channel's secret name,
 * and its subscriptions begin.
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
	size_t i;

	if (mux == NULL)
		return;
	while (!list_is_empty(&mux->legs))
		leg_abort(&LIST_ENTRY(mux->legs.next, struct leg, of_mux)->sub);
	strings_free(mux->vars.envp);
	free(mux->user);
	for (i = 0; i < mux->n_slots; i++)
		free(mux->slots[i].left);
	free(mux->slots);
	free(mux->last_id);
	json_object_put(mux->wanted);
	buf_fini(&mux->text);
	buf_fini(&mux->id);
	free(mux);
}

static int
make_secret(char secret[MUX_SECRET_TEXT])
{
	unsigned char bytes[MUX_SECRET_BYTES];
	size_t i;

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return -EIO;
	for (i = 0; i < sizeof(bytes); i++)
		snprintf(secret + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

/* "?s=" is a JSON array of subscriptions. */
static int
mux_open(struct feed *feed, const struct request *req)
{
	const char *text = query_get(&req->query, "s");
	struct mux *mux;

	if ((mux = calloc(1, sizeof(*mux))) == NULL)
		return HTTP_INTERNAL_ERROR;
	mux->feed = feed;
	mux->in = req->route->in;
	mux->route = req->route->name;
	mux->lag_max = req->route->stream.queue / 4;
	if (mux->lag_max < PIECE_MIN)
		mux->lag_max = PIECE_MIN;
	list_init(&mux->legs);
	buf_init(&mux->text, TEXT_MAX + HEADER_MAX);
	buf_init(&mux->id, POSITION_MAX);
	feed_set_data(feed, mux);
	if ((mux->vars.envp = strings_copy(req->vars->envp)) == NULL ||
	    make_secret(mux->secret) < 0 ||
	    (req->identity->user != NULL && (mux->user = strdup(req->identity->user)) == NULL))
		return HTTP_INTERNAL_ERROR;
	if (text != NULL && !json_text_check(text, strlen(text), NULL))
		return HTTP_BAD_REQUEST;
	mux->wanted = text != NULL ? json_tokener_parse(text) : json_object_new_array();
	if (!json_object_is_type(mux->wanted, json_type_array))
		return HTTP_BAD_REQUEST;
	mux->n_slots = json_object_array_length(mux->wanted);
	if (mux->n_slots > LEGS_MAX)
		return HTTP_BAD_REQUEST;
	if ((mux->slots = calloc(mux->n_slots + 1, sizeof(*mux->slots))) == NULL ||
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
