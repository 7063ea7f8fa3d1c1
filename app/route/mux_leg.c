#include "route/mux_leg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/logger.h"
#include "http/answer.h"
#include "route/request.h"

enum { PIECE = 64 * 1024 };

static void
leg_free(struct mux_leg *leg)
{
	size_t i;

	if (leg->slot != NULL)
		mux_slot_leave(leg->slot, mux_place(leg->place));
	list_del(&leg->of_mux);
	leg->legs->n--;
	for (i = 0; i < sizeof(leg->envp) / sizeof(leg->envp[0]); i++)
		free(leg->envp[i]);
	free(leg->vars.envp);
	free(leg->key);
	buf_fini(&leg->in);
	free(leg);
}

/*
 * Keeps where the client of the subscription stands, and from where its feed could go on. If the
 * route cannot resume, an id is only what a message says, and no place.
 */
static void
take_id(struct mux_leg *leg, const struct frame *said)
{
	struct feed *feed = feed_of_stream(&leg->sub);

	if (feed != NULL && !feed_can_resume(feed))
		leg->place[0] = '\0'; /* then what its client said is no place either */
	if (said->id == NULL || said->id_len > EVENT_ID_MAX)
		return;
	snprintf(leg->last_id, sizeof(leg->last_id), "%.*s", (int)said->id_len, said->id);
	if ((feed != NULL && feed_can_resume(feed)) || event_is_end_id(said->id, said->id_len))
		memcpy(leg->place, leg->last_id, sizeof(leg->place));
}

/* A message may not have such a name, because a client could not tell it from ours. */
static bool
is_own_name(const char *type, size_t len)
{
	if (len < strlen("mux-") || memcmp(type, "mux-", strlen("mux-")) != 0)
		return false;
	logger_debug("an event %.*s of a message was not sent: the name is mux's own", (int)len,
		     type);
	return true;
}

/* Passes on one frame without its blank line, in the form that sse/event_stream writes. */
static void
take_frame(struct mux_leg *leg, const char *p, const char *end)
{
	struct frame said;

	frame_read(&said, p, end);
	take_id(leg, &said);
	if (said.data == NULL || is_own_name(said.type, said.type_len) ||
	    (said.type_len == 10 && memcmp(said.type, "keep-alive", 10) == 0))
		return;
	if (mux_say_frame(&leg->legs->say, leg->key, &said, end, leg->last_id) < 0)
		leg->is_too_long = true;
}

/* "Status: 200 OK" and the rest of the head. */
static enum mux_answer
answer_of(const char *head, size_t len)
{
	static const char status[] = "Status: ", stream[] = "text/event-stream",
			  problem[] = "application/problem+json";
	long code = HTTP_OK;

	if (strncmp(head, status, sizeof(status) - 1) == 0)
		code = strtol(head + sizeof(status) - 1, NULL, 10);
	if (code == HTTP_NO_CONTENT)
		return MUX_NOTHING;
	if (code == HTTP_OK && memmem(head, len, stream, sizeof(stream) - 1) != NULL)
		return MUX_STREAM;
	if (memmem(head, len, problem, sizeof(problem) - 1) != NULL)
		return MUX_PROBLEM;
	return MUX_OTHER;
}

/* Is the head whole? Then it is taken off. */
static bool
take_head(struct mux_leg *leg)
{
	const char *end = memmem(leg->in.p, leg->in.len, "\r\n\r\n", 4);
	size_t len;

	if (end == NULL)
		return false;
	len = (size_t)(end - leg->in.p);
	leg->answer = answer_of(leg->in.p, len);
	buf_consume(&leg->in, len + 4);
	return true;
}

/*
 * Passes on all whole frames. Bytes that have been searched for the end of a frame are not searched
 * again.
 */
static void
take(struct mux_leg *leg)
{
	const char *begin, *from, *end, *blank;

	if (leg->in.len == 0 || (leg->answer == MUX_NO_HEAD && !take_head(leg)) ||
	    leg->answer != MUX_STREAM || leg->in.len == 0)
		return;
	begin = leg->in.p;
	end = begin + leg->in.len;
	from = begin + leg->n_scanned;
	while ((blank = memmem(from, (size_t)(end - from), "\n\n", 2)) != NULL) {
		take_frame(leg, begin, blank + 1);
		if (leg->is_too_long)
			break; /* it waits here; its id is told */
		begin = from = blank + 2;
	}
	leg->n_scanned = end > begin ? (size_t)(end - begin) - 1 : 0;
	buf_consume(&leg->in, (size_t)(begin - leg->in.p));
}

/* Tells the client how it was answered, if it got no stream, or that its stream is over. */
static void
tell_end(struct mux_leg *leg)
{
	struct mux_say *say = &leg->legs->say;
	char data[64];

	switch (leg->answer) {
	case MUX_STREAM:
		snprintf(data, sizeof(data), "{\"for_good\":%s}",
			 event_is_end_id(leg->last_id, strlen(leg->last_id)) ? "true" : "false");
		mux_say_text(say, leg->key, "mux-end", data);
		break;
	case MUX_NOTHING:
		mux_say_text(say, leg->key, "mux-end", MUX_FOR_GOOD);
		break;
	case MUX_PROBLEM:
		mux_say(say, leg->key, "mux-refused", "", leg->in.len > 0 ? leg->in.p : "",
			leg->in.len);
		break;
	case MUX_NO_HEAD:
	case MUX_OTHER:
		mux_say_refused(say, leg->key, HTTP_BAD_REQUEST,
				"A connection carries event streams, and this is none.");
		break;
	}
}

/*
 * An event is too long for the connection. Its client is told so, with the id behind which it goes
 * on.
 */
