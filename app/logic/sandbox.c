#include "logic/sandbox.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/logger.h"

enum {
	HOOK_STEPS = 256,
	GROWTH_MAX = 16 * 1024 * 1024, /* memory of one call, beyond what the state held before */
	/* memory that one call may ask for in all, even if it frees it */
	CHURN_MAX = 3 * GROWTH_MAX,
	TOTAL_MAX = 4 * GROWTH_MAX,
	/* a state that keeps this much and runs out of memory keeps too much */
	FULL_FROM = GROWTH_MAX / 4,
	CALL_US = 10000, /* processor time of one call */
	/* processor time that may be lost to stopped calls in each SECOND_US; */
	STOPPED_US = 20000,
	/* beyond that, each stopped call is followed by a pause, this many times as long */
	PAUSE_TIMES = 4,
	SECOND_US = 1000000,
};

struct sandbox {
	lua_State *L;
	size_t used, limit;
	size_t churn;
	uint64_t steps_left;
	uint64_t began_us;    /* wall clock time, which is cheaper to read */
	uint64_t cpu_from_us; /* processor time, read only when the call turns out to be long */
	bool is_stopped;      /* the running call went beyond a limit */
	bool is_short;        /* it was memory's */
	bool is_full; /* because of what is kept between calls, and not because of this call */
	uint64_t second_us;  /* the second that is counted */
	uint64_t stopped_us; /* the time that was lost in it */
	uint64_t pause_until_us;
	const struct template_scope *scope;
	uint64_t turn;
	struct logger_pause told;
};

static uint64_t
clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/*
 * If it returns NULL, Lua collects its garbage and asks once more; then it raises "not enough
 * memory".
 */
static void *
allocate(void *ctx, void *p, size_t old, size_t len)
{
	struct sandbox *sb = ctx;
	void *q;

	if (p == NULL)
		old = 0; /* Lua says there what kind of object it is */
	if (len == 0) {
		free(p);
		sb->used -= old;
		return NULL;
	}
	if (len > old) {
		sb->churn += len - old;
		if (sb->used + (len - old) > sb->limit || sb->churn > CHURN_MAX) {
			sb->is_stopped = sb->is_short = true;
			return NULL;
		}
	}
	if ((q = realloc(p, len)) == NULL)
		return len <= old ? p : NULL; /* Lua relies on shrinking */
	sb->used += len - old;
	return q;
}

static int
stop(lua_State *L, const char *why)
{
	sandbox_of(L)->is_stopped = true;
	return luaL_error(L, "%s", why);
}

static void
on_steps(lua_State *L, lua_Debug *ar)
{
	struct sandbox *sb = sandbox_of(L);
	uint64_t now = clock_us(CLOCK_THREAD_CPUTIME_ID);

	(void)ar;
	sandbox_charge(L, HOOK_STEPS);
	if (sb->cpu_from_us == 0)
		sb->cpu_from_us = now;
	else if (now - sb->cpu_from_us > CALL_US)
		stop(L, "it takes too long");
}

void
sandbox_charge(lua_State *L, uint64_t n)
{
	struct sandbox *sb = sandbox_of(L);

	if (n > sb->steps_left)
		stop(L, "it takes too many steps");
	sb->steps_left -= n;
}

struct sandbox *
sandbox_of(lua_State *L)
{
	return *(struct sandbox **)lua_getextraspace(L);
}

lua_State *
sandbox_lua(struct sandbox *sb)
{
	return sb->L;
}

const struct template_scope *
sandbox_scope(const struct sandbox *sb)
{
	return sb->scope;
}

uint64_t
sandbox_turn(const struct sandbox *sb)
{
	return sb->turn;
}

/* An error outside of a call is a fault of ours; Lua would end the process. */
static int
on_panic(lua_State *L)
{
	const char *why = lua_tostring(L, -1);

	fprintf(stderr, "sluice: Lua: %s\n", why != NULL ? why : "error");
	abort();
}

static int
open_names(lua_State *L)
{
	void (**open)(lua_State * L) = lua_touserdata(L, 1);

	(*open)(L);
	return 0;
}

int
sandbox_new(struct sandbox **out, void (*open)(lua_State *L))
{
	struct sandbox *sb = calloc(1, sizeof(*sb));

	if (sb == NULL)
		return -ENOMEM;
	sb->limit = TOTAL_MAX;
	if ((sb->L = lua_newstate(allocate, sb)) == NULL) {
		free(sb);
		return -ENOMEM;
	}
	*(struct sandbox **)lua_getextraspace(sb->L) = sb;
	lua_atpanic(sb->L, on_panic);
	sb->steps_left = UINT64_MAX;
	lua_pushcfunction(sb->L, open_names);
	lua_pushlightuserdata(sb->L, &open);
	if (lua_pcall(sb->L, 1, 0, 0) != LUA_OK) {
		sandbox_free(sb);
		return -ENOMEM;
	}
	lua_sethook(sb->L, on_steps, LUA_MASKCOUNT, HOOK_STEPS);
	*out = sb;
	return 0;
}

