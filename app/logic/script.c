#include "logic/script.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "logic/expression.h"
#include "logic/message.h"
#include "logic/names.h"
#include "logic/slips.h"
#include "logic/asker.h"
#include "logic/values.h"

/*
 * The first line of the file, before its text. Each feed runs the file with names of its own, and
 * event.
 */
#define ARGUMENTS "local _ENV,event=... "

struct script {
	struct sandbox *sb;
	char *text;
	int main;  /* refs in the registry. This one: the file's function */
	int event; /* what callbacks get as event */
	struct names_use text_use;
};

/* One call, under the sandbox's lua_pcall(). */
struct script_call {
	struct script *sc;
	int callback;
	const struct template_scope *scope;
	struct rendering *r;
};

/* The key in the registry under which the struct script_call of the current callback stands. */
static const char running;

/* run, or NULL */
static void
set_running(lua_State *L, struct script_call *run)
{
	lua_pushlightuserdata(L, run);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &running);
}

static struct script_call *
running_call(lua_State *L)
{
	struct script_call *run;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &running);
	run = lua_touserdata(L, -1);
	lua_pop(L, 1);
	if (run == NULL)
		luaL_error(L, "event is of use only while the function runs");
	return run;
}

static void
add(lua_State *L, struct rendering *r, int value, const char *type, size_t type_len)
{
	size_t at = r->bytes.len;
	int rc;

	values_put(L, value, &r->bytes);
	if ((rc = rendering_add(r, at, type, type_len)) < 0)
		luaL_error(L,
			   rc == -E2BIG ? "more than %d events for one message"
					: "the events for one message are too long",
			   RENDERING_EVENTS_MAX);
}

/* event:message(value[, name]) */
static int
event_message(lua_State *L)
{
	struct script_call *run = running_call(L);
	size_t len = 0;
	const char *type = luaL_optlstring(L, 3, NULL, &len);

	luaL_checkany(L, 2);
	if (run->callback == SCRIPT_NONE)
		return luaL_error(L, "nobody follows yet: only the function can send");
	add(L, run->r, 2, type, len);
	return 0;
}

static int
event_terminate(lua_State *L)
{
	running_call(L)->r->ends = true;
	return 0;
}

/* event:after(ms) */
static int
event_after(lua_State *L)
{
	struct script_call *run = running_call(L);
	lua_Number ms = luaL_checknumber(L, 2);

	if (!(ms >= 1 && ms <= 86400000.0))
		return luaL_error(L, "event:after takes 1 to 86400000 milliseconds");
	run->r->after_ms = (uint64_t)ms;
	return 0;
}

static const luaL_Reg event_functions[] = {
    {"message", event_message},
    {"terminate", event_terminate},
    {"after", event_after},
    {NULL, NULL},
};

static int
make_event(lua_State *L)
{
	int *ref = lua_touserdata(L, 1);

	luaL_newlib(L, event_functions);
	*ref = luaL_ref(L, LUA_REGISTRYINDEX);
	return 0;
}

static int
compile(struct script *sc, const char *name, char *why, size_t why_len)
{
	lua_State *L = sandbox_lua(sc->sb);
	char *chunk, *chunk_name = NULL;
	int rc = -ENOMEM;

	if (asprintf(&chunk, ARGUMENTS "%s", sc->text) < 0)
		return -ENOMEM;
	if (asprintf(&chunk_name, "=%s", name) >= 0 &&
	    (rc = sandbox_load(sc->sb, chunk, strlen(chunk), chunk_name, why, why_len)) == 0)
		sc->main = luaL_ref(L, LUA_REGISTRYINDEX);
	free(chunk);
	free(chunk_name);
	return rc;
}

int
script_new(struct script **out, struct sandbox *sb, const char *name, const char *text, char *why,
	   size_t why_len)
{
	const struct template_scope nothing = {0};
	struct script *sc = calloc(1, sizeof(*sc));
	lua_State *L = sandbox_lua(sb);
	int rc = -ENOMEM, callback;
	uint64_t after_ms;

	if (sc == NULL || (sc->text = strdup(text)) == NULL)
		goto fail;
	sc->sb = sb;
	sc->text_use = names_use(text, strlen(text), "text");
	sc->main = sc->event = LUA_NOREF;
	lua_pushcfunction(L, make_event);
	lua_pushlightuserdata(L, &sc->event);
	if ((rc = sandbox_call(sb, &nothing, 1, SANDBOX_SCRIPT_STEPS, why, why_len)) < 0 ||
	    (rc = slips_check(text, true, why, why_len)) < 0 ||
	    (rc = compile(sc, name, why, why_len)) < 0 ||
	    (rc = expression_check_names(text, true, why, why_len)) < 0 ||
	    (rc = script_open(sc, &nothing, &callback, &after_ms, why, why_len)) < 0)
		goto fail;
	script_close(sc, callback);
	*out = sc;
	return 0;
fail:
	script_free(sc);
	return rc;
}

