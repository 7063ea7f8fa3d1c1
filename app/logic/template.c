#include "logic/template.h"

#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "logic/message.h"

#define CLAIM "claim."

enum { PARTS_MAX = 64, FIELD_DEPTH_MAX = 16, MATCH_VALUE_MAX = 256 };

enum part_kind {
	PART_LITERAL,
	PART_PARAM,
	PART_CHANNEL,
	PART_NOW,
	PART_UNIQUE,
	PART_TEXT,
	PART_FIELD
};

struct part {
	enum part_kind kind;
	size_t len;
	char *text; /* PART_LITERAL: the bytes; PARAM: its name; FIELD: the names, each with its NUL
		     */
};

struct template
{
	size_t n_parts;
	struct part parts[PARTS_MAX];
};

static const struct {
	const char *name;
	enum part_kind kind;
	unsigned allow;
} reserved[] = {
    {"channel", PART_CHANNEL, TEMPLATE_CHANNEL},
    {"now", PART_NOW, TEMPLATE_NOW},
    {"unique", PART_UNIQUE, TEMPLATE_UNIQUE},
    {"text", PART_TEXT, TEMPLATE_TEXT},
};

bool
template_is_reserved(const char *name)
{
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		if (strcmp(reserved[i].name, name) == 0)
			return true;
	}
	return false;
}

/* A template that is being compiled. */
struct template_text {
	struct template *t;
	unsigned allow; /* TEMPLATE_…: the names that may stand in braces */
	char *why;
	size_t why_len;
};

static int
refuse_name(const struct template_text *tt, const char *name, size_t len)
{
	const unsigned allow = tt->allow;

	snprintf(tt->why, tt->why_len,
		 "no such name may stand here: {%.*s}; allowed here: %s%s%s%s%s%s", (int)len, name,
		 allow & TEMPLATE_PARAMS ? "{parameter}" : "no name at all",
		 allow & TEMPLATE_CHANNEL ? " {channel}" : "", allow & TEMPLATE_NOW ? " {now}" : "",
		 allow & TEMPLATE_UNIQUE ? " {unique}" : "", allow & TEMPLATE_TEXT ? " {text}" : "",
		 allow & TEMPLATE_FIELD ? " {.field}" : "");
	return -EINVAL;
}

static int
add_part(struct template *t, enum part_kind kind, const char *text, size_t len)
{
	struct part *part;

	if (t->n_parts == PARTS_MAX)
		return -E2BIG;
	part = &t->parts[t->n_parts];
	if ((part->text = strndup(text, len)) == NULL)
		return -ENOMEM;
	part->kind = kind;
	part->len = len;
	t->n_parts++;
	return 0;
}

static bool
is_name(const char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (!isalpha((unsigned char)p[i]) && p[i] != '_' &&
		    (i == 0 || !isdigit((unsigned char)p[i])))
			return false;
	}
	return len > 0;
}

/* ".user.id": the names, each ended by a NUL in place of the dot that follows it. */
static int
add_field(struct template *t, const char *p, size_t len)
{
	struct part *part;
	size_t i, depth = 0;
	int rc;

	for (i = 0; i < len; i++) {
		if (p[i] == '.' && (i + 1 == len || p[i + 1] == '.' || ++depth > FIELD_DEPTH_MAX))
			return -EINVAL;
	}
	if ((rc = add_part(t, PART_FIELD, p + 1, len - 1)) < 0)
		return rc;
	part = &t->parts[t->n_parts - 1];
	for (i = 0; i < part->len; i++) {
		if (part->text[i] == '.')
			part->text[i] = '\0';
	}
	return 0;
}

