/*
 * event_stream - text/event-stream.
 *
 * Many clients report a frame without data as an empty message, so none is written. The one
 * exception is the frame with the id that says that an unannounced stream is over.
 * Source: WHATWG HTML 9.2.5 "Parsing an event stream", 9.2.6 "Interpreting an event stream".
 */
#include <errno.h>
#include <string.h>

#include "sse/utf8.h"
#include "sse/wire.h"

static const char comment[] = ":\n", id_field[] = "id: ";

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
 * The first CR or LF from p on, or end. What was found is kept until p has passed it. Otherwise a
 * payload of lone CRs would be searched to its end for an LF again for each line.
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
		/* Behind a line end there is another line, even if it is empty. */
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

/* An EventSource calls an event without a name "message"; some other clients know no other name. */
static bool
is_named(const struct event *ev)
{
	static const char unnamed[] = "message";

	return ev->type_len > 0 && (ev->type_len != sizeof(unnamed) - 1 ||
				    memcmp(ev->type, unnamed, ev->type_len) != 0);
}

/*
 * The least length of the frame: a line end becomes "\ndata: ", which is longer, and what takes the
 * place of bytes that are no UTF-8 is never shorter than they are.
 */
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

/* The first lines of a frame. */
static int
put_first(struct buf *b, unsigned retry_ms, const char *id, size_t len)
{
	int rc;

	if (retry_ms > 0 &&
	    ((rc = buf_puts(b, "retry: ")) < 0 || (rc = buf_put_number(b, retry_ms)) < 0 ||
	     (rc = buf_putc(b, '\n')) < 0))
		return rc;
	return id != NULL ? put_field(b, id_field, id, len) : 0;
}

static int
put_lines(struct buf *b, unsigned retry_ms, const char *id, size_t len)
{
	size_t before = b->len;
	int rc;

	if (!event_names_are_ok(&(struct event){.id = id, .id_len = len}))
		return -EINVAL;
	if ((rc = put_first(b, retry_ms, id, len)) < 0)
		buf_truncate(b, before);
	return rc;
}

static int
put_event(struct buf *b, const struct event *ev, size_t *n_replaced)
{
	size_t before = b->len, n_before = n_replaced != NULL ? *n_replaced : 0;
	int rc;

	if (!event_names_are_ok(ev))
		return -EINVAL;
	/* Most frames have one line, so the buffer grows once, for all of the frame. */
	if ((rc = buf_reserve(b, least_len(ev))) < 0)
		return rc;
	if ((rc = put_first(b, ev->retry_ms, ev->id, ev->id_len)) < 0 ||
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

static int
put_id(struct buf *b, const char *id, size_t len)
{
	size_t before = b->len;
	int rc;

	if (!event_names_are_ok(&(struct event){.id = id, .id_len = len}))
		return -EINVAL;
	if ((rc = put_field(b, id_field, id, len)) < 0 || (rc = buf_putc(b, '\n')) < 0)
		buf_truncate(b, before);
	return rc;
}

static int
put_heartbeat(struct buf *b, const struct event *ev)
{
	return ev->type_len > 0 ? put_event(b, ev, NULL) : buf_puts(b, comment);
}

/* Does the line that eol ends end a frame, or is it a comment between two? */
static bool
ends_frame(const char *begin, const char *eol)
{
	if (eol > begin && eol[-1] == ':')
		eol--;
	return eol == begin || eol[-1] == '\n';
}

static const char *
boundary(const char *begin, const char *at, const char *end)
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

/* The id is the first line: frames in a log have no retry. */
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

const struct wire wire_event_stream = {
    .name = "sse",
    .media_type = "text/event-stream",
    .content_type = "text/event-stream; charset=utf-8",
    .event = put_event,
    .lines = put_lines,
    .id = put_id,
    .heartbeat = put_heartbeat,
    .boundary = boundary,
    .find_id = find_id,
    .filler = comment,
};
