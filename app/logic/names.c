#include "logic/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_STRING, TOKEN_NUMBER, TOKEN_OTHER };

struct token {
	enum token_kind kind;
	const char *p; /* of a string what stands between its quotes */
	size_t len;
	unsigned line;
};

struct lexer {
	const char *p, *end;
	unsigned line;
};

struct span {
	const char *p;
	size_t len;
};

/* Names that the text makes itself; over-approximated, for what is told must be wrong for sure. */
struct own {
	struct span *v;
	size_t n, alloc;
};

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

static bool
equals(const struct token *t, const char *text)
{
	return t->kind != TOKEN_STRING && t->len == strlen(text) && memcmp(t->p, text, t->len) == 0;
}

static bool
is_keyword(const struct token *t)
{
	static const char *const words[] = {
	    "and",      "break",  "do",   "else", "elseif", "end",   "false", "for",
	    "function", "goto",   "if",   "in",   "local",  "nil",   "not",   "or",
	    "repeat",   "return", "then", "true", "until",  "while",
	};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (equals(t, words[i]))
			return true;
	}
	return false;
}

/* One character, or a whole line break: CR, LF, or both in either order are one. */
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

/* "\z" goes over blanks and line breaks; taken as ends of the string, they would turn it inside
 * out. */
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
read_string(struct lexer *lx, struct token *t)
{
	char quote = *lx->p++;

	t->kind = TOKEN_STRING;
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
read_word(struct lexer *lx, struct token *t)
{
	t->kind = is_alpha(*lx->p) ? TOKEN_NAME : TOKEN_NUMBER;
	while (lx->p < lx->end &&
	       (is_alpha(*lx->p) || is_digit(*lx->p) || (t->kind == TOKEN_NUMBER && *lx->p == '.')))
		lx->p++;
	t->len = (size_t)(lx->p - t->p);
}

/* The operators of two or three characters that must not be taken for one: ".." is no field's dot.
 */
static size_t
operator_len(const struct lexer *lx)
{
	static const char *const operators[] = {
	    "...", "..", "==", "~=", "<=", ">=", "//", "::", "<<", ">>"};
	size_t i, len;

	for (i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		len = strlen(operators[i]);
		if ((size_t)(lx->end - lx->p) >= len && memcmp(lx->p, operators[i], len) == 0)
			return len;
	}
	return 1;
}

static void
read_token(struct lexer *lx, struct token *t)
{
	int level;

	skip_blank(lx);
	*t = (struct token){TOKEN_END, lx->p, 0, lx->line};
	if (lx->p == lx->end)
		return;
	if (*lx->p == '"' || *lx->p == '\'') {
		read_string(lx, t);
	} else if ((level = long_bracket(lx)) >= 0) {
		t->kind = TOKEN_STRING;
		skip_long(lx, level);
		t->len = (size_t)(lx->p - t->p);
	} else if (is_alpha(*lx->p) || is_digit(*lx->p)) {
		read_word(lx, t);
	} else {
		t->kind = TOKEN_OTHER;
		t->len = operator_len(lx);
		lx->p += t->len;
	}
}

static bool
is_name(const struct token *t)
{
	return t->kind == TOKEN_NAME && !is_keyword(t);
}

static int
add_own(struct own *own, const struct token *t)
{
	struct span *v;

	if (own->n == own->alloc) {
		if ((v = reallocarray(own->v, own->alloc * 2 + 16, sizeof(*v))) == NULL)
			return -ENOMEM;
		own->v = v;
		own->alloc = own->alloc * 2 + 16;
	}
	own->v[own->n++] = (struct span){t->p, t->len};
	return 0;
}

static int
compare_spans(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return memcmp(x->p, y->p, x->len);
}

/* own is sorted: a long script may make thousands of names, and use them as often. */
static bool
is_own(const struct own *own, const struct token *t)
{
	const struct span name = {t->p, t->len};

	return own->n > 0 && bsearch(&name, own->v, own->n, sizeof(*own->v), compare_spans) != NULL;
}

static bool
is_any(const struct token *t, const char *const *words)
{
	for (; *words != NULL; words++) {
		if (equals(t, *words))
			return true;
	}
	return false;
}

/*
 * A declaration's list goes on over these; behind anything else it is over.
 */
static const char *const in_lists[] = {",", "(", ".", ":", "...", "<", ">", NULL};
static const char *const list_begins[] = {"local", "function", "for", NULL};

/*
 * The names that are declared behind local, function and for, and those that stand before a "=":
 * variables, and the keys of tables with them.
 */
static int
find_own(struct own *own, const char *text, size_t len)
{
	static const struct token self = {TOKEN_NAME, "self", 4, 0};
	struct lexer lx = {text, text + len, 1};
	bool is_list = false;
	struct token t;
	size_t n_sure = 0; /* of own; what follows may turn out to stand before a "=" */
	int rc = 0;

	for (read_token(&lx, &t); t.kind != TOKEN_END && rc == 0; read_token(&lx, &t)) {
		if (is_any(&t, list_begins)) {
			is_list = true;
		} else if (is_name(&t)) {
			rc = add_own(own, &t);
			if (is_list)
				n_sure = own->n;
		} else if (is_list && equals(&t, ":")) { /* function t:name() has it */
			rc = add_own(own, &self);
			n_sure = own->n;
		} else if (equals(&t, "=")) {
			n_sure = own->n;
			is_list = false;
		} else if (!is_any(&t, in_lists) || equals(&t, "(")) {
			is_list = is_list && equals(&t, "(");
			own->n = n_sure;
		}
	}
	own->n = n_sure;
	if (own->n > 0)
		qsort(own->v, own->n, sizeof(*own->v), compare_spans);
	return rc;
}

struct walk {
	const struct names_ops *ops;
	void *ctx;
	const struct own *own;
};

/* A table of ours stands before what lx reads next; lx is a copy. */
static int
tell_member(const struct walk *w, struct lexer lx,
	    int (*on_member)(void *ctx, const char *name, size_t len))
{
	struct token t, name;

	read_token(&lx, &t);
	if (equals(&t, "=")) /* a table's key */
		return 0;
	read_token(&lx, &name);
	if (equals(&t, ".") && is_name(&name))
		return on_member(w->ctx, name.p, name.len);
	if (equals(&t, "[") && name.kind == TOKEN_STRING &&
	    memchr(name.p, '\\', name.len) == NULL) {
		read_token(&lx, &t);
		if (equals(&t, "]") && name.len > 0 && *name.p != '[')
			return on_member(w->ctx, name.p, name.len);
	}
	return on_member(w->ctx, NULL, 0);
}

/* A name stands before what lx, a copy, reads next: is it a table's key, or assigned to? */
static bool
is_key(struct lexer lx)
{
	struct token t;

	read_token(&lx, &t);
	return equals(&t, "=");
}

/*
 * What a feed depends on. A declaration of the same name changes nothing: where it holds cannot be
 * told from the tokens, and to divide feeds too finely is safe. _ENV holds all of them by any name.
 */
static int
tell_asker(const struct walk *w, const struct token *t, const struct lexer *lx)
{
	bool is_all = equals(t, "_ENV");
	int rc = 0;

	if (w->ops->on_param != NULL && equals(t, "params"))
		rc = tell_member(w, *lx, w->ops->on_param);
	else if (w->ops->on_param != NULL && is_all)
		rc = w->ops->on_param(w->ctx, NULL, 0);
	if (rc == 0 && w->ops->on_claim != NULL && equals(t, "claims"))
		rc = tell_member(w, *lx, w->ops->on_claim);
	else if (rc == 0 && w->ops->on_claim != NULL && is_all)
		rc = w->ops->on_claim(w->ctx, NULL, 0);
	if (rc == 0 && w->ops->on_user != NULL && (is_all || (equals(t, "user") && !is_key(*lx))))
		rc = w->ops->on_user(w->ctx);
	return rc;
}

static int
tell(const struct walk *w, const struct token *t, const struct lexer *lx)
{
	int rc = tell_asker(w, t, lx);

	if (rc != 0)
		return rc;
	if (w->ops->on_free == NULL || is_own(w->own, t))
		return 0;
	return w->ops->on_free(w->ctx, t->p, t->len, t->line);
}

/* ::name:: and goto name; lx is a copy, and reads what follows the name. */
static bool
is_label(const struct token *before, struct lexer lx)
{
	struct token next;

	if (equals(before, "goto"))
		return true;
	if (!equals(before, "::"))
		return false;
	read_token(&lx, &next);
	return equals(&next, "::");
}

int
names_walk(const char *text, size_t len, const struct names_ops *ops, void *ctx)
{
	static const char *const before_fields[] = {".", ":", NULL};
	struct lexer lx = {text, text + len, 1};
	struct token t, before = {0};
	struct own own = {0};
	const struct walk w = {ops, ctx, &own};
	int rc = find_own(&own, text, len);

	for (read_token(&lx, &t); t.kind != TOKEN_END && rc == 0; before = t, read_token(&lx, &t)) {
		if (is_name(&t) && (before.p == NULL ||
				    (!is_any(&before, before_fields) && !is_label(&before, lx))))
			rc = tell(&w, &t, &lx);
	}
	free(own.v);
	return rc;
}
