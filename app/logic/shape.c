#include "logic/shape.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "logic/message.h"

void
shape_fini(struct shape *sh)
{
	size_t i;

	for (i = 0; sh->fields != NULL && sh->fields[i] != NULL; i++)
		free(sh->fields[i]);
	free(sh->fields);
	for (i = 0; i < sh->n_adds; i++) {
		free(sh->adds[i].name);
		template_free(sh->adds[i].value);
	}
	free(sh->adds);
	memset(sh, 0, sizeof(*sh));
}

bool
shape_is_empty(const struct shape *sh)
{
	return sh->fields == NULL && sh->n_adds == 0;
}

static bool
keeps(const struct shape *sh, const char *name)
{
	size_t i;

	for (i = 0; i < sh->n_adds; i++) {
		if (strcmp(sh->adds[i].name, name) == 0)
			return false;
	}
	for (i = 0; sh->fields != NULL && sh->fields[i] != NULL; i++) {
		if (strcmp(sh->fields[i], name) == 0)
			return true;
	}
	return sh->fields == NULL;
}

static int
put_name(struct buf *b, const char *name, bool is_first)
{
	int rc;

	if (!is_first && (rc = buf_putc(b, ',')) < 0)
		return rc;
	if ((rc = json_put_string(b, name, strlen(name))) < 0)
		return rc;
	return buf_putc(b, ':');
}

static int
put_value(struct buf *b, struct json_object *value)
{
	size_t len;
	const char *text = json_object_to_json_string_length(
	    value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);

	return text == NULL ? -ENOMEM : buf_put(b, text, len);
}

int
shape_render(const struct shape *sh, const struct template_scope *scope, struct buf *b)
{
	struct json_object *obj = message_json(scope->msg);
	size_t before = b->len, i;
	bool is_first = true;
	int rc = buf_putc(b, '{');

	if (!json_object_is_type(obj, json_type_object))
		rc = -EINVAL;
	if (rc == 0) {
		json_object_object_foreach(obj, name, value)
		{
			if (rc < 0 || !keeps(sh, name))
				continue;
			if ((rc = put_name(b, name, is_first)) == 0)
				rc = put_value(b, value);
			is_first = false;
		}
	}
	for (i = 0; i < sh->n_adds && rc == 0; i++, is_first = false) {
		if ((rc = put_name(b, sh->adds[i].name, is_first)) == 0)
			rc = template_expand_json(sh->adds[i].value, scope, b);
	}
	if (rc < 0 || (rc = buf_putc(b, '}')) < 0)
		buf_truncate(b, before);
	return rc;
}