static int
add_name(const struct template_text *tt, const char *p, size_t len)
{
	const size_t claim = strlen(CLAIM);
	size_t i;
	int rc;

	if (len > 1 && p[0] == '.') {
		if ((tt->allow & TEMPLATE_FIELD) == 0 || (rc = add_field(tt->t, p, len)) == -EINVAL)
			return refuse_name(tt, p, len);
		return rc;
	}
	for (i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		if (strlen(reserved[i].name) != len || memcmp(reserved[i].name, p, len) != 0)
			continue;
		if ((tt->allow & reserved[i].allow) == 0)
			return refuse_name(tt, p, len);
		return add_part(tt->t, reserved[i].kind, p, len);
	}
	if ((tt->allow & TEMPLATE_PARAMS) == 0 ||
	    (!is_name(p, len) &&
	     (len <= claim || memcmp(p, CLAIM, claim) != 0 || !is_name(p + claim, len - claim))))
		return refuse_name(tt, p, len);
	return add_part(tt->t, PART_PARAM, p, len);
}

/* Reads a brace at p: "{{" and "}}" are a brace, "{name}" is a name. *next is where to go on. */
static int
add_brace(const struct template_text *tt, const char *p, const char **next)
{
	const char *close;

	if (p[1] == p[0]) {
		*next = p + 2;
		return add_part(tt->t, PART_LITERAL, p, 1);
	}
	if (p[0] == '}' || (close = strchr(p, '}')) == NULL) {
		snprintf(tt->why, tt->why_len,
			 "a lone %c; a name stands in {braces}, and %c%c is one brace", p[0], p[0],
			 p[0]);
		return -EINVAL;
	}
	*next = close + 1;
	return add_name(tt, p + 1, (size_t)(close - p - 1));
}

int
template_compile(struct template **out, const char *text, unsigned allow, char *why, size_t why_len)
{
	struct template *t = calloc(1, sizeof(*t));
	const struct template_text tt = {t, allow, why, why_len};
	int rc = 0;

	snprintf(why, why_len, "out of memory");
	if (t == NULL)
		return -ENOMEM;
	while (*text != '\0' && rc == 0) {
		size_t len = strcspn(text, "{}");

		if (len > 0) {
			rc = add_part(t, PART_LITERAL, text, len);
			text += len;
		} else {
			rc = add_brace(&tt, text, &text);
		}
	}
	if (rc == 0) {
		*out = t;
		return 0;
	}
	if (rc == -E2BIG) {
		snprintf(why, why_len, "more than %d parts", PARTS_MAX);
		rc = -EINVAL;
	}
	template_free(t);
	return rc;
}

void
template_free(struct template *t)
{
	size_t i;

	if (t == NULL)
		return;
	for (i = 0; i < t->n_parts; i++)
		free(t->parts[i].text);
	free(t);
}

static bool
is_named_before(const struct template *t, size_t part)
{
	size_t i;

	for (i = 0; i < part; i++) {
		if (t->parts[i].kind == PART_PARAM &&
		    strcmp(t->parts[i].text, t->parts[part].text) == 0)
			return true;
	}
	return false;
}

const char *
template_param(const struct template *t, size_t n)
{
	size_t i;

	for (i = 0; i < t->n_parts; i++) {
		if (t->parts[i].kind == PART_PARAM && !is_named_before(t, i) && n-- == 0)
			return t->parts[i].text;
	}
	return NULL;
}

const char *
template_find(const struct template_value *params, const char *name)
{
	for (; params != NULL && params->name != NULL; params++) {
		if (strcmp(params->name, name) == 0)
			return params->value;
	}
	return NULL;
}

static int
put_param(struct buf *b, const char *name, const struct template_value *params)
{
	const char *value = template_find(params, name);

	return value != NULL ? buf_puts(b, value) : -ENOENT;
}

static int
put_json(struct buf *b, struct json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_string:
		return buf_put(b, json_object_get_string(value),
			       (size_t)json_object_get_string_len(value));
	case json_type_int:
	case json_type_double:
	case json_type_boolean:
		return buf_puts(b, json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
	default:
		return -ENOENT;
	}
}

/* Finds the field; *out is NULL for JSON's null. Returns 0, -ENOENT. */
static int
find_field(struct json_object **out, const struct part *part, struct message *msg)
{
	struct json_object *value = msg != NULL ? message_json(msg) : NULL;
	const char *name;

	for (name = part->text; name < part->text + part->len; name += strlen(name) + 1) {
		if (!json_object_is_type(value, json_type_object) ||
		    !json_object_object_get_ex(value, name, &value))
			return -ENOENT;
	}
	*out = value;
	return 0;
}

