#include "redis/recorded.h"

#include <string.h>

bool
recorded_parse(struct stream_id *id, size_t *head, const char *text, size_t len)
{
	const char *eol;

	if (len == 0 || text[0] != '\x1e')
		return false;
	eol = memchr(text, '\n', len < STREAM_ID_TEXT + 1 ? len : STREAM_ID_TEXT + 1);
	if (eol == NULL || !stream_id_parse(id, text + 1, (size_t)(eol - text - 1)))
		return false;
	*head = (size_t)(eol - text) + 1;
	return true;
}