static void
tell_too_long(struct mux_leg *leg)
{
	static const char data[] = "{\"for_good\":false,\"reason\":\"too-long\"}";
	struct frame said;

	if (leg->in.len > 0) {
		frame_read(&said, leg->in.p, leg->in.p + leg->in.len);
		take_id(leg, &said);
	}
	logger_warn("[route %s] an event is too long for a subscription of a connection",
		    leg->legs->route);
	mux_say(&leg->legs->say, leg->key, "mux-end", leg->last_id, data, sizeof(data) - 1);
}

/* Takes one piece of what waits. false: there is nothing. */
static bool
take_piece(struct mux_leg *leg, size_t max)
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
is_lagging(const struct mux_legs *legs)
{
	return feed_n_unsent(legs->say.feed) > legs->lag_max;
}

/*
 * While the client of the connection is slow, its subscriptions wait, as if their own clients were
 * slow. The one that was written last goes on last, so that each has its turn.
 */
static enum send_result
leg_pause(struct mux_leg *leg)
{
	leg->legs->has_paused = true;
	list_move_tail(&leg->legs->all, &leg->of_mux);
	return SEND_BLOCKED;
}

static enum send_result
leg_send(struct subscriber *sub)
{
	struct mux_leg *leg = LIST_ENTRY(sub, struct mux_leg, sub);
	const struct mux_legs *legs = leg->legs;
	size_t piece = legs->lag_max < PIECE ? legs->lag_max : PIECE;

	while (!leg->is_too_long) {
		if (subscriber_is_stream(sub) && is_lagging(legs) && subscriber_has_bytes(sub))
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

void
mux_leg_end(struct mux_leg *leg)
{
	subscriber_close(&leg->sub);
	leg_free(leg);
}

static void
leg_abort(struct subscriber *sub)
{
	mux_leg_end(LIST_ENTRY(sub, struct mux_leg, sub));
}

/* A comment that goes to the subscription alone would reach nobody, so the connection is probed. */
static void
leg_probe(struct subscriber *sub)
{
	feed_probe(LIST_ENTRY(sub, struct mux_leg, sub)->legs->say.feed);
}

static const struct subscriber_ops leg_ops = {
    .send = leg_send, .abort = leg_abort, .probe = leg_probe};

static const char *
query_of(const struct mux_legs *legs)
{
	const char *query = params_get(&legs->vars, "QUERY_STRING");

	return query != NULL ? query : "";
}

/*
 * The connection's variables, with those of the subscription in place of some. Returns 0, -ENOMEM.
 */
static int
make_vars(struct mux_leg *leg, const char *path, const char *last_id)
{
	static const char *const replaced[] = {
	    "REQUEST_URI=",    "QUERY_STRING=",       "SCRIPT_NAME=",
	    "PATH_INFO=",      "REQUEST_METHOD=",     "CONTENT_TYPE=",
	    "CONTENT_LENGTH=", "HTTP_LAST_EVENT_ID=", "HTTP_ACCEPT="};
	enum { N_REPLACED = sizeof(replaced) / sizeof(replaced[0]) };
	char *const *from = leg->legs->vars.envp;
	const char *query = strchrnul(path, '?');
	size_t n = 0, i, k;

	if (asprintf(&leg->envp[0], "REQUEST_URI=%s", path) < 0 ||
	    asprintf(&leg->envp[1], "QUERY_STRING=%s", *query == '?' ? query + 1 : "") < 0 ||
	    asprintf(&leg->envp[2], "SCRIPT_NAME=%.*s", (int)(query - path), path) < 0 ||
	    asprintf(&leg->envp[3], "REQUEST_METHOD=GET") < 0 ||
	    asprintf(&leg->envp[4], "HTTP_LAST_EVENT_ID=%s", last_id) < 0 ||
	    asprintf(&leg->envp[5], REQUEST_CARRIED "=%s?%s", leg->legs->route,
		     query_of(leg->legs)) < 0)
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

struct mux_leg *
mux_leg_find(const struct mux_legs *legs, const char *key)
{
	struct list *node;

	for (node = legs->all.next; node != &legs->all; node = node->next) {
		if (strcmp(LIST_ENTRY(node, struct mux_leg, of_mux)->key, key) == 0)
			return LIST_ENTRY(node, struct mux_leg, of_mux);
	}
	return NULL;
}

struct mux_leg *
mux_leg_new(struct mux_legs *legs, struct mux_slot *slot, const char *key, const char *path,
	    const char *last_id)
{
	struct mux_leg *leg = calloc(1, sizeof(*leg));

	if (leg == NULL)
		return NULL;
	leg->legs = legs;
	subscriber_init(&leg->sub, &leg_ops);
	buf_init(&leg->in, MUX_TEXT_MAX);
	list_init(&leg->of_mux);
	list_add_tail(&legs->all, &leg->of_mux);
	legs->n++;
	snprintf(leg->last_id, sizeof(leg->last_id), "%s", last_id);
	if (mux_is_place(last_id))
		snprintf(leg->place, sizeof(leg->place), "%s", last_id);
	if ((leg->slot = slot) != NULL)
		slot->place = leg->place;
	if ((leg->key = strdup(key)) != NULL && make_vars(leg, path, last_id) == 0)
		return leg;
	leg_free(leg);
	return NULL;
}

void
mux_legs_go_on(struct mux_legs *legs)
{
	struct list *node, *tmp;

	if (!legs->has_paused)
		return;
	legs->has_paused = false;
	LIST_FOREACH (node, tmp, &legs->all) {
		struct mux_leg *leg = LIST_ENTRY(node, struct mux_leg, of_mux);

		if (leg->sub.is_blocked)
			subscriber_unblocked(&leg->sub);
	}
}
