#ifndef TESTS_EVENTSTREAM_PARSER_H
#define TESTS_EVENTSTREAM_PARSER_H

/*
 * eventstream_parser - what EventSource makes of bytes. The judge of app/sse/, so it shares no code
 * with it, and was written from the standards alone: WHATWG HTML 9.2.5 and 9.2.6, and the UTF-8
 * decoder of the WHATWG Encoding standard, 8.1.1. Speed is no aim.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct es_text {
	char *p;
	size_t len, alloc;
};

/* What a stream has come to. type and data are those of the last event that was dispatched. */
struct es_stream {
	size_t n_events;
	size_t n_lines; /* not empty and no comment */
	size_t n_comments;
	size_t n_retries;
	unsigned long retry_ms;
	struct es_text type, data, last_event_id;
	struct es_text type_buffer, data_buffer;
	bool is_cut; /* the last line has no end, or no blank line follows */
};

static inline void
es_add(struct es_text *t, const void *p, size_t len)
{
	if (t->len + len > t->alloc) {
		t->alloc = (t->len + len) * 2;
		if ((t->p = realloc(t->p, t->alloc)) == NULL)
			abort();
	}
	if (len > 0)
		memcpy(t->p + t->len, p, len);
	t->len += len;
}

static inline void
es_set(struct es_text *t, const char *p, size_t len)
{
	t->len = 0;
	es_add(t, p, len);
}

static inline bool
es_is(const struct es_text *t, const char *p, size_t len)
{
	return t->len == len && (len == 0 || memcmp(t->p, p, len) == 0);
}

static inline void
es_add_code_point(struct es_text *t, uint32_t c)
{
	unsigned char out[4];
	size_t n = 0;

	if (c < 0x80) {
		out[n++] = (unsigned char)c;
	} else if (c < 0x800) {
		out[n++] = (unsigned char)(0xC0 + (c >> 6));
	} else if (c < 0x10000) {
		out[n++] = (unsigned char)(0xE0 + (c >> 12));
		out[n++] = (unsigned char)(0x80 + ((c >> 6) & 0x3F));
	} else {
		out[n++] = (unsigned char)(0xF0 + (c >> 18));
		out[n++] = (unsigned char)(0x80 + ((c >> 12) & 0x3F));
		out[n++] = (unsigned char)(0x80 + ((c >> 6) & 0x3F));
	}
	if (c >= 0x80)
		out[n++] = (unsigned char)(0x80 + (c & 0x3F));
	es_add(t, out, n);
}

/* Encoding 8.1.1, step by step, with "UTF-8 bytes needed" and so on under their names there. */
struct es_decoder {
	uint32_t code_point;
	unsigned needed, seen;
	uint8_t lower, upper;
};

static inline bool
es_decode_lead(struct es_decoder *d, uint8_t byte, struct es_text *out)
{
	d->seen = 0;
	d->lower = 0x80;
	d->upper = 0xBF;
	if (byte <= 0x7F) {
		es_add_code_point(out, byte);
	} else if (byte >= 0xC2 && byte <= 0xDF) {
		d->needed = 1;
		d->code_point = byte & 0x1FU;
	} else if (byte >= 0xE0 && byte <= 0xEF) {
		if (byte == 0xE0)
			d->lower = 0xA0;
		if (byte == 0xED)
			d->upper = 0x9F;
		d->needed = 2;
		d->code_point = byte & 0xFU;
	} else if (byte >= 0xF0 && byte <= 0xF4) {
		if (byte == 0xF0)
			d->lower = 0x90;
		if (byte == 0xF4)
			d->upper = 0x8F;
		d->needed = 3;
		d->code_point = byte & 0x7U;
	} else {
		es_add_code_point(out, 0xFFFD);
		return false;
	}
	return true;
}

/* UTF-8 decode without BOM. Returns the number of errors, each of which is one U+FFFD in out. */
static inline size_t
es_decode(struct es_text *out, const char *p, size_t len)
{
	struct es_decoder d = {0};
	size_t n_errors = 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)p[i];

		if (d.needed == 0) {
			n_errors += !es_decode_lead(&d, byte, out);
			continue;
		}
		if (byte < d.lower || byte > d.upper) {
			d.needed = 0;
			es_add_code_point(out, 0xFFFD);
			n_errors++;
			i--; /* "restore byte to ioQueue" */
			continue;
		}
		d.lower = 0x80;
		d.upper = 0xBF;
		d.code_point = d.code_point << 6 | (byte & 0x3FU);
		if (++d.seen == d.needed) {
			es_add_code_point(out, d.code_point);
			d.needed = 0;
		}
	}
	if (d.needed != 0) {
		es_add_code_point(out, 0xFFFD);
		n_errors++;
	}
	return n_errors;
}

