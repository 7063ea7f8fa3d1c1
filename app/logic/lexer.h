#ifndef SLUICE_LOGIC_LEXER_H
#define SLUICE_LOGIC_LEXER_H

/*
 * lexer - a Lua text as tokens; comments and blanks are left out.
 * Source: Lua 5.4 Reference Manual, 3.1 "Lexical Conventions".
 */
#include <stdbool.h>
#include <stddef.h>

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_STRING, TOKEN_NUMBER, TOKEN_OTHER };

/* Borrowed from the text. */
struct token {
	enum token_kind kind;
	const char *p; /* of a string what stands between its quotes */
	size_t len;
	unsigned line;
};

/* A copy of it reads ahead. */
struct lexer {
	const char *p, *end;
	unsigned line;
};

void lexer_init(struct lexer *lx, const char *text, size_t len);
void lexer_next(struct lexer *lx, struct token *t);

/* token_is - is it this word or operator? A string never is. */
bool token_is(const struct token *t, const char *text);
bool token_is_any(const struct token *t, const char *const *words); /* ends with NULL */
bool token_is_name(const struct token *t);                          /* and no keyword */

#endif
