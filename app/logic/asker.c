#include "logic/asker.h"

#include <json-c/json.h>
#include <lauxlib.h>

#include "logic/sandbox.h"
#include "logic/values.h"
#include "logic/values_tag.h"

static int
params_index(lua_State *L)
{
	const struct template_scope *scope = sandbox_scope(sandbox_of(L));
	const char *name = luaL_checkstring(L, 2);
	const struct template_value *v = scope != NULL ? scope->params : NULL;

	if (*name == '?' || (name = template_find(v, name)) == NULL)
		return 0;
	lua_pushstring(L, name);
	return 1;
}

static int
params_newindex(lua_State *L)
{
	return luaL_error(L, "parameters cannot be changed");
}

static int
params_pairs(lua_State *L)
{
	const struct template_scope *scope = sandbox_scope(sandbox_of(L));
	const struct template_value *v = scope != NULL ? scope->params : NULL;

	lua_pushcfunction(L, values_next);
	lua_newtable(L);
	for (; v != NULL && v->name != NULL; v++) {
		if (*v->name == '?')
			continue; /* the user and the claims are no parameters */
		lua_pushstring(L, v->value);
		lua_setfield(L, -2, v->name);
	}
	return 2;
}

void
asker_push_user(lua_State *L, const struct template_scope *scope)
{
	const char *user = template_find(scope->params, TEMPLATE_USER);

	if (user != NULL && *user != '\0')
		lua_pushstring(L, user);
	else
		lua_pushnil(L);
}

/* A userdata, so that the JSON is freed even if the copying raises an error. */
struct claims {
	struct json_object *json;
};

static int
free_claims(lua_State *L)
{
	json_object_put(((struct claims *)lua_touserdata(L, 1))->json);
	return 0;
}

/* Pushes the claims as a table, or nil. */
static void
push_claims(lua_State *L, const char *text)
{
	struct claims *claims;

	if (text == NULL) {
		lua_pushnil(L);
		return;
	}
	claims = lua_newuserdatauv(L, sizeof(*claims), 0);
	claims->json = NULL;
	lua_newtable(L);
	lua_pushcfunction(L, free_claims);
	lua_setfield(L, -2, "__gc");
	lua_setmetatable(L, -2);
	claims->json = json_tokener_parse(text);
	values_push_copy(L, claims->json);
	lua_remove(L, -2);
}

static int
claims_index(lua_State *L)
{
	const struct template_scope *scope = sandbox_scope(sandbox_of(L));
	const struct template_value *params = scope != NULL ? scope->params : NULL;
	const char *name = luaL_checkstring(L, 2), *text;

	lua_pushfstring(L, TEMPLATE_CLAIMS ".%s", name);
	if ((text = template_find(params, lua_tostring(L, -1))) != NULL) {
		push_claims(L, text);
		return 1;
	}
	push_claims(L, template_find(params, TEMPLATE_CLAIMS));
	if (!lua_istable(L, -1))
		return 0;
	lua_pushvalue(L, 2);
	lua_gettable(L, -2);
	return 1;
}

static int
claims_newindex(lua_State *L)
{
	return luaL_error(L, "claims cannot be changed");
}

static int
claims_pairs(lua_State *L)
{
	const struct template_scope *scope = sandbox_scope(sandbox_of(L));

	lua_pushcfunction(L, values_next);
	push_claims(L, scope != NULL ? template_find(scope->params, TEMPLATE_CLAIMS) : NULL);
	if (!lua_istable(L, -1))
		lua_newtable(L);
	return 2;
}

static const luaL_Reg params_functions[] = {
    {"__index", params_index},
    {"__newindex", params_newindex},
    {"__pairs", params_pairs},
    {NULL, NULL},
};
static const luaL_Reg claims_functions[] = {
    {"__index", claims_index},
    {"__newindex", claims_newindex},
    {"__pairs", claims_pairs},
    {NULL, NULL},
};
/* An empty userdata whose metatable answers for everything. */
static void
push_view(lua_State *L, enum values_tag tag)
{
	enum values_tag *p = lua_newuserdatauv(L, sizeof(*p), 0);

	*p = tag;
	values_tag_set(L, tag);
}

void
asker_open(lua_State *L)
{
	values_tag_add(L, TAG_PARAMS, "params", params_functions);
	values_tag_add(L, TAG_CLAIMS, "claims", claims_functions);
	lua_pop(L, 2);
	push_view(L, TAG_PARAMS);
	lua_setfield(L, -2, "params");
	push_view(L, TAG_CLAIMS);
	lua_setfield(L, -2, "claims");
}
