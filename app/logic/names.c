#include "logic/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "logic/lexer.h"

struct span {
	const char *p;
	size_t len;
};

/*
 * Names that the text itself declares. There may be too many of them, because a fault must be
 * reported only if it is certain.
 */
struct declared {
	struct span *v;
	size_t n, alloc;
};

static int
add_own(struct declared *own, const struct lexeme *t)
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

/* own is sorted, because a long script may declare thousands of names and use them as often. */
static bool
is_own(const struct declared *own, const struct lexeme *t)
{
	const struct span name = {t->p, t->len};

	return own->n > 0 && bsearch(&name, own->v, own->n, sizeof(*own->v), compare_spans) != NULL;
}

/*
 * The list of a declaration goes on behind one of these tokens, and ends behind any other.
 */
static const char *const in_lists[] = {",", "(", ".", ":", "...", "<", ">", NULL};
static const char *const list_begins[] = {"local", "function", "for", NULL};

/*
 * Finds the names that are declared behind local, function and for, and those that stand before a
 * "=": variables, and keys of tables.
 */
static int
find_own(struct declared *own, const char *text, size_t len)
{
	static const struct lexeme self = {LEXEME_NAME, "self", 4, 0};
	struct lexer lx;
	bool is_list = false;
	struct lexeme t;
	/* The length of own without the name that may yet turn out to stand before a "=". */
	size_t n_sure = 0;
	int rc = 0;

	lexer_init(&lx, text, len);
	for (lexer_next(&lx, &t); t.kind != LEXEME_END && rc == 0; lexer_next(&lx, &t)) {
		if (lexeme_is_any(&t, list_begins)) {
			is_list = true;
		} else if (lexeme_is_name(&t)) {
			rc = add_own(own, &t);
			if (is_list)
				n_sure = own->n;
		} else if (is_list && lexeme_is(&t, ":")) { /* the name in function t:name() */
			rc = add_own(own, &self);
			n_sure = own->n;
		} else if (lexeme_is(&t, "=")) {
			n_sure = own->n;
			is_list = false;
		} else if (!lexeme_is_any(&t, in_lists) || lexeme_is(&t, "(")) {
			is_list = is_list && lexeme_is(&t, "(");
			own->n = n_sure;
		}
	}
	own->n = n_sure;
	if (own->n > 0)
		qsort(own->v, own->n, sizeof(*own->v), compare_spans);
	return rc;
}

struct names_walk {
	const struct names_ops *ops;
	void *ctx;
	const struct declared *own;
};

/*
 * One of our tables (params, claims) stands before what lx, a copy, reads next: reports the member.
 */
static int
tell_member(const struct names_walk *w, struct lexer lx,
	    int (*on_member)(void *ctx, const char *name, size_t len))
{
	struct lexeme t, name;

	lexer_next(&lx, &t);
	if (lexeme_is(&t, "=")) /* a table's key */
		return 0;
	lexer_next(&lx, &name);
	if (lexeme_is(&t, ".") && lexeme_is_name(&name))
		return on_member(w->ctx, name.p, name.len);
	if (lexeme_is(&t, "[") && name.kind == LEXEME_STRING &&
	    memchr(name.p, '\\', name.len) == NULL) {
		lexer_next(&lx, &t);
		if (lexeme_is(&t, "]") && name.len > 0 && *name.p != '[')
			return on_member(w->ctx, name.p, name.len);
	}
	return on_member(w->ctx, NULL, 0);
}

/* A name stands before what lx, a copy, reads next: is it a table's key, or is it assigned to? */
static bool
is_key(struct lexer lx)
{
	struct lexeme t;

	lexer_next(&lx, &t);
	return lexeme_is(&t, "=");
}

/*
 * Reports what a feed depends on. A declaration of the same name is ignored: tokens do not tell
 * where it holds, and it is safe to divide feeds too finely. _ENV can reach all of them by any
 * name.
 */
static int
tell_asker(const struct names_walk *w, const struct lexeme *t, const struct lexer *lx)
{
	bool is_all = lexeme_is(t, "_ENV");
	int rc = 0;

	if (w->ops->on_param != NULL && lexeme_is(t, "params"))
		rc = tell_member(w, *lx, w->ops->on_param);
	else if (w->ops->on_param != NULL && is_all)
		rc = w->ops->on_param(w->ctx, NULL, 0);
	if (rc == 0 && w->ops->on_claim != NULL && lexeme_is(t, "claims"))
		rc = tell_member(w, *lx, w->ops->on_claim);
	else if (rc == 0 && w->ops->on_claim != NULL && is_all)
		rc = w->ops->on_claim(w->ctx, NULL, 0);
	if (rc == 0 && w->ops->on_user != NULL &&
	    (is_all || (lexeme_is(t, "user") && !is_key(*lx))))
		rc = w->ops->on_user(w->ctx);
	return rc;
}

static int
tell(const struct names_walk *w, const struct lexeme *t, const struct lexer *lx)
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
is_label(const struct lexeme *before, struct lexer lx)
{
	struct lexeme next;

	if (lexeme_is(before, "goto"))
		return true;
	if (!lexeme_is(before, "::"))
		return false;
	lexer_next(&lx, &next);
	return lexeme_is(&next, "::");
}

static const char *const before_fields[] = {".", ":", NULL};

int
names_walk(const char *text, size_t len, const struct names_ops *ops, void *ctx)
{
	struct lexer lx;
	struct lexeme t, before = {0};
	struct declared own = {0};
	const struct names_walk w = {ops, ctx, &own};
	int rc = find_own(&own, text, len);

	lexer_init(&lx, text, len);
	for (lexer_next(&lx, &t); t.kind != LEXEME_END && rc == 0;
	     before = t, lexer_next(&lx, &t)) {
		if (lexeme_is_name(&t) &&
		    (before.p == NULL ||
		     (!lexeme_is_any(&before, before_fields) && !is_label(&before, lx))))
			rc = tell(&w, &t, &lx);
	}
	free(own.v);
	return rc;
}

struct names_use
names_use(const char *text, size_t len, const char *name)
{
	struct names_use use = {false, false};
	struct lexeme t, before = {0};
	bool is_list = false;
	struct lexer lx;

	lexer_init(&lx, text, len);
	for (lexer_next(&lx, &t); t.kind != LEXEME_END; before = t, lexer_next(&lx, &t)) {
		if (lexeme_is_any(&t, list_begins)) {
			is_list = true;
		} else if (!lexeme_is_name(&t)) {
			is_list = is_list && lexeme_is_any(&t, in_lists);
		} else if (lexeme_is(&t, name) &&
			   (before.p == NULL || !lexeme_is_any(&before, before_fields))) {
			use.is_declared = use.is_declared || is_list;
			use.is_used = use.is_used || (!is_list && !is_key(lx));
		}
	}
	return use;
}