void
sandbox_free(struct sandbox *sb)
{
	if (sb == NULL)
		return;
	lua_sethook(sb->L, NULL, 0, 0);
	lua_close(sb->L);
	free(sb);
}

void
sandbox_push_names(struct sandbox *sb)
{
	lua_rawgeti(sb->L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}

/* The budget of what comes next. */
static void
begin(struct sandbox *sb, uint64_t max_steps)
{
	sb->limit = sb->used + GROWTH_MAX < TOTAL_MAX ? sb->used + GROWTH_MAX : TOTAL_MAX;
	sb->churn = 0;
	sb->steps_left = max_steps;
	sb->cpu_from_us = 0;
	sb->is_stopped = sb->is_short = sb->is_full = false;
	sb->turn++;
}

/* Copies the error into why, and takes it off the stack. */
static void
tell(lua_State *L, char *why, size_t why_len)
{
	const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "an error";

	snprintf(why, why_len, "%s", text);
	lua_pop(L, 1);
}

int
sandbox_load(struct sandbox *sb, const char *text, size_t len, const char *name, char *why,
	     size_t why_len)
{
	lua_State *L = sb->L;
	int rc;

	begin(sb, SANDBOX_SCRIPT_STEPS);
	rc = luaL_loadbufferx(L, text, len, name, "t");
	sb->limit = TOTAL_MAX;
	sb->churn = 0;
	if (rc == LUA_OK)
		return 0;
	tell(L, why, why_len);
	return -EINVAL;
}

bool
sandbox_may_tell(struct sandbox *sb)
{
	return logger_may(&sb->told, clock_ms(), LOGGER_PERIOD_MS);
}

bool
sandbox_is_paused(const struct sandbox *sb)
{
	return sb->pause_until_us > 0 && clock_us(CLOCK_MONOTONIC) < sb->pause_until_us;
}

bool
sandbox_is_full(const struct sandbox *sb)
{
	return sb->is_full;
}

bool
sandbox_is_crowded(struct sandbox *sb)
{
	lua_gc(sb->L, LUA_GCCOLLECT);
	return sb->used > TOTAL_MAX - GROWTH_MAX;
}

/*
 * What a stopped call has cost. For a long call it is processor time: on a loaded machine others
 * run meanwhile, and that is not the route's fault.
 */
static uint64_t
cost_us(const struct sandbox *sb, uint64_t now)
{
	if (sb->cpu_from_us != 0)
		return clock_us(CLOCK_THREAD_CPUTIME_ID) - sb->cpu_from_us;
	return now - sb->began_us;
}

static void
pay(struct sandbox *sb)
{
	uint64_t now = clock_us(CLOCK_MONOTONIC), lost = cost_us(sb, now);

	if (now - sb->second_us >= SECOND_US) {
		sb->second_us = now;
		sb->stopped_us = 0;
	}
	sb->stopped_us += lost;
	if (sb->stopped_us > STOPPED_US)
		sb->pause_until_us = now + PAUSE_TIMES * lost;
}

/*
 * What a stopped call held is garbage now. It is collected at once, because the next call may need
 * the memory. A call that found no memory because of what others keep is not charged.
 */
static void
account(struct sandbox *sb)
{
	lua_gc(sb->L, LUA_GCCOLLECT);
	sb->is_full = sb->is_short && sb->used >= FULL_FROM;
	if (!sb->is_full)
		pay(sb);
}

int
sandbox_call(struct sandbox *sb, const struct template_scope *scope, int n_args, uint64_t max_steps,
	     char *why, size_t why_len)
{
	lua_State *L = sb->L;
	int rc;

	if (sandbox_is_paused(sb)) {
		lua_pop(L, n_args + 1);
		snprintf(why, why_len, "not called: it was stopped too often, and pauses");
		return -EINVAL;
	}
	begin(sb, max_steps);
	sb->began_us = clock_us(CLOCK_MONOTONIC);
	sb->scope = scope;
	rc = lua_pcall(L, n_args, 0, 0);
	sb->scope = NULL;
	sb->limit = TOTAL_MAX;
	sb->churn = 0;
	if (rc == LUA_OK)
		return 0;
	tell(L, why, why_len);
	if (rc == LUA_ERRMEM)
		snprintf(why, why_len, "it takes too much memory");
	if (sb->is_stopped)
		account(sb);
	return -EINVAL;
}
