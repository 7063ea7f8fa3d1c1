/*
 * feed_handler.c - what handlers call of their feed (sluice/handler.h).
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "hub/emit.h"
#include "hub/feed_logic.h"
#include "hub/feed_within.h"
#include "hub/silence.h"
#include "logic/message.h"
#include "sse/event.h"

void
feed_set_data(struct feed *fd, void *data)
{
	fd->data = data;
}

void *
feed_data(const struct feed *fd)
{
	return fd->data;
}

const char *
feed_param(const struct feed *fd, const char *name)
{
	const struct template_value *v;

	for (v = fd->params; v->name != NULL; v++) {
		if (strcmp(v->name, name) == 0)
			return v->value;
	}
	return NULL;
}

bool
feed_is_open(const struct feed *fd)
{
	return fd->n_unconfirmed == 0;
}

const char *
feed_key(const struct feed *fd, const char *name)
{
	return handler_setting_text(&fd->class->settings->handler_settings, name);
}

unsigned long long
feed_key_number(const struct feed *fd, const char *name)
{
	return handler_setting_number(&fd->class->settings->handler_settings, name);
}

int
feed_key_text(const struct feed *fd, const char *name, char **out)
{
	const struct template_scope scope = {.params = fd->params, .channel = ""};
	const struct template *t =
	    handler_setting_template(&fd->class->settings->handler_settings, name);
	struct buf text;
	int rc;

	*out = NULL;
	if (t == NULL)
		return 0;
	buf_init(&text, SUBJECT_NAME_MAX);
	if ((rc = template_expand(t, &scope, &text)) == 0 && (rc = buf_putc(&text, '\0')) == 0)
		*out = text.p;
	else
		buf_fini(&text);
	return rc;
}

bool
feed_is_followed(const struct feed *fd)
{
	return fd->out.n_subs > 0;
}

int
feed_send(struct feed *fd, const char *type, const char *data, size_t len)
{
	struct event ev = {.type = type, .data = data, .data_len = len};

	if (type != NULL) {
		ev.type_len = strlen(type);
		if (event_is_reserved(type, ev.type_len))
			return -EINVAL;
	}
	feed_heard(fd);
	feed_tell_listeners(fd, &ev, false);
	return fd->out.n_subs == 0 ? 0 : feed_emit(fd, &ev);
}

int
feed_send_json(struct feed *fd, const char *type, struct json_object *value)
{
	size_t len;
	const char *text = json_object_to_json_string_length(
	    value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	int rc = text == NULL ? -ENOMEM : feed_send(fd, type, text, len);

	json_object_put(value);
	return rc;
}

void
feed_end(struct feed *fd)
{
	feed_end_for_good(fd);
}

void
feed_offer(struct feed *fd, const char *data, size_t len)
{
	struct message msg;
	char *copy;

	if (data != NULL)
		feed_heard(fd);
	if (fd->out.n_subs == 0)
		return;
	if (data == NULL) {
		feed_offer_message(fd, NULL);
		return;
	}
	if ((copy = malloc(len + 1)) == NULL) { /* a message ends with a NUL */
		feed_count_drop(fd, -ENOMEM);
		return;
	}
	memcpy(copy, data, len);
	copy[len] = '\0';
	message_init(&msg, "", 0, copy, len);
	feed_offer_message(fd, &msg);
	message_fini(&msg);
	free(copy);
}
