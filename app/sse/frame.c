#include "sse/frame.h"

#include <stdbool.h>
#include <string.h>

static bool
is_field(const char *p, const char *eol, const char *name, const char **value, size_t *value_len)
{
	size_t n = strlen(name), len = (size_t)(eol - p);

	if (len < n || memcmp(p, name, n) != 0)
		return false;
	*value = p + n;
	*value_len = len - n;
	return true;
}

void
frame_read(struct frame *out, const char *p, const char *end)
{
	const char *eol, *value;
	size_t len;

	*out = (struct frame){.type = "message", .type_len = strlen("message")};
	for (; p < end && (eol = memchr(p, '\n', (size_t)(end - p))) != NULL; p = eol + 1) {
		if (is_field(p, eol, "data: ", &value, &len)) {
			out->data = p; /* the data comes last */
			return;
		}
		if (is_field(p, eol, "event: ", &value, &len)) {
			out->type = value;
			out->type_len = len;
		} else if (is_field(p, eol, "id: ", &value, &len)) {
			out->id = value;
			out->id_len = len;
		}
	}
}

int
frame_put_data(struct buf *b, const char *p, const char *end)
{
	const char *eol, *value;
	bool is_first = true;
	size_t len;
	int rc = 0;

	for (; rc == 0 && p < end && (eol = memchr(p, '\n', (size_t)(end - p))) != NULL;
	     p = eol + 1) {
		if (!is_field(p, eol, "data: ", &value, &len))
			continue;
		if (!is_first)
			rc = buf_putc(b, '\n');
		is_first = false;
		if (rc == 0)
			rc = buf_put(b, value, len);
	}
	return rc;
}
