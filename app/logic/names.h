#ifndef SLUICE_LOGIC_NAMES_H
#define SLUICE_LOGIC_NAMES_H

/*
 * names - which names a Lua text uses that it does not declare, found by its tokens alone. Lua
 * would find nil for a misspelt name, at each message. And the parameters that a feed depends on
 * must be known before its first message.
 * Source: Lua 5.4 Reference Manual, 3.1 "Lexical Conventions".
 */
#include <stdbool.h>
#include <stddef.h>

/* The names are borrowed from the text. Each function may stop the walk by returning non-zero. */
struct names_ops {
	/* A name that is neither a local, a parameter of a function, a field, nor a table's key. */
	int (*on_free)(void *ctx, const char *name, size_t len, unsigned line);
	/*
	 * This one and the following two are called whether the text declares the name or not. It
	 * is called for params.NAME or params["NAME"]; name NULL: params is used in another way, so
	 * the names are not known.
	 */
	int (*on_param)(void *ctx, const char *name, size_t len);
	int (*on_claim)(void *ctx, const char *name, size_t len); /* as on_param(), of claims */
	int (*on_user)(void *ctx);                                /* user is used */
};

/*
 * names_walk - calls the functions for every use, in order. params and claims themselves go to
 * on_free(), too. Returns 0, or what a function returned to stop. Text that is not Lua gives some
 * names or none.
 */
int names_walk(const char *text, size_t len, const struct names_ops *ops, void *ctx);

/* names_use - does the text read the name, and does it declare it behind local, function or for? */
struct names_use {
	bool is_used, is_declared;
};
struct names_use names_use(const char *text, size_t len, const char *name);

#endif