static int
put_field(struct buf *b, const struct part *part, struct message *msg)
{
	struct json_object *value;
	int rc = find_field(&value, part, msg);

	return rc < 0 ? rc : put_json(b, value);
}

static int
put_bytes(struct buf *b, const struct message *msg)
{
	const char *bytes;
	size_t len;

	if (msg == NULL)
		return -ENOENT;
	bytes = message_text(msg, &len);
	return buf_put(b, bytes, len);
}

static int
put_unique(struct buf *b)
{
	char text[UNIQUE_LEN];

	unique_make(text);
	return buf_puts(b, text);
}

static int
put_part(struct buf *b, const struct part *part, const struct template_scope *scope)
{
	switch (part->kind) {
	case PART_LITERAL:
		return buf_put(b, part->text, part->len);
	case PART_PARAM:
		return put_param(b, part->text, scope->params);
	case PART_CHANNEL:
		return scope->channel == NULL ? -ENOENT
					      : buf_put(b, scope->channel, scope->channel_len);
	case PART_NOW:
		return buf_printf(b, "%lld", scope->now);
	case PART_UNIQUE:
		return put_unique(b);
	case PART_TEXT:
		return put_bytes(b, scope->msg);
	case PART_FIELD:
		return put_field(b, part, scope->msg);
	}
	return -EINVAL;
}

int
template_expand(const struct template *t, const struct template_scope *scope, struct buf *b)
{
	size_t before = b->len, i;
	int rc = 0;

	for (i = 0; i < t->n_parts && rc == 0; i++)
		rc = put_part(b, &t->parts[i], scope);
	if (rc < 0)
		buf_truncate(b, before);
	return rc;
}

static int
put_field_json(struct buf *b, const struct part *part, struct message *msg)
{
	struct json_object *value;
	int rc = find_field(&value, part, msg);
	const char *text;
	size_t len;

	if (rc < 0)
		return rc;
	text = json_object_to_json_string_length(
	    value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	return text == NULL ? -ENOMEM : buf_put(b, text, len);
}

/* Appends the text, and then replaces it by the same as a JSON string. */
static int
put_as_string(const struct template *t, const struct template_scope *scope, struct buf *b)
{
	struct buf text;
	int rc;

	buf_init(&text, b->cap);
	if ((rc = template_expand(t, scope, &text)) == 0)
		rc = json_put_string(b, text.p, text.len);
	buf_fini(&text);
	return rc;
}

int
template_expand_json(const struct template *t, const struct template_scope *scope, struct buf *b)
{
	if (t->n_parts == 1 && t->parts[0].kind == PART_NOW)
		return put_part(b, &t->parts[0], scope);
	if (t->n_parts == 1 && t->parts[0].kind == PART_FIELD)
		return put_field_json(b, &t->parts[0], scope->msg);
	return put_as_string(t, scope, b);
}

struct match {
	const struct template *t;
	bool (*param_ok)(const void *ctx, const char *name, const char *value);
	const void *ctx;
};

/*
 * Compares the parts from i on with the text: a parameter takes as many bytes as its rule allows.
 */
static bool
matches_from(const struct match *m, size_t i, const char *text)
{
	char value[MATCH_VALUE_MAX + 1];
	const struct part *part = &m->t->parts[i];
	size_t len;

	if (i == m->t->n_parts)
		return *text == '\0';
	if (part->kind == PART_LITERAL)
		return strncmp(text, part->text, part->len) == 0 &&
		       matches_from(m, i + 1, text + part->len);
	for (len = 1; part->kind == PART_PARAM && len <= MATCH_VALUE_MAX && text[len - 1] != '\0';
	     len++) {
		memcpy(value, text, len);
		value[len] = '\0';
		if (m->param_ok(m->ctx, part->text, value) && matches_from(m, i + 1, text + len))
			return true;
	}
	return false;
}

bool
template_matches(const struct template *t, const char *text,
		 bool (*param_ok)(const void *ctx, const char *name, const char *value),
		 const void *ctx)
{
	const struct match m = {t, param_ok, ctx};

	return matches_from(&m, 0, text);
}
