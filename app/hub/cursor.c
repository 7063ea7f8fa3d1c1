#include "hub/cursor.h"

#include <string.h>

#include "sse/event.h"

void
cursor_add(struct cursor *c, const char *name, bool is_of_user)
{
	c->n++;
	if (!is_of_user)
		return;
	c->digest = digest_add(c->digest, name);
	digest_put(c->whose, c->digest);
}

size_t
cursor_print(char text[CURSOR_TEXT], const char *whose, const struct stream_id *ids, size_t n)
{
	size_t max = EVENT_ID_MAX - (*whose != '\0' ? 1 + DIGEST_TEXT : 0);
	size_t len = stream_cursor_print(text, ids, n);

	if (len > max)
		len = stream_cursor_print_short(text, ids, n);
	if (len > max)
		return (size_t)(stpcpy(text, CURSOR_NONE) - text);
	if (*whose == '\0')
		return len;
	text[len++] = '~';
	memcpy(text + len, whose, DIGEST_TEXT + 1);
	return len + DIGEST_TEXT;
}

static bool
is_digest(const char *text)
{
	return strlen(text) == DIGEST_TEXT && strspn(text, DIGEST_DIGITS) == DIGEST_TEXT;
}

enum cursor_said
cursor_parse(struct stream_id *ids, const struct cursor *c, const char *text)
{
	const char *mark = strchr(text, '~');
	char plain[CURSOR_TEXT];
	size_t len = mark != NULL ? (size_t)(mark - text) : strlen(text);

	if (len >= sizeof(plain) || (mark != NULL && !is_digest(mark + 1)))
		return CURSOR_UNKNOWN;
	memcpy(plain, text, len);
	plain[len] = '\0';
	if (mark != NULL && strcmp(mark + 1, c->whose) != 0)
		return CURSOR_OTHER;
	return stream_cursor_parse(ids, c->n, plain) ? CURSOR_OURS : CURSOR_UNKNOWN;
}
