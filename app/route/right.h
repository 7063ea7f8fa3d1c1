#ifndef SLUICE_ROUTE_RIGHT_H
#define SLUICE_ROUTE_RIGHT_H

/*
 * right - asks Redis a route's allow_command, whose answer must be true, for rights that stand in
 * Redis.
 */
#include "hub/hub.h"
#include "route/allow.h"

struct right_question;

/*
 * right_words - the command for this request, whose parameters keep their rules, with the prefix
 * before its keys. It is the caller's, for strings_free(). NULL: out of memory, or a parameter is
 * missing.
 */
char **right_words(const struct request *req, const char *prefix);

enum { RIGHT_DIGEST = 32 };
void right_digest(unsigned char digest[RIGHT_DIGEST], char *const *words);

/*
 * right_ask - calls fn once, later, unless the question is forgotten. Returns NULL if it cannot be
 * asked.
 */
typedef void (*right_fn)(void *arg, enum allowed allowed);
struct right_question *right_ask(struct hub *hub, char *const *words, right_fn fn, void *arg);
void right_forget(struct right_question *question); /* takes NULL */

#endif
