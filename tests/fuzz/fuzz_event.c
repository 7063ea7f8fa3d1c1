/*
 * Any bytes as the id, type and data of an event. It is refused just if a name breaks its rules,
 * and otherwise a client that reads by the standard gets it, and the event behind it, as they were
 * meant; and it fits into just as many bytes as it has.
 *
 * The first byte says which fields there are, the next two how long the id and the type may be.
 */
#include <errno.h>
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

enum { CAP = 1 << 24 };

static bool
is_name_good(const char *p, size_t len)
{
	struct es_text decoded = {0};
	size_t n_errors = es_decode(&decoded, p, len);

	free(decoded.p);
	for (size_t i = 0; i < len; i++) {
		if (p[i] == '\0' || p[i] == '\r' || p[i] == '\n')
			return false;
	}
	return n_errors == 0 && len <= 128;
}

static bool
is_event_good(const struct event *ev)
{
	return (ev->id == NULL || (ev->id_len > 0 && is_name_good(ev->id, ev->id_len))) &&
	       is_name_good(ev->type, ev->type_len);
}

static void
check_read(const struct buf *b, const struct event *ev, size_t n_replaced)
{
	struct es_stream s = {0};
	struct es_text want = {0};

	MUST(es_expect(&want, ev->data, ev->data_len) == n_replaced);
	es_parse(&s, b->p, b->len);
	MUST(s.n_events == 1 && s.n_comments == 0 && s.n_retries == 0 && !s.is_cut);
	MUST(es_is(&s.data, want.p, want.len));
	MUST(ev->type_len > 0 ? es_is(&s.type, ev->type, ev->type_len)
			      : es_is(&s.type, "message", 7));
	MUST(wire_event_stream.boundary(b->p, b->p + 1, b->p + b->len) == b->p + b->len);
	MUST(ev->id != NULL ? es_is(&s.last_event_id, ev->id, ev->id_len)
			    : s.last_event_id.len == 0);
	free(want.p);
	es_free(&s);
}

/* The event that follows is no other for what stands before it. */
static void
check_next(struct buf *b, const struct event *ev)
{
	struct es_stream s = {0};
	struct event next = {.data = "next", .data_len = 4};
	size_t before = b->len;

	MUST(wire_event_stream.event(b, &next, NULL) == 0);
	es_parse(&s, b->p, b->len);
	MUST(s.n_events == 2 && es_is(&s.data, "next", 4) && es_is(&s.type, "message", 7));
	MUST(es_is(&s.last_event_id, ev->id, ev->id_len));
	es_free(&s);
	buf_truncate(b, before);
}

static void
check_cap(const struct buf *whole, const struct event *ev)
{
	struct buf b;
	size_t n = 0;

	buf_init(&b, whole->len);
	MUST(wire_event_stream.event(&b, ev, NULL) == 0 && b.len == whole->len);
	MUST(memcmp(b.p, whole->p, b.len) == 0);
	MUST(wire_event_stream.event(&b, ev, &n) == -EMSGSIZE && b.len == whole->len && n == 0);
	buf_fini(&b);
	buf_init(&b, whole->len - 1);
	MUST(wire_event_stream.event(&b, ev, &n) == -EMSGSIZE && b.len == 0 && n == 0);
	buf_fini(&b);
}

static void
check_id(const struct event *ev)
{
	struct es_stream s = {0};
	struct buf b;
	int rc;

	buf_init(&b, CAP);
	rc = wire_event_stream.id(&b, ev->id, ev->id_len);
	MUST(rc == (ev->id_len > 0 && is_name_good(ev->id, ev->id_len) ? 0 : -EINVAL));
	es_parse(&s, b.p, b.len);
	MUST(s.n_events == 0 && !s.is_cut);
	MUST(rc < 0 ? b.len == 0 : es_is(&s.last_event_id, ev->id, ev->id_len));
	es_free(&s);
	buf_fini(&b);
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
	if (is_event_good(&ev)) {
		MUST(wire_event_stream.event(&b, &ev, &n_replaced) == 0);
		check_read(&b, &ev, n_replaced);
		check_next(&b, &ev);
		check_cap(&b, &ev);
	} else {
		MUST(wire_event_stream.event(&b, &ev, &n_replaced) == -EINVAL && b.len == 0 &&
		     n_replaced == 0);
	}
	if (ev.id != NULL)
		check_id(&ev);
	buf_fini(&b);
	free(id);
	free(type);
	free(payload);
	return 0;
}
