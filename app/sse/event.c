#include "sse/event.h"

#include <errno.h>
#include <string.h>

#include "sse/utf8.h"
#include "sse/wire.h"

static const char comment[] = ":\n", id_field[] = "id: ";

/* May it stand in an id or event field? A NUL or line end there would end the field, or void it. */
static bool
is_name_ok(const char *p, size_t len, size_t max)
{
	return len <= max && memchr(p, '\0', len) == NULL && memchr(p, '\n', len) == NULL &&
	       memchr(p, '\r', len) == NULL && utf8_valid_len(p, len) == len;
}

/* The next CR and the next LF of a payload, each end if there is none. */
struct eols {
	const char *cr, *lf;
	const char *end;
};

static const char *
find(const char *p, char c, const char *end)
{
	const char *at = memchr(p, c, (size_t)(end - p));

	return at != NULL ? at : end;
}

/*
 * The first CR or LF from p on, or end. What was found is kept until p has passed it: a search
 * of its own for each line would scan the whole rest for the LF that a payload of lone CRs lacks.
 */
static const char *
find_eol(struct eols *next, const char *p)
{
	if (next->cr < p)
		next->cr = find(p, '\r', next->end);
	if (next->lf < p)
		next->lf = find(p, '\n', next->end);
	return next->cr < next->lf ? next->cr : next->lf;
}

static const char *
skip_eol(const char *eol, const char *end)
{
	return eol[0] == '\r' && eol + 1 < end && eol[1] == '\n' ? eol + 2 : eol + 1;
}

/*
 * One "data:" field per line. A line ends at CR, LF or CRLF (HTML 9.2.5), so
 * a lone CR left in place would let a payload forge an "id:" or "event:".
 */
static int
put_data(struct buf *b, const char *p, size_t len, size_t *n_replaced)
{
	const char *end = p + len, *eol;
	struct eols next = {find(p, '\r', end), find(p, '\n', end), end};
	int rc;

	for (;;) {
		eol = find_eol(&next, p);
		if ((rc = buf_puts(b, "data: ")) < 0 ||
		    (rc = utf8_put(b, NULL, p, (size_t)(eol - p), n_replaced)) < 0 ||
		    (rc = buf_putc(b, '\n')) < 0)
			return rc;
		if (eol == end)
			return 0;
		/* After a line end there is another line, if only an empty one. */
		p = skip_eol(eol, end);
	}
}

static int
put_field(struct buf *b, const char *name, const char *p, size_t len)
{
	int rc;

	if ((rc = buf_puts(b, name)) < 0 || (rc = buf_put(b, p, len)) < 0)
		return rc;
	return buf_putc(b, '\n');
}

/* An EventSource takes an event without a name for a "message"; some of its kind know no other. */
static bool
is_named(const struct event *ev)
{
	static const char unnamed[] = "message";

	return ev->type_len > 0 && (ev->type_len != sizeof(unnamed) - 1 ||
				    memcmp(ev->type, unnamed, ev->type_len) != 0);
}

/* A frame is never shorter: a line end becomes "\ndata: ", and U+FFFD is as long as any subpart. */
static size_t
least_len(const struct event *ev)
{
	size_t len = sizeof("data: \n\n") - 1 + ev->data_len;

	if (ev->id != NULL)
		len += sizeof("id: \n") - 1 + ev->id_len;
	if (is_named(ev))
		len += sizeof("event: \n") - 1 + ev->type_len;
	return len;
}

static const char *
type_fault(const char *type, size_t len)
{
	if (len > EVENT_TYPE_MAX)
		return "its name is longer than 128 bytes";
	if (len > 0 && !is_name_ok(type, len, EVENT_TYPE_MAX))
		return "its name holds a line end or NUL, or is not UTF-8";
	return event_is_reserved(type, len) ? "its name begins with \"stream-\"" : NULL;
}

static const char *
id_fault(const char *id, size_t len)
{
	static const char unsafe[] = "\"():<>?@[\\]{}\x7f";
	size_t i;

	if (len == 0)
		return "its id is empty";
	if (len > EVENT_ID_MAX)
		return "its id is longer than 128 bytes";
	if (!is_name_ok(id, len, EVENT_ID_MAX))
		return "its id holds a line end or NUL, or is not UTF-8";
	if (event_is_end_id(id, len))
		return "its id ends in \".end\"";
	for (i = 0; i < len; i++) {
		if ((unsigned char)id[i] < 0x20 || strchr(unsafe, id[i]) != NULL)
			return "its id holds a control byte or one of \"():<>?@[\\]{}";
	}
	return NULL;
}

