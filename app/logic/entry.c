#include "logic/entry.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <string.h>

#include "base/json_text.h"

enum { TEXT_MAX = 64 * 1024 * 1024 };

static const struct redisReply *
find(const struct redisReply *fields, const char *name)
{
	size_t i, len = strlen(name);

	for (i = 0; i + 1 < fields->elements; i += 2) {
		const struct redisReply *key = fields->element[i];

		if (key->type == REDIS_REPLY_STRING && key->len == len &&
		    memcmp(key->str, name, len) == 0 &&
		    fields->element[i + 1]->type == REDIS_REPLY_STRING)
			return fields->element[i + 1];
	}
	return NULL;
}

/* All fields as an object of strings. */
static int
put_fields(struct buf *b, const struct redisReply *fields)
{
	size_t i;
	int rc = buf_putc(b, '{');

	for (i = 0; rc == 0 && i + 1 < fields->elements; i += 2) {
		const struct redisReply *name = fields->element[i], *value = fields->element[i + 1];

		if (name->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING)
			return -EINVAL;
		if ((i > 0 && (rc = buf_putc(b, ',')) < 0) ||
		    (rc = json_put_string(b, name->str, name->len)) < 0 ||
		    (rc = buf_putc(b, ':')) < 0)
			return rc;
		rc = json_put_string(b, value->str, value->len);
	}
	return rc < 0 ? rc : buf_puts(b, "}");
}

int
entry_read(struct entry *en, const char *stream, const struct stream_id *id,
	   const struct redisReply *fields)
{
	const struct redisReply *data, *event;
	int rc = 0;

	if (fields->type != REDIS_REPLY_ARRAY)
		return -EINVAL;
	buf_init(&en->text, TEXT_MAX);
	stream_id_print(en->id, id);
	if ((data = find(fields, "data")) != NULL) {
		message_init(&en->msg, stream, strlen(stream), data->str, data->len);
	} else if ((rc = put_fields(&en->text, fields)) < 0 ||
		   (rc = buf_putc(&en->text, '\0')) < 0) {
		buf_fini(&en->text);
		return rc;
	} else {
		message_init(&en->msg, stream, strlen(stream), en->text.p, en->text.len - 1);
	}
	en->msg.id = en->id;
	en->msg.id_len = strlen(en->id);
	if ((event = find(fields, "event")) != NULL)
		message_set_event_bytes(&en->msg, event->str, event->len);
	return 0;
}

void
entry_fini(struct entry *en)
{
	message_fini(&en->msg);
	buf_fini(&en->text);
}
