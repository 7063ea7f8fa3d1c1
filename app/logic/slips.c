#include "logic/slips.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "logic/lexer.h"
#include "logic/library.h"
#include "logic/names.h"

enum { NAME_MAX_LEN = 64 };

/* What is written in other languages, and what Lua has instead. */
struct instead {
	const char *written, *instead;
};

static const struct instead operators[] = {
    {"!=", "~="},  {"!==", "~="}, {"<>", "~="}, {"===", "=="},
    {"&&", "and"}, {"||", "or"},  {"!", "not"}, {"?", "A and B or C"},
};

/*
 * Functions of Lua's own library that are left out here, because they would reach outside of the
 * sandbox or work for long.
 */
static const struct instead members[] = {
    {"string.match", "string.find"},
    {"string.gmatch", "string.find"},
    {"string.gsub", "string.find and string.sub"},
    {"string.dump", NULL},
    {"string.pack", "string.char"},
    {"string.unpack", "string.byte"},
    {"string.packsize", NULL},
    {"string.split", "string.find and string.sub"},
    {"math.pow", "x ^ y"},
};

struct check {
	const char *text;
	bool is_file;
	char *why;
	size_t why_len;
};

static const char *
find_instead(const struct instead *list, size_t n, const char *written)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i].written, written) == 0)
			return list[i].instead;
	}
	return NULL;
}

#define FIND(list, written) find_instead(list, sizeof(list) / sizeof((list)[0]), written)

static int
refuse(const struct check *check, unsigned line, const char *what, const char *name,
       const char *instead)
{
	char place[32] = "";

	if (check->is_file)
		snprintf(place, sizeof(place), "line %u: ", line);
	if (instead != NULL)
		snprintf(check->why, check->why_len, "%sthere is no %s\"%s\"; did you mean \"%s\"?",
			 place, what, name, instead);
	else
		snprintf(check->why, check->why_len, "%sthere is no %s\"%s\"", place, what, name);
	return -EINVAL;
}

static int
check_operator(const struct check *check, const struct lexeme *t)
{
	char name[NAME_MAX_LEN];
	const char *instead;

	if (t->kind != LEXEME_OTHER)
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)t->len, t->p);
	instead = FIND(operators, name);
	return instead != NULL ? refuse(check, t->line, "operator ", name, instead) : 0;
}

/* "math.flor": the nearest of math's own. */
static int
check_member(const struct check *check, const struct lexeme *table, const struct lexeme *member)
{
	char name[NAME_MAX_LEN], whole[2 * NAME_MAX_LEN + 1], best[2 * NAME_MAX_LEN + 1];
	const char *known, *instead;
	struct suggest s;

	snprintf(name, sizeof(name), "%.*s", (int)member->len, member->p);
	snprintf(whole, sizeof(whole), "%.*s.%s", (int)table->len, table->p, name);
	suggest_init(&s, name);
	for (size_t n = 0; (known = library_member(table->p, table->len, n)) != NULL; n++) {
		if (strcmp(known, name) == 0)
			return 0;
		suggest_try(&s, known);
	}
	instead = FIND(members, whole);
	if (instead == NULL && suggest_best(&s) != NULL) {
		snprintf(best, sizeof(best), "%.*s.%s", (int)table->len, table->p,
			 suggest_best(&s));
		instead = best;
	}
	return refuse(check, member->line, "", whole, instead);
}

/* function t:match() or match = …: does the text define a member of that name? */
static bool
makes_member(const char *text, const struct lexeme *member)
{
	static const char *const in_function[] = {".", ":", NULL};
	bool is_function = false;
	struct lexer lx, ahead;
	struct lexeme t, next;

	lexer_init(&lx, text, strlen(text));
	for (lexer_next(&lx, &t); t.kind != LEXEME_END; lexer_next(&lx, &t)) {
		ahead = lx;
		lexer_next(&ahead, &next);
		if (t.kind == LEXEME_NAME && t.len == member->len &&
		    memcmp(t.p, member->p, t.len) == 0 && (is_function || lexeme_is(&next, "=")))
			return true;
		is_function =
		    lexeme_is(&t, "function") ||
		    (is_function && (lexeme_is_name(&t) || lexeme_is_any(&t, in_function)));
	}
	return false;
}

/*
 * "text:match(x)": strings have the functions of string as methods. A script may also call a method
 * of its own table, or of event, so only names are refused that Lua's strings have elsewhere.
 */
static int
check_method(const struct check *check, const struct lexeme *method)
{
	static const struct lexeme table = {LEXEME_NAME, "string", 6, 0};
	char whole[NAME_MAX_LEN + 8];
	bool is_missing;

	snprintf(whole, sizeof(whole), "string.%.*s", (int)method->len, method->p);
	is_missing = !check->is_file || FIND(members, whole) != NULL;
	return is_missing && !makes_member(check->text, method)
		   ? check_member(check, &table, method)
		   : 0;
}

/* t is behind before; lx, a copy, reads what follows it. */
static int
check_name(const struct check *check, const struct lexeme *before, const struct lexeme *t,
	   struct lexer lx)
{
	struct lexeme dot, member, behind;
	char table[NAME_MAX_LEN];

	lexer_next(&lx, &dot);
	lexer_next(&lx, &member);
	lexer_next(&lx, &behind);
	if (lexeme_is(before, ".") || lexeme_is(before, ":") || !lexeme_is(&dot, ".") ||
	    !lexeme_is_name(&member) || lexeme_is(&behind, "=") ||
	    library_member(t->p, t->len, 0) == NULL)
		return 0;
	snprintf(table, sizeof(table), "%.*s", (int)t->len, t->p);
	if (names_use(check->text, strlen(check->text), table).is_declared)
		return 0;
	return check_member(check, t, &member);
}

int
slips_look(const char *text, bool is_file, char *why, size_t why_len)
{
	const struct check check = {text, is_file, why, why_len};
	struct lexeme t, next, before = {0};
	struct lexer lx, ahead;
	int rc = 0;

	lexer_init(&lx, text, strlen(text));
	for (lexer_next(&lx, &t); t.kind != LEXEME_END && rc == 0;
	     before = t, lexer_next(&lx, &t)) {
		ahead = lx;
		lexer_next(&ahead, &next);
		if (lexeme_is_name(&t) && lexeme_is(&before, ":") && lexeme_is(&next, "("))
			rc = check_method(&check, &t);
	}
	return rc;
}

int
slips_check(const char *text, bool is_file, char *why, size_t why_len)
{
	const struct check check = {text, is_file, why, why_len};
	struct lexeme t, before = {0};
	struct lexer lx;
	int rc = 0;

	lexer_init(&lx, text, strlen(text));
	for (lexer_next(&lx, &t); t.kind != LEXEME_END && rc == 0;
	     before = t, lexer_next(&lx, &t)) {
		if (lexeme_is_name(&t))
			rc = check_name(&check, &before, &t, lx);
		else
			rc = check_operator(&check, &t);
	}
	return rc;
}
