#ifndef SLUICE_BASE_JSON_TEXT_H
#define SLUICE_BASE_JSON_TEXT_H

/*
 * json_text - JSON as bytes: is it JSON at all, and how is a string written? Pure.
 *
 * json-c accepts 'a', NaN and comments; its strict mode refuses non-ASCII text in one of the
 * versions that we build with. Where an integer has more than 64 bits, json-c silently takes the
 * greatest that it can hold.
 * Source: RFC 8259.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum { JSON_DEPTH_MAX = 64 };

/*
 * json_text_check - is it one JSON value, with nothing but white space around it and at most
 * JSON_DEPTH_MAX deep, and without a name that holds a NUL? UTF-8 is not looked at. *has_wide, if
 * not NULL: it holds an integer that neither int64_t nor uint64_t can.
 */
bool json_text_check(const char *p, size_t len, bool *has_wide);

/*
 * json_text_flaw - why json_text_check() refuses the text, or what is wrong with its strings, for
 * the person who wrote it. *at, if not NULL, is the offset of the fault.
 */
enum json_flaw { JSON_FINE, JSON_BROKEN, JSON_TOO_DEEP, JSON_NUL_NAME, JSON_LONE_SURROGATE };
enum json_flaw json_text_flaw(const char *p, size_t len, size_t *at);

/* json_text_has_lone_surrogate - of a text that is JSON: does a "\uD800" stand in it without its
 * other half? It names no character (RFC 8259, 8.2). */
bool json_text_has_lone_surrogate(const char *p, size_t len);

/* json_text_count_names - of a text that is JSON: the members of all its objects, repeated names
 * too. */
size_t json_text_count_names(const char *p, size_t len);

/*
 * json_text_widen - append the text, which must be JSON, with "e0" behind each integer beyond 64
 * bits: the same number, which json-c then keeps as it is written. Returns 0, -EMSGSIZE, -ENOMEM.
 */
int json_text_widen(const char *p, size_t len, struct buf *out);

/* json_text_is_wide - is this number's text an integer beyond 64 bits with the "e0" of
 * json_text_widen()? */
bool json_text_is_wide(const char *p, size_t len);

/* json_put_escaped - append the text as it stands within a JSON string. As buf_put(). */
int json_put_escaped(struct buf *b, const char *p, size_t len);

/* json_put_string - append the text as a JSON string, in quotes. As buf_put(). */
int json_put_string(struct buf *b, const char *p, size_t len);

#endif
