#ifndef SLUICE_LOGIC_SANDBOX_H
#define SLUICE_LOGIC_SANDBOX_H

/*
 * sandbox - a Lua state in which a text from the configuration can do no harm: it has few names,
 * and limits on steps, memory and processor time. Each route has one, so that what its script keeps
 * or breaks concerns that route alone.
 * Source: Lua 5.4 Reference Manual, 4 "The Application Program Interface".
 */
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "logic/template.h"

struct sandbox;

enum {
	SANDBOX_EXPRESSION_STEPS = 100000, /* instructions of the virtual machine in one call */
	SANDBOX_SCRIPT_STEPS = 1000000
};

/* sandbox_new - open makes the names that texts may use the state's globals; it may raise a Lua
 * error. Returns 0, -ENOMEM. */
int sandbox_new(struct sandbox **out, void (*open)(lua_State *L));
void sandbox_free(struct sandbox *sb); /* takes NULL */
lua_State *sandbox_lua(struct sandbox *sb);
struct sandbox *sandbox_of(lua_State *L);

/*
 * sandbox_push_names - pushes the table of the names that texts may use, which is the _ENV of what
 * is loaded.
 */
void sandbox_push_names(struct sandbox *sb);

/*
 * sandbox_load - push the function that the text is; errors name it as name does (lua_load()).
 * Returns 0; or -EINVAL with why, and pushes nothing.
 */
int sandbox_load(struct sandbox *sb, const char *text, size_t len, const char *name, char *why,
		 size_t why_len);

/*
 * sandbox_call - calls the function that stands below its n_args arguments; scope is what it looks
 * at. Takes all of them off the stack, and drops results.
 *
 * A stopped call costs its route: if stopped calls took more than 20 ms within a second, each is
 * followed by a pause of four times its length, in which calls are refused. Returns 0; or -EINVAL
 * with why.
 */
int sandbox_call(struct sandbox *sb, const struct template_scope *scope, int n_args,
		 uint64_t max_steps, char *why, size_t why_len);

/*
 * sandbox_is_paused - would a call be refused now? A call that failed says nothing about its text
 * then.
 */
bool sandbox_is_paused(const struct sandbox *sb);

/*
 * sandbox_may_tell - may a failed call be told in the log? Once a minute for each sandbox, so what
 * fails on one route does not hide what fails on another.
 */
bool sandbox_may_tell(struct sandbox *sb);

/*
 * sandbox_is_full - was the last call stopped because what is kept between calls takes the memory?
 * Every other call would be stopped as well, until some of that is freed.
 */
bool sandbox_is_full(const struct sandbox *sb);

/*
 * sandbox_is_crowded - is so much kept that no call has its full share of memory? Collects the
 * garbage first.
 */
bool sandbox_is_crowded(struct sandbox *sb);

/* During a call: what it looks at; and the call's number, for what must not outlive it. */
const struct template_scope *sandbox_scope(const struct sandbox *sb);
uint64_t sandbox_turn(const struct sandbox *sb);

/* sandbox_charge - a C function is about to do n steps of work. Raises a Lua error past the limit.
 */
void sandbox_charge(lua_State *L, uint64_t n);

#endif
