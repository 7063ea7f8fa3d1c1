#ifndef SLUICE_ROUTE_RIGHT_H
#define SLUICE_ROUTE_RIGHT_H

/*
 * right - what a route's allow_command says: a command whose answer must be true, for rights that
 * stand in Redis.
 */
#include "hub/hub.h"
#include "route/allow.h"

struct right_question;

/* right_read - nil, 0, an empty answer and "no" are FORBIDDEN; none and an error UNDECIDED. Pure.
 */
enum allowed right_read(const struct redisReply *reply);

/* right_words - the command for this request, whose parameters keep their rules, with the prefix
 * before its keys: the caller's, for strings_free(). NULL: out of memory, or one is missing. */
char **right_words(const struct request *req, const char *prefix);

enum { RIGHT_DIGEST = 32 };
void right_digest(unsigned char digest[RIGHT_DIGEST], char *const *words);

/* right_ask - fn is called once, later, unless the question is forgotten. NULL: it cannot be asked.
 */
typedef void (*right_fn)(void *arg, enum allowed allowed);
struct right_question *right_ask(struct hub *hub, char *const *words, right_fn fn, void *arg);
void right_forget(struct right_question *question); /* takes NULL */

#endif