void
script_free(struct script *sc)
{
	if (sc == NULL)
		return;
	if (sc->sb != NULL) {
		luaL_unref(sandbox_lua(sc->sb), LUA_REGISTRYINDEX, sc->main);
		luaL_unref(sandbox_lua(sc->sb), LUA_REGISTRYINDEX, sc->event);
	}
	free(sc->text);
	free(sc);
}

const char *
script_text(const struct script *sc)
{
	return sc->text;
}

bool
script_sees_text(const struct script *sc)
{
	return sc->text_use.is_used && !sc->text_use.is_declared;
}

/* As in expressions, the text is pushed only if the script names it. */
static void
push_text(lua_State *L, const struct script_call *run)
{
	const char *text = NULL;
	size_t len = 0;

	if (run->sc->text_use.is_used && run->scope->msg != NULL)
		text = message_text(run->scope->msg, &len);
	if (text != NULL)
		lua_pushlstring(L, text, len);
	else
		lua_pushnil(L);
}

/* Sets the names that change with each message, for functions that do not get them as arguments. */
static void
set_names(lua_State *L, const struct script_call *run, int channel, int message)
{
	sandbox_push_names(run->sc->sb);
	lua_pushvalue(L, channel);
	lua_setfield(L, -2, "channel");
	lua_pushvalue(L, message);
	lua_setfield(L, -2, "message");
	lua_pushinteger(L, run->scope->now);
	lua_setfield(L, -2, "now");
	if (run->scope->id != NULL)
		lua_pushlstring(L, run->scope->id, run->scope->id_len);
	else
		lua_pushnil(L);
	lua_setfield(L, -2, "id");
	asker_push_user(L, run->scope);
	lua_setfield(L, -2, "user");
	push_text(L, run);
	lua_setfield(L, -2, "text");
	lua_pop(L, 1);
}

static int
open_callback(lua_State *L)
{
	struct script_call *run = lua_touserdata(L, 1);

	lua_pushnil(L);
	lua_pushnil(L);
	set_names(L, run, 2, 3);
	lua_rawgeti(L, LUA_REGISTRYINDEX, run->sc->main);
	lua_newtable(L); /* globals that the feed's run sets; behind them all other names */
	lua_newtable(L);
	sandbox_push_names(run->sc->sb);
	lua_setfield(L, -2, "__index");
	lua_setmetatable(L, -2);
	lua_rawgeti(L, LUA_REGISTRYINDEX, run->sc->event);
	lua_call(L, 2, 1);
	if (!lua_isfunction(L, -1))
		return luaL_error(L,
				  "the file must return function(channel, message, event), "
				  "not a %s",
				  luaL_typename(L, -1));
	run->callback = luaL_ref(L, LUA_REGISTRYINDEX);
	return 0;
}

/* Calls fn under the sandbox's limits; event can be used meanwhile. */
static int
call(struct script_call *run, lua_CFunction fn, char *why, size_t why_len)
{
	lua_State *L = sandbox_lua(run->sc->sb);
	int rc;

	set_running(L, run);
	lua_pushcfunction(L, fn);
	lua_pushlightuserdata(L, run);
	rc = sandbox_call(run->sc->sb, run->scope, 1, SANDBOX_SCRIPT_STEPS, why, why_len);
	set_running(L, NULL);
	return rc;
}

int
script_open(struct script *sc, const struct template_scope *scope, int *callback,
	    uint64_t *after_ms, char *why, size_t why_len)
{
	struct rendering r = {0};
	struct script_call run = {.sc = sc, .callback = SCRIPT_NONE, .scope = scope, .r = &r};
	int rc = call(&run, open_callback, why, why_len);

	*callback = run.callback;
	*after_ms = rc == 0 ? r.after_ms : 0;
	return rc;
}

void
script_close(struct script *sc, int callback)
{
	luaL_unref(sandbox_lua(sc->sb), LUA_REGISTRYINDEX, callback);
}

static int
call_callback(lua_State *L)
{
	struct script_call *run = lua_touserdata(L, 1);
	const struct template_scope *scope = run->scope;

	lua_rawgeti(L, LUA_REGISTRYINDEX, run->callback);
	if (scope->msg != NULL) {
		lua_pushlstring(L, scope->channel, scope->channel_len);
		values_push_message(L, scope->msg, values_push_copy);
	} else {
		lua_pushnil(L);
		lua_pushnil(L);
	}
	set_names(L, run, 3, 4);
	lua_rawgeti(L, LUA_REGISTRYINDEX, run->sc->event);
	lua_call(L, 3, 1);
	if (lua_isboolean(L, -1) && !lua_toboolean(L, -1))
		run->r->ends = true;
	else if (!lua_isnil(L, -1))
		add(L, run->r, -1, NULL, 0);
	return 0;
}

int
script_run(struct script *sc, int callback, const struct template_scope *scope, struct rendering *r,
	   char *why, size_t why_len)
{
	struct script_call run = {.sc = sc, .callback = callback, .scope = scope, .r = r};
	int rc = call(&run, call_callback, why, why_len);
	uint64_t after_ms = r->after_ms;

	if (rc < 0) {
		rendering_clear(r);
		r->after_ms = after_ms; /* the script may rely on it */
	}
	return rc;
}
