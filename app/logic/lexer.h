#ifndef SLUICE_LOGIC_LEXER_H
#define SLUICE_LOGIC_LEXER_H

/*
 * lexer - a Lua text as tokens; comments and blanks are left out.
 * Source: Lua 5.4 Reference Manual, 3.1 "Lexical Conventions".
 */
#include <stdbool.h>
#include <stddef.h>

enum lexeme_kind { LEXEME_END, LEXEME_NAME, LEXEME_STRING, LEXEME_NUMBER, LEXEME_OTHER };

/* Borrowed from the text. */
struct lexeme {
	enum lexeme_kind kind;
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
void lexer_next(struct lexer *lx, struct lexeme *t);

/* lexeme_is - is it this word or operator? A string never is. */
bool lexeme_is(const struct lexeme *t, const char *text);
bool lexeme_is_any(const struct lexeme *t, const char *const *words); /* ends with NULL */
bool lexeme_is_name(const struct lexeme *t);                          /* and no keyword */

#endif
