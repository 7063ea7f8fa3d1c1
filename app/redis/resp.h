#ifndef SLUICE_REDIS_RESP_H
#define SLUICE_REDIS_RESP_H

/*
 * resp - a command as the bytes that Redis reads. Pure.
 * Source: redis.io/docs/reference/protocol-spec, "Sending commands to a Redis server".
 */
#include <stddef.h>

struct buf;

/* The words of a command, borrowed; the first is its name. */
struct resp_words {
	int n;
	const char *const *v;
	const size_t *lens; /* NULL: the words are strings */
};

/* RESP_WORDS - a command of these strings. It lives as long as the block in which it stands. */
#define RESP_WORDS(...) \
	((struct resp_words){(int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)), \
			     (const char *const[]){__VA_ARGS__}, NULL})

/* RESP_ARRAY - a command of all the strings of an array. */
#define RESP_ARRAY(a) ((struct resp_words){(int)(sizeof(a) / sizeof((a)[0])), (a), NULL})

/* resp_word_len - the length of the n-th word. */
size_t resp_word_len(struct resp_words words, int n);

/*
 * resp_put_command - append one command.
 * Returns 0; -EMSGSIZE past b's cap, -ENOMEM: then b is as it was.
 */
int resp_put_command(struct buf *b, struct resp_words words);

#endif
