#ifndef SLUICE_AUTH_KEY_FORM_H
#define SLUICE_AUTH_KEY_FORM_H

/*
 * key_form - forms of keys that are no secrets, and how each is converted. Pure.
 */
#include <stdbool.h>
#include <stddef.h>

/* key_form_is_pem - does a "-----BEGIN " stand in it? */
bool key_form_is_pem(const char *text, size_t len);

/* key_form_is_json - does it begin as an object or a list of JSON? */
bool key_form_is_json(const char *text, size_t len);

/*
 * key_form_advice - what the text is, if it is neither a secret nor a PEM public key, and the
 * command that converts it (a constant, in which the file is called FILE). NULL: it may be a
 * secret. len does not count the n_ends line ends behind it.
 */
const char *key_form_advice(const char *text, size_t len, size_t n_ends);

#endif
