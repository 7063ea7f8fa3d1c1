#include "redis/stream_id.h"

#include <stdio.h>
#include <string.h>

/* A number without a sign or leading zeros, as Redis prints it. */
static bool
parse_number(uint64_t *out, const char *p, size_t len)
{
	uint64_t n = 0;
	size_t i;

	if (len == 0 || (len > 1 && *p == '0'))
		return false;
	for (i = 0; i < len; i++) {
		unsigned digit = (unsigned)(p[i] - '0');

		if (p[i] < '0' || p[i] > '9' || n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*out = n;
	return true;
}

bool
stream_id_parse(struct stream_id *id, const char *text, size_t len)
{
	const char *dash = memchr(text, '-', len);
	size_t ms_len = dash != NULL ? (size_t)(dash - text) : len;

	id->seq = 0;
	return parse_number(&id->ms, text, ms_len) &&
	       (dash == NULL || parse_number(&id->seq, dash + 1, len - ms_len - 1));
}

void
stream_id_print(char text[STREAM_ID_TEXT], const struct stream_id *id)
{
	snprintf(text, STREAM_ID_TEXT, "%llu-%llu", (unsigned long long)id->ms,
		 (unsigned long long)id->seq);
}

int
stream_id_compare(const struct stream_id *a, const struct stream_id *b)
{
	if (a->ms != b->ms)
		return a->ms < b->ms ? -1 : 1;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

bool
stream_id_is_zero(const struct stream_id *id)
{
	return id->ms == 0 && id->seq == 0;
}

struct stream_id
stream_id_before(struct stream_id id)
{
	if (id.seq > 0)
		return (struct stream_id){id.ms, id.seq - 1};
	return id.ms > 0 ? (struct stream_id){id.ms - 1, UINT64_MAX} : id;
}

struct stream_id
stream_id_after(struct stream_id id)
{
	if (id.seq < UINT64_MAX)
		return (struct stream_id){id.ms, id.seq + 1};
	return id.ms < UINT64_MAX ? (struct stream_id){id.ms + 1, 0} : id;
}

/* An ID, or "MS-*". */
static bool
parse_member(struct stream_id *id, const char *text, size_t len)
{
	if (len < 2 || text[len - 1] != '*')
		return stream_id_parse(id, text, len);
	id->seq = UINT64_MAX;
	return text[len - 2] == '-' && parse_number(&id->ms, text, len - 2);
}

bool
stream_cursor_parse(struct stream_id *ids, size_t n, const char *text)
{
	size_t i, len;

	for (i = 0; i < n; i++) {
		len = strcspn(text, ",");
		if (!parse_member(&ids[i], text, len))
			return false;
		text += len;
		if (i + 1 < n && *text++ != ',')
			return false;
	}
	return *text == '\0';
}

static size_t
print_all(char *text, const struct stream_id *ids, size_t n, bool is_short)
{
	char *p = text;
	size_t i;

	for (i = 0; i < n; i++) {
		if (i > 0)
			*p++ = ',';
		if (is_short && ids[i].seq == UINT64_MAX)
			snprintf(p, STREAM_ID_TEXT, "%llu-*", (unsigned long long)ids[i].ms);
		else
			stream_id_print(p, &ids[i]);
		p += strlen(p);
	}
	return (size_t)(p - text);
}

size_t
stream_cursor_print(char text[STREAM_CURSOR_TEXT], const struct stream_id *ids, size_t n)
{
	return print_all(text, ids, n, false);
}

size_t
stream_cursor_print_short(char text[STREAM_CURSOR_TEXT], const struct stream_id *ids, size_t n)
{
	return print_all(text, ids, n, true);
}
