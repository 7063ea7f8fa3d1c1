#include "auth/php_session.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 32, NUMBER_MAX = 64, NAME_MAX_LEN = 1024, VALUES_MAX = 100000 };

struct php_reader {
	const char *p, *end;
	unsigned depth, n_values;
};

/* A value may be null, which json-c has no object for. */
static bool read_value(struct php_reader *rd, struct json_object **out);

static bool
take(struct php_reader *rd, char c)
{
	if (rd->p == rd->end || *rd->p != c)
		return false;
	rd->p++;
	return true;
}

/* Copies the text up to the stop byte, with a NUL behind it, and passes the stop byte. */
static bool
take_until(struct php_reader *rd, char stop, char *text, size_t text_len)
{
	const char *at = memchr(rd->p, stop, (size_t)(rd->end - rd->p));
	size_t len = at != NULL ? (size_t)(at - rd->p) : 0;

	if (at == NULL || len >= text_len)
		return false;
	memcpy(text, rd->p, len);
	text[len] = '\0';
	rd->p = at + 1;
	return strlen(text) == len;
}

static bool
take_count(struct php_reader *rd, char stop, size_t *out)
{
	char text[NUMBER_MAX], *end;

	if (!take_until(rd, stop, text, sizeof(text)) || *text < '0' || *text > '9')
		return false;
	*out = strtoull(text, &end, 10);
	return *end == '\0' && *out <= PHP_SESSION_MAX;
}

/* LEN:"BYTES" */
static bool
take_string(struct php_reader *rd, const char **p, size_t *len)
{
	if (!take_count(rd, ':', len) || !take(rd, '"') || (size_t)(rd->end - rd->p) < *len)
		return false;
	*p = rd->p;
	rd->p += *len;
	return take(rd, '"');
}

static bool
read_string(struct php_reader *rd, struct json_object **out)
{
	const char *p;
	size_t len;

	if (!take_string(rd, &p, &len) || !take(rd, ';'))
		return false;
	*out = json_object_new_string_len(p, (int)len);
	return *out != NULL;
}

static bool
read_integer(struct php_reader *rd, struct json_object **out)
{
	char text[NUMBER_MAX], *end;
	long long n;

	if (!take_until(rd, ';', text, sizeof(text)) || *text == '\0')
		return false;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (*end != '\0' || errno != 0)
		return false;
	*out = json_object_new_int64(n);
	return *out != NULL;
}

static bool
read_double(struct php_reader *rd, struct json_object **out)
{
	char text[NUMBER_MAX], *end;
	double n;

	if (!take_until(rd, ';', text, sizeof(text)) || *text == '\0')
		return false;
	if (strstr(text, "INF") != NULL || strcmp(text, "NAN") == 0)
		return true; /* JSON has none */
	n = strtod(text, &end);
	if (*end != '\0')
		return false;
	*out = json_object_new_double(n);
	return *out != NULL;
}

static bool
read_boolean(struct php_reader *rd, struct json_object **out)
{
	char text[NUMBER_MAX];

	if (!take_until(rd, ';', text, sizeof(text)) ||
	    (strcmp(text, "0") != 0 && strcmp(text, "1") != 0))
		return false;
	*out = json_object_new_boolean(*text == '1');
	return *out != NULL;
}

/* A key is an integer or a string; *index is the integer, or -1. */
static bool
read_key(struct php_reader *rd, char name[NAME_MAX_LEN], long long *index)
{
	const char *p, *nul;
	size_t len;

	*index = -1;
	if (take(rd, 'i')) {
		if (!take(rd, ':') || !take_until(rd, ';', name, NUMBER_MAX) || *name == '\0')
			return false;
		*index = strtoll(name, NULL, 10);
		return true;
	}
	if (!take(rd, 's') || !take(rd, ':') || !take_string(rd, &p, &len) || !take(rd, ';') ||
	    len >= NAME_MAX_LEN)
		return false;
	/* A property that is not public has its class before its name, between NULs. */
	while ((nul = memchr(p, '\0', len)) != NULL) {
		len -= (size_t)(nul + 1 - p);
		p = nul + 1;
	}
	memcpy(name, p, len);
	name[len] = '\0';
	return true;
}

