#include "hub/announce.h"

#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "hub/cursor.h"
#include "hub/outlet.h"
#include "sse/wire.h"

/* Clients go by the event's name, so "come back" and "for good" each have one. */
static const char come_back[] = "stream-end", for_good[] = "stream-done";

static const struct {
	const char *event, *name;
} reasons[] = {
    [END_UNTIL] = {for_good, "until"},         [END_MAX_EVENTS] = {for_good, "max_events"},
    [END_ABANDONED] = {for_good, "abandoned"}, [END_LIFETIME] = {come_back, "lifetime"},
    [END_IDLE] = {come_back, "idle"},          [END_SLOW] = {come_back, "slow"},
    [END_RELOAD] = {come_back, "reload"},      [END_DRAIN] = {come_back, "drain"},
    [END_AUTH] = {come_back, "auth"},
};

/* It varies by 20 % each way: a restart must not bring all clients back at once. */
unsigned
announce_retry_ms(const struct feed_settings *fs)
{
	unsigned spread = fs->retry_ms / 5;

	return fs->retry_ms - spread + random_below(2 * spread + 1);
}

/* When to come back is said in the first bytes that the client is sent, and nowhere else (then 0).
 */
unsigned
subscriber_take_retry(struct subscriber *sub)
{
	if (sub->is_told_retry)
		return 0;
	sub->is_told_retry = true;
	return announce_retry_ms(sub->outlet->class->settings);
}

/*
 * The last frame. If the stream has ended for good, its id ends in ".end", so that the client's
 * next request is answered 204; any other client comes back.
 */
int
subscriber_put_end(struct buf *b, const struct wire *wire, const struct feed_settings *fs,
		   enum end_reason reason, unsigned retry_ms)
{
	static const char end_id[] = "0.end";
	bool is_for_good = reasons[reason].event == for_good;
	char data[64];
	struct event ev = {.type = reasons[reason].event,
			   .type_len = strlen(reasons[reason].event),
			   .data = data,
			   .retry_ms = retry_ms};

	if (is_for_good) {
		ev.id = end_id;
		ev.id_len = strlen(end_id);
	}
	if (!fs->announce && !is_for_good)
		return wire->lines(b, retry_ms, NULL, 0);
	if (!fs->announce && wire->id != NULL)
		return wire->id(b, ev.id, ev.id_len);
	ev.data_len =
	    (size_t)snprintf(data, sizeof(data), "{\"reason\":\"%s\"}", reasons[reason].name);
	return wire->event(b, &ev, NULL);
}

/*
 * The first frame says that the stream is open, where the client stands (for its next
 * Last-Event-ID), and when it is to come back. If the route announces nothing, the latter two are
 * lines of the first frame that has data.
 */
int
subscriber_put_open(struct subscriber *sub, bool is_resumed, const char *cursor)
{
	char data[64 + CURSOR_TEXT], *end; /* a cursor is shorter than CURSOR_TEXT */
	struct event ev = {.id = cursor,
			   .id_len = cursor != NULL ? strlen(cursor) : 0,
			   .type = "stream-open",
			   .type_len = strlen("stream-open"),
			   .data = data,
			   .retry_ms = subscriber_take_retry(sub)};

	if (!sub->outlet->class->settings->announce)
		return sub->outlet->log.wire->lines(&sub->own, ev.retry_ms, ev.id, ev.id_len);
	end = stpcpy(data,
		     is_resumed ? "{\"resumed\":true,\"from\":" : "{\"resumed\":false,\"from\":");
	if (cursor != NULL)
		end = stpcpy(stpcpy(stpcpy(end, "\""), cursor), "\"}");
	else
		end = stpcpy(end, "null}");
	ev.data_len = (size_t)(end - data);
	return sub->outlet->log.wire->event(&sub->own, &ev, NULL);
}

int
subscriber_put_reset(struct subscriber *sub, const char *data)
{
	struct event ev = {.type = "stream-reset",
			   .type_len = strlen("stream-reset"),
			   .data = data,
			   .data_len = strlen(data)};

	if (!sub->outlet->class->settings->announce)
		return 0;
	return sub->outlet->log.wire->event(&sub->own, &ev, NULL);
}
