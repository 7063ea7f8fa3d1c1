#include "auth/identity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "logic/template.h"

#define CLAIM "claim."

static bool
begins_with(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

bool
identity_is_name(const char *name)
{
	return *name == '?' || strcmp(name, "user") == 0 || begins_with(name, CLAIM);
}

static struct json_object *
claim(const struct identity *id, const char *name)
{
	struct json_object *value = NULL;

	if (id->claims != NULL)
		json_object_object_get_ex(id->claims, name, &value);
	return value;
}

static const char *
as_json(struct json_object *value)
{
	return json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN |
							 JSON_C_TO_STRING_NOSLASHESCAPE);
}

/* A fraction or a list must not become part of a name by accident. */
static const char *
as_text(struct json_object *value)
{
	const char *text;

	if (json_object_is_type(value, json_type_int))
		return json_object_get_string(value);
	if (!json_object_is_type(value, json_type_string))
		return NULL;
	text = json_object_get_string(value);
	return strlen(text) == (size_t)json_object_get_string_len(value) ? text : NULL;
}

const char *
identity_value(const struct identity *id, const char *name)
{
	if (strcmp(name, "user") == 0)
		return id->user;
	if (begins_with(name, CLAIM))
		return as_text(claim(id, name + strlen(CLAIM)));
	if (strcmp(name, TEMPLATE_USER) == 0)
		return id->user != NULL ? id->user : "";
	if (strcmp(name, TEMPLATE_CLAIMS) == 0)
		return as_json(id->claims);
	if (begins_with(name, TEMPLATE_CLAIMS "."))
		return as_json(claim(id, name + strlen(TEMPLATE_CLAIMS ".")));
	return NULL;
}

bool
identity_has_other(const struct identity *id, const char *name)
{
	return begins_with(name, CLAIM) && claim(id, name + strlen(CLAIM)) != NULL &&
	       identity_value(id, name) == NULL;
}

int
identity_copy(struct identity *to, const struct identity *from)
{
	*to = *from;
	to->user = from->user != NULL ? strdup(from->user) : NULL;
	to->session = from->session != NULL ? strdup(from->session) : NULL;
	to->claims = json_object_get(from->claims);
	if ((from->user == NULL || to->user != NULL) &&
	    (from->session == NULL || to->session != NULL))
		return 0;
	identity_fini(to);
	return -ENOMEM;
}

void
identity_fini(struct identity *id)
{
	free(id->user);
	free(id->session);
	json_object_put(id->claims);
	memset(id, 0, sizeof(*id));
}
