#ifndef SLUICE_JSON_H
#define SLUICE_JSON_H

/* json - the members of an object, asked for by their type. */
#include <json-c/json.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* json_text - the member name of obj, if it is a string: borrowed from obj; else NULL. */
const char *json_text(struct json_object *obj, const char *name);
/* json_is - is the member name of obj this string? false if there is no such member. */
bool json_is(struct json_object *obj, const char *name, const char *value);
/* json_is_true - is the member name of obj true? */
bool json_is_true(struct json_object *obj, const char *name);

#ifdef __cplusplus
}
#endif

#endif
