#include "logic/lexer.h"

#include <string.h>

static bool
is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_eol(char c)
{
	return c == '\n' || c == '\r';
}

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

bool
lexeme_is(const struct lexeme *t, const char *text)
{
	return t->kind != LEXEME_STRING && t->len == strlen(text) &&
	       memcmp(t->p, text, t->len) == 0;
}

static bool
is_keyword(const struct lexeme *t)
{
	static const char *const words[] = {
	    "and",      "break",  "do",   "else", "elseif", "end",   "false", "for",
	    "function", "goto",   "if",   "in",   "local",  "nil",   "not",   "or",
	    "repeat",   "return", "then", "true", "until",  "while",
	};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (lexeme_is(t, words[i]))
			return true;
	}
	return false;
}

/* Skips one character, or a whole line break: CR, LF, or both in either order count as one. */
static void
skip_char(struct lexer *lx)
{
	char c = *lx->p++;

	if (!is_eol(c))
		return;
	lx->line++;
	if (lx->p < lx->end && is_eol(*lx->p) && *lx->p != c)
		lx->p++;
}

/* The number of "=" of a long bracket that opens at p; -1 if none does. */
static int
long_bracket(const struct lexer *lx)
{
	const char *p = lx->p;
	int level = 0;

	if (p == lx->end || *p != '[')
		return -1;
	for (p++; p < lx->end && *p == '='; p++)
		level++;
	return p < lx->end && *p == '[' ? level : -1;
}

static bool
closes(const struct lexer *lx, int level)
{
	const char *p = lx->p + 1;

	if (*lx->p != ']' || lx->end - p <= level)
		return false;
	for (; level > 0; level--) {
		if (*p++ != '=')
			return false;
	}
	return *p == ']';
}

static void
skip_long(struct lexer *lx, int level)
{
	lx->p += level + 2;
	while (lx->p < lx->end) {
		if (closes(lx, level)) {
			lx->p += level + 2;
			return;
		}
		skip_char(lx);
	}
}

static void
skip_comment(struct lexer *lx)
{
	int level;

	lx->p += 2;
	if ((level = long_bracket(lx)) >= 0) {
		skip_long(lx, level);
		return;
	}
	while (lx->p < lx->end && !is_eol(*lx->p))
		lx->p++;
}

static void
skip_blank(struct lexer *lx)
{
	while (lx->p < lx->end) {
		if (is_blank(*lx->p))
			skip_char(lx);
		else if (*lx->p == '-' && lx->end - lx->p > 1 && lx->p[1] == '-')
			skip_comment(lx);
		else
			return;
	}
}

/*
 * "\z" skips blanks and line breaks. If a line break behind it were taken for the end of the
 * string, what is inside and outside of strings would be exchanged.
 */
static void
skip_escape(struct lexer *lx)
{
	bool is_z;

	if (++lx->p == lx->end)
		return;
	is_z = *lx->p == 'z';
	skip_char(lx);
	while (is_z && lx->p < lx->end && is_blank(*lx->p))
		skip_char(lx);
}

static void
read_string(struct lexer *lx, struct lexeme *t)
{
	char quote = *lx->p++;

	t->kind = LEXEME_STRING;
	t->p = lx->p;
	while (lx->p < lx->end && *lx->p != quote && !is_eol(*lx->p)) {
		if (*lx->p == '\\')
			skip_escape(lx);
		else
			lx->p++;
	}
	t->len = (size_t)(lx->p - t->p);
	if (lx->p < lx->end && *lx->p == quote)
		lx->p++;
}

static void
read_word(struct lexer *lx, struct lexeme *t)
{
	t->kind = is_alpha(*lx->p) ? LEXEME_NAME : LEXEME_NUMBER;
	while (lx->p < lx->end && (is_alpha(*lx->p) || is_digit(*lx->p) ||
				   (t->kind == LEXEME_NUMBER && *lx->p == '.')))
		lx->p++;
	t->len = (size_t)(lx->p - t->p);
}

/*
 * Operators of two or three characters, which must not be read as two: ".." is not the dot of a
 * field. Some belong to other languages; Lua has no use for them as two operators either.
 */
static size_t
operator_len(const struct lexer *lx)
{
	static const char *const operators[] = {"...", "===", "!==", "..", "==", "~=", "<=", ">=",
						"//",  "::",  "<<",  ">>", "!=", "&&", "||", "<>"};
	size_t i, len;

	for (i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		len = strlen(operators[i]);
		if ((size_t)(lx->end - lx->p) >= len && memcmp(lx->p, operators[i], len) == 0)
			return len;
	}
	return 1;
}

void
lexer_next(struct lexer *lx, struct lexeme *t)
{
	int level;

	skip_blank(lx);
	*t = (struct lexeme){LEXEME_END, lx->p, 0, lx->line};
	if (lx->p == lx->end)
		return;
	if (*lx->p == '"' || *lx->p == '\'') {
		read_string(lx, t);
	} else if ((level = long_bracket(lx)) >= 0) {
		t->kind = LEXEME_STRING;
		skip_long(lx, level);
		t->len = (size_t)(lx->p - t->p);
	} else if (is_alpha(*lx->p) || is_digit(*lx->p)) {
		read_word(lx, t);
	} else {
		t->kind = LEXEME_OTHER;
		t->len = operator_len(lx);
		lx->p += t->len;
	}
}

void
lexer_init(struct lexer *lx, const char *text, size_t len)
{
	*lx = (struct lexer){text, text + len, 1};
}

bool
lexeme_is_any(const struct lexeme *t, const char *const *words)
{
	for (; *words != NULL; words++) {
		if (lexeme_is(t, *words))
			return true;
	}
	return false;
}

bool
lexeme_is_name(const struct lexeme *t)
{
	return t->kind == LEXEME_NAME && !is_keyword(t);
}
