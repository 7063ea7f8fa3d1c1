#include "sse/event.h"

#include <string.h>

#include "sse/utf8.h"

/*
 * May it stand in an id or event field? A NUL or a line end would end the field there, or make it
 * invalid.
 */
static bool
is_name_ok(const char *p, size_t len, size_t max)
{
	return len <= max && memchr(p, '\0', len) == NULL && memchr(p, '\n', len) == NULL &&
	       memchr(p, '\r', len) == NULL && utf8_valid_len(p, len) == len;
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
