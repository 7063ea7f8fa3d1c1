/*
 * Any bytes as the id, type and data of an event, written as NDJSON. It is refused just if a name
 * breaks its rules; otherwise it is one line, which json-c, at its strictest, reads as the three
 * members that were meant; and what was JSON is the same value.
 *
 * The first byte says which fields there are, the next two how long the id and the type may be.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/eventstream_parser.h"
#include "sse/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			abort(); \
		} \
	} while (0)

enum { CAP = 1 << 24, DEPTH = 100 };

/* NULL if it is none, or null. A number ends only at a byte behind it, so there is one. */
static struct json_object *
parse(const char *p, size_t len, bool *is_json)
{
	struct json_tokener *tok = json_tokener_new_ex(DEPTH);
	char *text = malloc(len + 1);
	struct json_object *value;

	MUST(tok != NULL && text != NULL);
	if (len > 0)
		memcpy(text, p, len);
	text[len] = '\0';
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	value = json_tokener_parse_ex(tok, text, (int)len + 1);
	*is_json = json_tokener_get_error(tok) == json_tokener_success;
	json_tokener_free(tok);
	free(text);
	return value;
}

static void
check_text(struct json_object *o, const char *name, const char *p, size_t len)
{
	struct es_text want = {0};
	struct json_object *value;

	MUST(json_object_object_get_ex(o, name, &value));
	MUST(json_object_is_type(value, json_type_string));
	es_decode(&want, p, len);
	MUST(
	    es_is(&want, json_object_get_string(value), (size_t)json_object_get_string_len(value)));
	free(want.p);
}

/* Either the text that was published, or the same value as json-c makes of it. */
static void
check_data(struct json_object *o, const struct event *ev)
{
	struct json_object *value, *meant;
	struct es_text text = {0};
	bool is_json;

	es_decode(&text, ev->data, ev->data_len);
	meant = parse(text.p, text.len, &is_json);
	MUST(json_object_object_get_ex(o, "data", &value));
	if (!is_json || !json_object_equal(value, meant))
		check_text(o, "data", ev->data, ev->data_len);
	json_object_put(meant);
	free(text.p);
}

static void
check_line(const struct buf *b, const struct event *ev)
{
	struct json_object *o, *id;
	struct es_text text = {0};
	bool is_json;

	MUST(b->len > 0 && b->p[b->len - 1] == '\n');
	MUST(memchr(b->p, '\n', b->len) == b->p + b->len - 1);
	MUST(memchr(b->p, '\r', b->len) == NULL);
	MUST(es_decode(&text, b->p, b->len) == 0);
	free(text.p);
	o = parse(b->p, b->len - 1, &is_json);
	MUST(is_json && json_object_is_type(o, json_type_object));
	MUST(json_object_object_length(o) == 3);
	check_text(o, "event", ev->type_len > 0 ? ev->type : "message",
		   ev->type_len > 0 ? ev->type_len : 7);
	if (ev->id != NULL)
		check_text(o, "id", ev->id, ev->id_len);
	else
		MUST(json_object_object_get_ex(o, "id", &id) && id == NULL);
	check_data(o, ev);
	json_object_put(o);
}

static void
check_places(const struct buf *b, const struct event *ev)
{
	const char *end = b->p + b->len, *id;
	size_t len;

	MUST(wire_ndjson.boundary(b->p, b->p + 1, end) == end);
	id = wire_ndjson.find_id(b->p, end, &len);
	MUST((id == NULL) == (ev->id == NULL));
}

/* Up to max bytes off the front, in memory of their own, so that a read behind them is seen. */
static char *
take(const uint8_t **data, size_t *size, size_t max, size_t *len)
{
	char *p;

	*len = *size < max ? *size : max;
	p = malloc(*len > 0 ? *len : 1);
	MUST(p != NULL);
	memcpy(p, *data, *len);
	*data += *len;
	*size -= *len;
	return p;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event ev = {0};
	char *id = NULL, *type = NULL, *payload;
	size_t n_replaced = 0, id_max, type_max;
	uint8_t flags;
	struct buf b;
	int rc;

	if (size < 3)
		return 0;
	flags = data[0];
	id_max = data[1];
	type_max = data[2];
	data += 3;
	size -= 3;
	if ((flags & 1) != 0)
		ev.id = id = take(&data, &size, id_max, &ev.id_len);
	if ((flags & 2) != 0)
		ev.type = type = take(&data, &size, type_max, &ev.type_len);
	ev.data = payload = take(&data, &size, size, &ev.data_len);

	buf_init(&b, CAP);
	rc = wire_ndjson.event(&b, &ev, &n_replaced);
	MUST(rc == 0 || (rc == -EINVAL && b.len == 0 && n_replaced == 0));
	MUST(rc == (event_names_are_ok(&ev) ? 0 : -EINVAL));
	if (rc == 0) {
		check_line(&b, &ev);
		check_places(&b, &ev);
	}
	buf_fini(&b);
	free(id);
	free(type);
	free(payload);
	return 0;
}
