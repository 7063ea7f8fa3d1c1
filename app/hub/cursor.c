#include "hub/cursor.h"

#include <stdbool.h>
#include <string.h>

#include "base/digest.h"
#include "hub/private.h"

/* Of the feed's streams, empty if anybody's are the same. They are named once, when it is opened.
 */
static const char *
whose(struct feed *fd)
{
	struct feed_more *more = fd->more;
	uint64_t digest = 0;

	if (!fd->class->settings->is_of_user || fd->class->handler->kind == HANDLER_QUEUE)
		return "";
	if (more->whose[0] == '\0') {
		for (unsigned i = 0; i < more->n_streams; i++)
			digest = digest_add(digest, replay_stream_name(fd, i));
		digest_put(more->whose, digest);
	}
	return more->whose;
}

size_t
cursor_print(char text[CURSOR_TEXT], struct feed *fd, const struct stream_id *ids, size_t n)
{
	size_t len = stream_cursor_print(text, ids, n);
	const char *digest = whose(fd);

	if (*digest == '\0')
		return len;
	text[len++] = '~';
	memcpy(text + len, digest, DIGEST_TEXT + 1);
	return len + DIGEST_TEXT;
}

static bool
is_digest(const char *text)
{
	return strlen(text) == DIGEST_TEXT && strspn(text, DIGEST_DIGITS) == DIGEST_TEXT;
}

enum cursor_said
cursor_parse(struct stream_id *ids, struct feed *fd, const char *text)
{
	const char *mark = strchr(text, '~');
	char plain[CURSOR_TEXT];
	size_t len = mark != NULL ? (size_t)(mark - text) : strlen(text);

	if (len >= sizeof(plain) || (mark != NULL && !is_digest(mark + 1)))
		return CURSOR_UNKNOWN;
	memcpy(plain, text, len);
	plain[len] = '\0';
	if (mark != NULL && strcmp(mark + 1, whose(fd)) != 0)
		return CURSOR_OTHER;
	return stream_cursor_parse(ids, fd->more->n_streams, plain) ? CURSOR_OURS : CURSOR_UNKNOWN;
}