/* Everything is read as an object first. It becomes a list if its keys are 0, 1, 2… */
static struct json_object *
as_list(struct json_object *object)
{
	struct json_object *list = json_object_new_array();

	if (list == NULL)
		return object;
	json_object_object_foreach(object, name, value)
	{
		(void)name;
		if (json_object_array_add(list, json_object_get(value)) < 0)
			json_object_put(value);
	}
	json_object_put(object);
	return list;
}

static bool
read_member(struct php_reader *rd, struct json_object *object, size_t i, bool *is_list)
{
	struct json_object *value = NULL;
	char name[NAME_MAX_LEN];
	long long index;

	if (!read_key(rd, name, &index) || !read_value(rd, &value))
		return false;
	*is_list = *is_list && index == (long long)i;
	if (json_object_object_add(object, name, value) < 0) {
		json_object_put(value);
		return false;
	}
	return true;
}

/* COUNT:{KEY VALUE…} */
static bool
read_members(struct php_reader *rd, struct json_object **out, bool is_array)
{
	struct json_object *object;
	bool is_list = is_array;
	size_t n, i;

	if (!take_count(rd, ':', &n) || !take(rd, '{') ||
	    (object = json_object_new_object()) == NULL)
		return false;
	for (i = 0; i < n && read_member(rd, object, i, &is_list); i++)
		;
	if (i < n || !take(rd, '}')) {
		json_object_put(object);
		return false;
	}
	*out = is_list && n > 0 ? as_list(object) : object;
	return true;
}

static bool
read_object(struct php_reader *rd, struct json_object **out)
{
	const char *class;
	size_t len;

	return take_string(rd, &class, &len) && take(rd, ':') && read_members(rd, out, false);
}

/* CLASS:LEN:{BYTES}, which only the class itself can read. */
static bool
read_custom(struct php_reader *rd)
{
	const char *class;
	size_t len;

	if (!take_string(rd, &class, &len) || !take(rd, ':') || !take_count(rd, ':', &len) ||
	    !take(rd, '{') || (size_t)(rd->end - rd->p) < len)
		return false;
	rd->p += len;
	return take(rd, '}');
}

static bool
read_reference(struct php_reader *rd)
{
	char text[NUMBER_MAX];

	return take_until(rd, ';', text, sizeof(text));
}

static bool
read_of_kind(struct php_reader *rd, char kind, struct json_object **out)
{
	switch (kind) {
	case 's':
	case 'E': /* the case of an enum becomes its text: "Suit:Hearts" */
		return read_string(rd, out);
	case 'i':
		return read_integer(rd, out);
	case 'd':
		return read_double(rd, out);
	case 'b':
		return read_boolean(rd, out);
	case 'a':
		return read_members(rd, out, true);
	case 'O':
		return read_object(rd, out);
	case 'C':
		return read_custom(rd);
	case 'R':
	case 'r':
		return read_reference(rd);
	default:
		return false;
	}
}

static bool
read_value(struct php_reader *rd, struct json_object **out)
{
	bool is_read;
	char kind;

	*out = NULL;
	if (rd->p == rd->end || rd->depth == DEPTH_MAX || rd->n_values++ == VALUES_MAX)
		return false;
	kind = *rd->p++;
	if (kind == 'N')
		return take(rd, ';');
	if (!take(rd, ':'))
		return false;
	rd->depth++;
	is_read = read_of_kind(rd, kind, out);
	rd->depth--;
	return is_read;
}

/* NAME|VALUE… */
static bool
read_session(struct php_reader *rd, struct json_object *session)
{
	char name[NAME_MAX_LEN];
	struct json_object *value;

	while (rd->p < rd->end) {
		if (!take_until(rd, '|', name, sizeof(name)) || *name == '\0' ||
		    !read_value(rd, &value))
			return false;
		if (json_object_object_add(session, name, value) < 0) {
			json_object_put(value);
			return false;
		}
	}
	return true;
}

struct json_object *
php_session_parse(const char *text, size_t len)
{
	struct php_reader rd = {.p = text, .end = text + len};
	struct json_object *session = NULL;

	if (len > PHP_SESSION_MAX)
		return NULL;
	if (len > 2 && memcmp(text, "a:", 2) == 0) {
		if (read_value(&rd, &session) && rd.p == rd.end &&
		    json_object_is_type(session, json_type_object))
			return session;
	} else if ((session = json_object_new_object()) != NULL && read_session(&rd, session)) {
		return session;
	}
	json_object_put(session);
	return NULL;
}
