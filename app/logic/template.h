#ifndef SLUICE_LOGIC_TEMPLATE_H
#define SLUICE_LOGIC_TEMPLATE_H

/*
 * template - text with {name}s in it, compiled once.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct message;
struct template;

/*
 * Who asks stands among the scope's params. In templates it is "user" and "claim.NAME", which keep
 * a rule as any parameter does. In Lua it is TEMPLATE_USER, which is empty for nobody, and
 * TEMPLATE_CLAIMS with all claims as JSON, or for one claim a dot and its name behind it.
 */
#define TEMPLATE_USER   "?user"
#define TEMPLATE_CLAIMS "?claims"

/* What may stand in braces. */
enum template_allow {
	/* {name}: a parameter of the path or the query; {user}, {claim.NAME} */
	TEMPLATE_PARAMS = 1,
	TEMPLATE_CHANNEL = 2, /* {channel} */
	TEMPLATE_NOW = 4,     /* {now}: Unix seconds */
	TEMPLATE_FIELD = 8,   /* {.field.sub}: of the JSON message */
	TEMPLATE_UNIQUE = 16, /* {unique}: a text that never comes again */
	TEMPLATE_TEXT = 32    /* {text}: the message's bytes */
};

struct template_value {
	const char *name;
	const char *value;
};

/*
 * template_is_reserved - does the name in braces have a meaning of its own, so that no parameter
 * can be called so?
 */
bool template_is_reserved(const char *name);

/* template_find - the value with that name; NULL: there is none. */
const char *template_find(const struct template_value *params, const char *name);

/* The values of names. Unused members are NULL. */
struct template_scope {
	const struct template_value *params; /* ends with a NULL name */
	struct message *msg;
	const char *channel;
	size_t channel_len;
	const char *id; /* of the message; NULL: it has none */
	size_t id_len;
	long long now;
};

/*
 * template_compile - "{{" stands for a brace. On failure why gets one line that says what is
 * wrong and what is allowed. Returns 0, -EINVAL, -ENOMEM; *out is the caller's.
 */
int template_compile(struct template **out, const char *text, unsigned allow, char *why,
		     size_t why_len);
void template_free(struct template *t); /* takes NULL */

/*
 * template_param - the n-th parameter that the template names, each once; NULL past the last. A
 * feed depends on these.
 */
const char *template_param(const struct template *t, size_t n);

/*
 * template_expand - appends the text to b. Returns 0, -ENOENT if a parameter or field is missing
 * (or a field is neither text, number nor boolean), -EMSGSIZE, -ENOMEM; then b is as it was.
 */
int template_expand(const struct template *t, const struct template_scope *scope, struct buf *b);

/*
 * template_expand_json - appends a JSON value. If the template is a single name it is the value as
 * it is ({now} a number, {.field} whatever it is), else a string. Returns as template_expand().
 */
int
template_expand_json(const struct template *t, const struct template_scope *scope, struct buf *b);

/*
 * template_matches - could this text be a result of the template, which consists of literal text
 * and parameters? param_ok says whether a value may stand for a parameter.
 */
bool template_matches(const struct template *t, const char *text,
		      bool (*param_ok)(const void *ctx, const char *name, const char *value),
		      const void *ctx);

#endif
