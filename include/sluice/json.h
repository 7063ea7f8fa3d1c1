#ifndef SLUICE_JSON_H
#define SLUICE_JSON_H

/* json - members of an object, each read as one type. */
#include <json-c/json.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* json_text - the member of obj with this name, if it is a string: borrowed from obj; else NULL. */
const char *json_text(struct json_object *obj, const char *name);
/* json_is - is the member of obj with this name this string? false if there is no such member. */
bool json_is(struct json_object *obj, const char *name, const char *value);
/* json_is_true - is the member of obj with this name true? */
bool json_is_true(struct json_object *obj, const char *name);

#ifdef __cplusplus
}
#endif

#endif
