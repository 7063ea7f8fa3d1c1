/*
 * ndjson - one line of JSON for each event, {"id":…,"event":…,"data":…}, always with all three. A
 * message cannot end its line early: outside of strings JSON's line breaks are white space, which
 * becomes blanks here, and inside of strings they are escaped.
 */
#include <errno.h>
#include <string.h>

#include "base/json_text.h"
#include "sse/utf8.h"
#include "sse/wire.h"

static const char id_head[] = "{\"id\":", type_head[] = ",\"event\":", data_head[] = ",\"data\":";

/* Copies the text, with a blank for each line break, which would end the line. */
static int
put_json(struct buf *b, const char *p, size_t len, size_t *n_replaced)
{
	size_t i = b->len;
	int rc = utf8_put(b, NULL, p, len, n_replaced);

	for (; rc == 0 && i < b->len; i++) {
		if (b->p[i] == '\n' || b->p[i] == '\r')
			b->p[i] = ' ';
	}
	return rc;
}

static int
put_text(struct buf *b, const char *p, size_t len, size_t *n_replaced)
{
	int rc;

	if ((rc = buf_putc(b, '"')) < 0 ||
	    (rc = utf8_put(b, json_put_escaped, p, len, n_replaced)) < 0)
		return rc;
	return buf_putc(b, '"');
}

static int
put_data(struct buf *b, const char *p, size_t len, size_t *n_replaced)
{
	if (json_text_flaw(p, len, NULL) == JSON_FINE)
		return put_json(b, p, len, n_replaced);
	return put_text(b, p, len, n_replaced);
}

static int
put_names(struct buf *b, const struct event *ev)
{
	bool has_type = ev->type_len > 0;
	int rc;

	if ((rc = buf_puts(b, id_head)) < 0 ||
	    (rc = ev->id == NULL ? buf_puts(b, "null") : json_put_string(b, ev->id, ev->id_len)) <
		0 ||
	    (rc = buf_puts(b, type_head)) < 0)
		return rc;
	return json_put_string(b, has_type ? ev->type : "message",
			       has_type ? ev->type_len : strlen("message"));
}

static int
ndjson_event(struct buf *b, const struct event *ev, size_t *n_replaced)
{
	size_t before = b->len, n = n_replaced != NULL ? *n_replaced : 0;
	int rc;

	if (!event_names_are_ok(ev))
		return -EINVAL;
	if ((rc = put_names(b, ev)) < 0 || (rc = buf_puts(b, data_head)) < 0 ||
	    (rc = put_data(b, ev->data != NULL ? ev->data : "", ev->data_len, &n)) < 0 ||
	    (rc = buf_puts(b, "}\n")) < 0) {
		buf_truncate(b, before);
		return rc;
	}
	if (n_replaced != NULL)
		*n_replaced = n;
	return 0;
}

/* NDJSON has no place for the client's reconnection time, nor for an id without an event. */
static int
ndjson_lines(struct buf *b, unsigned retry_ms, const char *id, size_t len)
{
	(void)b;
	(void)retry_ms;
	(void)id;
	(void)len;
	return 0;
}

static int
ndjson_heartbeat(struct buf *b, const struct event *ev)
{
	(void)ev;
	return buf_putc(b, '\n');
}

static const char *
ndjson_boundary(const char *begin, const char *at, const char *end)
{
	const char *eol;

	if (at == begin)
		return at;
	eol = memchr(at - 1, '\n', (size_t)(end - at + 1));
	return eol != NULL ? eol + 1 : end;
}

static const char *
ndjson_find_id(const char *p, const char *end, size_t *len)
{
	size_t head = sizeof(id_head) - 1;
	const char *id = p + head + 1, *quote;

	if ((size_t)(end - p) <= head + 1 || memcmp(p, id_head, head) != 0 || p[head] != '"')
		return NULL;
	if ((quote = memchr(id, '"', (size_t)(end - id))) == NULL)
		return NULL;
	*len = (size_t)(quote - id);
	return id;
}

const struct wire wire_ndjson = {
    .name = "ndjson",
    .media_type = "application/x-ndjson",
    .content_type = "application/x-ndjson",
    .event = ndjson_event,
    .lines = ndjson_lines,
    .heartbeat = ndjson_heartbeat,
    .boundary = ndjson_boundary,
    .find_id = ndjson_find_id,
    .filler = "\n",
};
