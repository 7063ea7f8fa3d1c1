#ifndef SLUICE_AUTH_PHP_SESSION_H
#define SLUICE_AUTH_PHP_SESSION_H

/*
 * php_session - a session of PHP, as phpredis stores it, read into JSON. It knows the serialize
 * handlers "php" (NAME|VALUE, one after the other) and "php_serialize" (one array). Pure.
 *
 * No object of PHP is made: an object becomes its properties, an enum's case its text, and a
 * reference, or what only its class can read, becomes null.
 * Source: PHP's manual, serialize() and session.serialize_handler.
 */
#include <json-c/json.h>
#include <stddef.h>

enum { PHP_SESSION_MAX = 1024 * 1024 };

/* php_session_parse - the caller's object; NULL if it is no such text, is longer than
 * PHP_SESSION_MAX, deeper than 32, or memory is short. */
struct json_object *php_session_parse(const char *text, size_t len);

#endif
