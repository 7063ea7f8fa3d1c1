#include "logic/expression.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "logic/library.h"
#include "logic/message.h"
#include "logic/names.h"
#include "logic/slips.h"
#include "logic/asker.h"
#include "logic/values.h"

/* What stands before the text of an expression: its arguments. All is one line. */
#define ARGUMENTS   "local message,channel,id,now,user,text=... return "
#define CHUNK_NAME  "=:"
#define CHUNK_PLACE "::1: " /* how Lua begins the errors of a chunk with that name */

struct expression {
	struct sandbox *sb;
	char *text;
	int ref;           /* in the registry */
	bool sees_message; /* it names message, in any way */
	bool sees_text;
};

/* One evaluation, under the sandbox's lua_pcall(). */
struct evaluation {
	const struct expression *ex;
	const struct template_scope *scope;
	struct buf *b; /* NULL: only whether it is true is asked */
	bool is_true;
};

static const char *const scope_names[] = {"message", "text", "channel", "id",
					  "params",  "user", "claims",  "now"};

struct compiling {
	bool is_file;
	char *why;
	size_t why_len;
};

static const char *
known_name(size_t n)
{
	size_t n_scope = sizeof(scope_names) / sizeof(scope_names[0]);

	return n < n_scope ? scope_names[n] : library_name(n - n_scope);
}

/* What is written in other languages, or in a full Lua, and what to write here instead. */
static const struct {
	const char *written, *instead;
} elsewhere[] = {
    {"undefined", "nil"}, {"None", "nil"},     {"True", "true"},           {"False", "false"},
    {"os", "now"},        {"time", "now"},     {"unpack", "table.unpack"}, {"data", "message"},
    {"msg", "message"},   {"payload", "text"},
};

static const char *
nearest(const struct suggest *s)
{
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		if (strcmp(elsewhere[i].written, s->word) == 0)
			return elsewhere[i].instead;
	}
	return suggest_best(s);
}

static int
check_name(void *ctx, const char *text, size_t len, unsigned line)
{
	const struct compiling *check = ctx;
	const char *known;
	char name[64], place[32] = "";
	struct suggest s;
	size_t n;

	snprintf(name, sizeof(name), "%.*s", (int)len, text);
	if (check->is_file && strcmp(name, "event") == 0)
		return 0;
	suggest_init(&s, name);
	for (n = 0; (known = known_name(n)) != NULL; n++) {
		if (strcmp(known, name) == 0)
			return 0;
		suggest_try(&s, known);
	}
	if (check->is_file)
		snprintf(place, sizeof(place), "line %u: ", line);
	if (nearest(&s) != NULL)
		snprintf(check->why, check->why_len, "%sthere is no \"%s\"; did you mean \"%s\"?",
			 place, name, nearest(&s));
	else
		snprintf(check->why, check->why_len,
			 "%sthere is no \"%s\"; there are message, text, channel, id, params, "
			 "user, claims, now, math, string, table, tostring, tonumber, type, pairs, "
			 "ipairs, has, null, array, unique",
			 place, name);
	return -EINVAL;
}

int
expression_check_names(const char *text, bool is_file, char *why, size_t why_len)
{
	static const struct names_ops ops = {.on_free = check_name};
	struct compiling check = {is_file, why, why_len};

	return names_walk(text, strlen(text), &ops, &check);
}

/*
 * The text of Lua's error without its place, which is always the one line of the configuration.
 */
static void
strip_place(char *why)
{
	size_t len = strlen(CHUNK_PLACE);

	if (strncmp(why, CHUNK_PLACE, len) == 0)
		memmove(why, why + len, strlen(why + len) + 1);
}

/*
 * If there is an assignment where only an expression may stand, Lua's own message does not say so;
 * this adds it.
 */
static void
hint_at_equals(char *why, size_t why_len)
{
	size_t len = strlen(why);

	if (strstr(why, "near '='") != NULL)
		snprintf(why + len, why_len - len, "; did you mean \"==\"?");
}

static void
look(struct expression *ex)
{
	struct names_use message = names_use(ex->text, strlen(ex->text), "message"),
			 text = names_use(ex->text, strlen(ex->text), "text");

	ex->sees_message = message.is_used || message.is_declared;
	ex->sees_text = text.is_used || text.is_declared;
}

