#ifndef SLUICE_REDIS_STREAM_ID_H
#define SLUICE_REDIS_STREAM_ID_H

/*
 * stream_id - the ID of a stream's entry, and cursors: one ID for each of a route's streams, joined
 * by commas, so that the last one alone is enough to resume them all.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream_id {
	uint64_t ms, seq;
};

enum {
	STREAM_ID_TEXT = 42,   /* two numbers of 20 digits, "-", NUL */
	STREAM_CURSOR_MAX = 6, /* IDs in a cursor: as many as 128 bytes hold with today's time */
	STREAM_CURSOR_TEXT = STREAM_CURSOR_MAX * STREAM_ID_TEXT
};

/* stream_id_parse - "MS-SEQ", or "MS" for MS-0; the whole text. */
bool stream_id_parse(struct stream_id *id, const char *text, size_t len);
void stream_id_print(char text[STREAM_ID_TEXT], const struct stream_id *id);
int stream_id_compare(const struct stream_id *a, const struct stream_id *b); /* as memcmp() */
bool stream_id_is_zero(const struct stream_id *id);     /* before all that there can be */
struct stream_id stream_id_before(struct stream_id id); /* the greatest below; of zero: zero */
struct stream_id stream_id_after(struct stream_id id);  /* the least above; of the last: it */

/*
 * stream_cursor_parse - exactly n IDs, in either form. stream_cursor_print_short writes the
 * greatest sequence as "*", because the place before an entry has it: six of those are longer than
 * an event's id may be.
 */
bool stream_cursor_parse(struct stream_id *ids, size_t n, const char *text);
size_t stream_cursor_print(char text[STREAM_CURSOR_TEXT], const struct stream_id *ids, size_t n);
size_t
stream_cursor_print_short(char text[STREAM_CURSOR_TEXT], const struct stream_id *ids, size_t n);

#endif