const char *
event_fault(const struct event *ev)
{
	const char *fault = type_fault(ev->type, ev->type_len);

	return fault == NULL && ev->id != NULL ? id_fault(ev->id, ev->id_len) : fault;
}

bool
event_names_are_ok(const struct event *ev)
{
	return (ev->type_len == 0 || is_name_ok(ev->type, ev->type_len, EVENT_TYPE_MAX)) &&
	       (ev->id == NULL || (ev->id_len > 0 && is_name_ok(ev->id, ev->id_len, EVENT_ID_MAX)));
}

int
event_append(struct buf *b, const struct event *ev, size_t *n_replaced)
{
	size_t before = b->len, n_before = n_replaced != NULL ? *n_replaced : 0;
	int rc;

	if (!event_names_are_ok(ev))
		return -EINVAL;
	/* The usual frame has one line: one growth of the buffer for all of it. */
	if ((rc = buf_reserve(b, least_len(ev))) < 0)
		return rc;
	if ((rc = event_append_lines(b, ev->retry_ms, ev->id, ev->id_len)) < 0 ||
	    (is_named(ev) && (rc = put_field(b, "event: ", ev->type, ev->type_len)) < 0) ||
	    (rc = put_data(b, ev->data != NULL ? ev->data : "", ev->data_len, n_replaced)) < 0 ||
	    (rc = buf_putc(b, '\n')) < 0) {
		buf_truncate(b, before);
		if (n_replaced != NULL)
			*n_replaced = n_before;
		return rc;
	}
	return 0;
}

int
event_append_lines(struct buf *b, unsigned retry_ms, const char *id, size_t len)
{
	size_t before = b->len;
	int rc = 0;

	if (id != NULL && (len == 0 || !is_name_ok(id, len, EVENT_ID_MAX)))
		return -EINVAL;
	if (retry_ms > 0)
		rc = buf_printf(b, "retry: %u\n", retry_ms);
	if (rc == 0 && id != NULL)
		rc = put_field(b, id_field, id, len);
	if (rc < 0)
		buf_truncate(b, before);
	return rc;
}

int
event_append_id(struct buf *b, const char *id, size_t len)
{
	size_t before = b->len;
	int rc;

	if (len == 0 || !is_name_ok(id, len, EVENT_ID_MAX))
		return -EINVAL;
	if ((rc = put_field(b, id_field, id, len)) < 0 || (rc = buf_putc(b, '\n')) < 0)
		buf_truncate(b, before);
	return rc;
}

int
event_append_heartbeat(struct buf *b, const struct event *ev)
{
	return ev->type_len > 0 ? event_append(b, ev, NULL) : buf_puts(b, comment);
}

/* Does the line that eol ends end a frame, or is it a comment between two? */
static bool
ends_frame(const char *begin, const char *eol)
{
	if (eol > begin && eol[-1] == ':')
		eol--;
	return eol == begin || eol[-1] == '\n';
}

const char *
event_boundary(const char *begin, const char *at, const char *end)
{
	const char *eol = at == begin ? NULL : at - 1;

	if (at == begin)
		return at;
	while (eol < end && (eol = memchr(eol, '\n', (size_t)(end - eol))) != NULL) {
		if (ends_frame(begin, eol))
			return eol + 1;
		eol++;
	}
	return end;
}

/* Ids stand first, for what stands in a log says no retry. */
static const char *
find_id(const char *p, const char *end, size_t *len)
{
	size_t head = sizeof(id_field) - 1;
	const char *eol;

	if ((size_t)(end - p) < head || memcmp(p, id_field, head) != 0 ||
	    (eol = memchr(p, '\n', (size_t)(end - p))) == NULL)
		return NULL;
	*len = (size_t)(eol - p) - head;
	return p + head;
}

bool
event_is_reserved(const char *type, size_t len)
{
	static const char prefix[] = "stream-";

	return len >= sizeof(prefix) - 1 && memcmp(type, prefix, sizeof(prefix) - 1) == 0;
}

bool
event_is_end_id(const char *id, size_t len)
{
	static const char suffix[] = ".end";

	return len >= sizeof(suffix) - 1 &&
	       memcmp(id + len - (sizeof(suffix) - 1), suffix, sizeof(suffix) - 1) == 0;
}

const struct wire wire_event_stream = {
    .name = "sse",
    .media_type = "text/event-stream",
    .content_type = "text/event-stream; charset=utf-8",
    .event = event_append,
    .lines = event_append_lines,
    .id = event_append_id,
    .heartbeat = event_append_heartbeat,
    .boundary = event_boundary,
    .find_id = find_id,
    .filler = comment,
};