int
expression_new(struct expression **out, struct sandbox *sb, const char *text, char *why,
	       size_t why_len)
{
	struct expression *ex = calloc(1, sizeof(*ex));
	char *chunk = NULL;
	int rc = -ENOMEM;

	if (ex == NULL || (ex->text = strdup(text)) == NULL ||
	    asprintf(&chunk, ARGUMENTS "%s", text) < 0)
		goto fail;
	ex->sb = sb;
	ex->ref = LUA_NOREF;
	look(ex);
	if ((rc = slips_check(text, false, why, why_len)) == 0)
		rc = sandbox_load(sb, chunk, strlen(chunk), CHUNK_NAME, why, why_len);
	if (rc == 0) {
		ex->ref = luaL_ref(sandbox_lua(sb), LUA_REGISTRYINDEX);
		rc = expression_check_names(text, false, why, why_len);
	}
	if (rc < 0)
		goto fail;
	free(chunk);
	*out = ex;
	return 0;
fail:
	if (rc == -EINVAL) {
		strip_place(why);
		hint_at_equals(why, why_len);
	}
	free(chunk);
	expression_free(ex);
	return rc;
}

void
expression_free(struct expression *ex)
{
	if (ex == NULL)
		return;
	if (ex->sb != NULL)
		luaL_unref(sandbox_lua(ex->sb), LUA_REGISTRYINDEX, ex->ref);
	free(ex->text);
	free(ex);
}

bool
expression_sees_message(const struct expression *ex)
{
	return ex->sees_message;
}

bool
expression_sees_text(const struct expression *ex)
{
	return ex->sees_text;
}

/*
 * Pushes the text only if the expression names it: it may be long, and Lua copies each string.
 */
static void
push_text(lua_State *L, const struct evaluation *ev)
{
	const char *text = NULL;
	size_t len = 0;

	if (ev->ex->sees_text && ev->scope->msg != NULL)
		text = message_text(ev->scope->msg, &len);
	if (text != NULL)
		lua_pushlstring(L, text, len);
	else
		lua_pushnil(L);
}

static int
evaluate(lua_State *L)
{
	struct evaluation *ev = lua_touserdata(L, 1);
	const struct template_scope *scope = ev->scope;

	lua_rawgeti(L, LUA_REGISTRYINDEX, ev->ex->ref);
	if (scope->msg != NULL)
		values_push_message(L, scope->msg, values_push_view);
	else
		lua_pushnil(L); /* there is no message when a request is judged */
	if (scope->channel != NULL)
		lua_pushlstring(L, scope->channel, scope->channel_len);
	else
		lua_pushnil(L); /* a snapshot came by none */
	if (scope->id != NULL)
		lua_pushlstring(L, scope->id, scope->id_len);
	else
		lua_pushnil(L);
	lua_pushinteger(L, scope->now);
	asker_push_user(L, scope);
	push_text(L, ev);
	lua_call(L, 6, 1);
	ev->is_true = lua_toboolean(L, -1);
	if (ev->is_true && ev->b != NULL)
		values_put(L, -1, ev->b);
	return 0;
}

static int
run(struct evaluation *ev, char *why, size_t why_len)
{
	lua_State *L = sandbox_lua(ev->ex->sb);
	int rc;

	lua_pushcfunction(L, evaluate);
	lua_pushlightuserdata(L, ev);
	rc = sandbox_call(ev->ex->sb, ev->scope, 1, SANDBOX_EXPRESSION_STEPS, why, why_len);
	if (rc < 0)
		strip_place(why);
	return rc;
}

int
expression_is_true(struct expression *ex, const struct template_scope *scope, bool *is_true,
		   char *why, size_t why_len)
{
	struct evaluation ev = {.ex = ex, .scope = scope};
	int rc = run(&ev, why, why_len);

	*is_true = rc == 0 && ev.is_true;
	return rc;
}

int
expression_render(struct expression *ex, const struct template_scope *scope, struct buf *b,
		  bool *is_some, char *why, size_t why_len)
{
	struct evaluation ev = {.ex = ex, .scope = scope, .b = b};
	size_t before = b->len;
	int rc = run(&ev, why, why_len);

	*is_some = rc == 0 && ev.is_true;
	if (rc < 0)
		buf_truncate(b, before);
	return rc;
}
