#include "route/mux_say.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/logger.h"
#include "http/answer.h"
#include "hub/feed.h"
#include "sse/event.h"

enum { POSITION_MAX = 64 * 1024, HEADER_MAX = 4096 };

void
mux_say_init(struct mux_say *say, struct feed *feed)
{
	*say = (struct mux_say){.feed = feed};
	buf_init(&say->text, MUX_TEXT_MAX + HEADER_MAX);
	buf_init(&say->id, POSITION_MAX);
}

int
mux_say_make_slots(struct mux_say *say, size_t n)
{
	if ((say->slots = calloc(n + 1, sizeof(*say->slots))) == NULL)
		return -ENOMEM;
	say->n_slots = n;
	return 0;
}

void
mux_say_fini(struct mux_say *say)
{
	for (size_t i = 0; i < say->n_slots; i++)
		free(say->slots[i].left);
	free(say->slots);
	buf_fini(&say->text);
	buf_fini(&say->id);
}

const char *
mux_place(const char *id)
{
	return event_is_end_id(id, strlen(id)) ? MUX_OVER : id;
}

bool
mux_is_place(const char *text)
{
	const struct event ev = {.id = text, .id_len = strlen(text)};

	return event_names_are_ok(&ev) && strchr(text, ';') == NULL && strcmp(text, MUX_OVER) != 0;
}

void
mux_slot_leave(struct mux_slot *slot, const char *place)
{
	slot->place = NULL;
	free(slot->left);
	slot->left = strdup(place);
}

/*
 * Writes where each subscription of the address stands, in their order: this one id resumes them
 * all. Empty: none can be resumed. Subscriptions that came by POST are not part of it, because a
 * client that connects anew does not ask for them. If it is longer than an id may be, it says that
 * all have missed something; otherwise the client would resume from a shorter id of before.
 */
static int
put_position(struct mux_say *say)
{
	bool is_some = false;
	size_t i;
	int rc = 0;

	buf_truncate(&say->id, 0);
	for (i = 0; i < say->n_slots && rc == 0 && say->id.len <= EVENT_ID_MAX; i++) {
		const struct mux_slot *slot = &say->slots[i];
		const char *text = slot->place != NULL  ? mux_place(slot->place)
				   : slot->left != NULL ? slot->left
							: "";

		if (i > 0)
			rc = buf_putc(&say->id, ';');
		if (rc == 0)
			rc = buf_puts(&say->id, text);
		is_some = is_some || *text != '\0';
	}
	if (!is_some)
		buf_truncate(&say->id, 0);
	if (say->id.len <= EVENT_ID_MAX || rc != 0)
		return rc;
	buf_truncate(&say->id, 0);
	return buf_puts(&say->id, MUX_UNKNOWN);
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

/* Sends the text as an event of the connection. */
static int
send_text(struct mux_say *say)
{
	struct event ev = {.type = "mux", .type_len = strlen("mux")};

	if (put_position(say) == 0 && say->id.len > 0) {
		ev.id = say->id.p;
		ev.id_len = say->id.len;
	}
	ev.data = say->text.p;
	ev.data_len = say->text.len;
	return feed_emit(say->feed, &ev);
}

void
mux_say(struct mux_say *say, const char *key, const char *type, const char *id, const char *data,
	size_t len)
{
	if (len > 0 && data[len - 1] == '\n')
		len--; /* of a problem document */
	buf_truncate(&say->text, 0);
	if (put_header(&say->text, key, type, strlen(type), id) < 0 ||
	    buf_put(&say->text, data, len) < 0 || send_text(say) < 0)
		logger_error("out of memory: an event of a subscription is not sent");
}

void
mux_say_text(struct mux_say *say, const char *key, const char *type, const char *data)
{
	mux_say(say, key, type, "", data, strlen(data));
}

void
mux_say_refused(struct mux_say *say, const char *key, int status, const char *detail)
{
	struct answer a;

	answer_init(&a);
	answer_problem(&a, status, detail, 0);
	mux_say(say, key, "mux-refused", "", a.body.p, a.body.len);
	answer_fini(&a);
}

int
mux_say_frame(struct mux_say *say, const char *key, const struct frame *said, const char *end,
	      const char *id)
{
	int rc;

	buf_truncate(&say->text, 0);
	if ((rc = put_header(&say->text, key, said->type, said->type_len, id)) < 0 ||
	    (rc = frame_put_data(&say->text, said->data, end)) < 0)
		return rc;
	return send_text(say);
}