static inline void
es_dispatch(struct es_stream *s)
{
	if (s->data_buffer.len > 0) {
		es_set(&s->data, s->data_buffer.p, s->data_buffer.len - 1); /* less its last LF */
		es_set(&s->type, s->type_buffer.p, s->type_buffer.len);
		if (s->type.len == 0)
			es_set(&s->type, "message", 7);
		s->n_events++;
	}
	s->data_buffer.len = s->type_buffer.len = 0;
}

static inline void
es_retry(struct es_stream *s, const char *value, size_t len)
{
	unsigned long ms = 0;

	for (size_t i = 0; i < len; i++) {
		if (value[i] < '0' || value[i] > '9')
			return;
		ms = ms * 10 + (unsigned long)(value[i] - '0');
	}
	s->retry_ms = ms;
	s->n_retries++;
}

static inline void
es_field(struct es_stream *s, const char *name, size_t name_len, const char *value, size_t len)
{
	if (name_len == 5 && memcmp(name, "event", 5) == 0) {
		es_set(&s->type_buffer, value, len);
	} else if (name_len == 4 && memcmp(name, "data", 4) == 0) {
		es_add(&s->data_buffer, value, len);
		es_add(&s->data_buffer, "\n", 1);
	} else if (name_len == 2 && memcmp(name, "id", 2) == 0) {
		if (len == 0 || memchr(value, '\0', len) == NULL)
			es_set(&s->last_event_id, value, len);
	} else if (name_len == 5 && memcmp(name, "retry", 5) == 0) {
		es_retry(s, value, len);
	}
}

static inline void
es_line(struct es_stream *s, const char *line, size_t len)
{
	const char *colon = len > 0 ? memchr(line, ':', len) : NULL;
	const char *value = line + len;

	if (len == 0) {
		es_dispatch(s);
		return;
	}
	if (colon == line) {
		s->n_comments++;
		return;
	}
	s->n_lines++;
	if (colon != NULL) {
		value = colon + 1;
		if (value < line + len && *value == ' ')
			value++;
	}
	es_field(s, line, (size_t)((colon != NULL ? colon : line + len) - line), value,
		 (size_t)(line + len - value));
}

/* es_parse - the bytes as one whole stream. s must be zeroed before; es_free() it. */
static inline void
es_parse(struct es_stream *s, const char *bytes, size_t len)
{
	struct es_text text = {0};
	size_t start = 0, i = 0;
	bool was_blank = true;

	/* HTML decodes with "UTF-8 decode", which takes one BOM off the start. */
	if (len >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) {
		bytes += 3;
		len -= 3;
	}
	es_decode(&text, bytes, len);
	while (i < text.len) {
		if (text.p[i] != '\r' && text.p[i] != '\n') {
			i++;
			continue;
		}
		was_blank = i == start;
		es_line(s, text.p + start, i - start);
		if (text.p[i] == '\r' && i + 1 < text.len && text.p[i + 1] == '\n')
			i++;
		start = ++i;
	}
	s->is_cut = start < text.len || !was_blank;
	free(text.p);
}

/* es_expect - what a client must get as the data of a payload: line ends are LF, and UTF-8 is
 * whole. */
static inline size_t
es_expect(struct es_text *out, const char *p, size_t len)
{
	struct es_text raw = {0};

	for (size_t i = 0; i < len; i++) {
		if (p[i] == '\n' && i > 0 && p[i - 1] == '\r')
			continue;
		es_add(&raw, p[i] == '\r' ? "\n" : p + i, 1);
	}
	len = es_decode(out, raw.p, raw.len);
	free(raw.p);
	return len;
}

static inline void
es_free(struct es_stream *s)
{
	free(s->type.p);
	free(s->data.p);
	free(s->last_event_id.p);
	free(s->type_buffer.p);
	free(s->data_buffer.p);
	memset(s, 0, sizeof(*s));
}

#endif
