#include "logic/stages.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/counters.h"
#include "logic/message.h"

enum { WHY_LEN = 512, LOG_PAUSE_MS = 60000, AGAIN_MS = 1000 };

void
stages_fini(struct stages *st)
{
	expression_free(st->filter);
	expression_free(st->transform);
	expression_free(st->until);
	script_free(st->script);
	shape_fini(&st->shape);
	sandbox_free(st->sandbox);
	memset(st, 0, sizeof(*st));
}

bool
stages_is_empty(const struct stages *st)
{
	return st->filter == NULL && st->transform == NULL && st->until == NULL &&
	       st->script == NULL && shape_is_empty(&st->shape);
}

/*
 * Is a message that is not JSON of no use to them? They take one if all that they name of it is
 * `text`. A script has message among its parameters: of it counts that it names text.
 */
static bool
need_json(const struct stages *st)
{
	const struct expression *all[] = {st->filter, st->transform, st->until};
	bool sees_text = st->script != NULL && script_sees_text(st->script);
	bool sees_message =
	    !shape_is_empty(&st->shape) || (st->script != NULL && !script_sees_text(st->script));

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		sees_text = sees_text || (all[i] != NULL && expression_sees_text(all[i]));
		sees_message = sees_message || (all[i] != NULL && expression_sees_message(all[i]));
	}
	return sees_message || (!sees_text && !stages_is_empty(st));
}

static void
fail(struct stages *st, const char *stage, const char *why)
{
	counters_add_of(st->counted, COUNTER_FAILED, 1);
	if (!logger_may(&st->pause, clock_ms(), LOG_PAUSE_MS))
		return;
	if (st->pause.n_reported > 0)
		logger_warn("[route %s] %s: %s (%u more since the last report)", st->route, stage,
			    why, st->pause.n_reported);
	else
		logger_warn("[route %s] %s: %s", st->route, stage, why);
}

/* An expression that fails on a message counts as not true. */
static bool
is_true(struct stages *st, const char *stage, struct expression *ex,
	const struct template_scope *scope)
{
	char why[WHY_LEN];
	bool result;

	if (expression_is_true(ex, scope, &result, why, sizeof(why)) < 0) {
		fail(st, stage, why);
		st->has_failed = st->has_failed || sandbox_is_paused(st->sandbox);
	}
	return result;
}

static enum stages_result
run_script(struct stages *st, int callback, const struct template_scope *scope, struct rendering *r)
{
	char why[WHY_LEN];

	if (callback == SCRIPT_NONE) {
		st->has_failed = true;
		return STAGES_NOTHING;
	}
	if (script_run(st->script, callback, scope, r, why, sizeof(why)) < 0) {
		st->has_failed = true;
		st->is_full = sandbox_is_full(st->sandbox);
		fail(st, "script", why);
		/* A timer that fails once must not be the last: the script waits for it. */
		if (scope->msg == NULL && r->after_ms == 0)
			r->after_ms = AGAIN_MS;
		return STAGES_NOTHING;
	}
	return r->n > 0 ? STAGES_RENDERED : STAGES_NOTHING;
}

static enum stages_result
run_transform(struct stages *st, const struct template_scope *scope, struct rendering *r)
{
	char why[WHY_LEN];
	bool is_some;

	if (expression_render(st->transform, scope, &r->bytes, &is_some, why, sizeof(why)) < 0) {
		fail(st, "transform", why);
		st->has_failed = true;
		return STAGES_NOTHING;
	}
	if (!is_some)
		return STAGES_NOTHING;
	if (rendering_add(r, 0, NULL, 0) == 0)
		return STAGES_RENDERED;
	counters_add_of(st->counted, COUNTER_DROPPED_MEMORY, 1);
	st->has_failed = true;
	return STAGES_NOTHING;
}

static enum stages_result
run_shape(struct stages *st, const struct template_scope *scope, struct rendering *r)
{
	int rc = shape_render(&st->shape, scope, &r->bytes);

	if (rc == 0 && rendering_add(r, 0, NULL, 0) == 0)
		return STAGES_RENDERED;
	if (rc == -EINVAL || rc == -ENOENT)
		fail(st, "fields",
		     rc == -EINVAL ? "the message is no object"
				   : "a field that add names is not there");
	else
		counters_add_of(st->counted, COUNTER_DROPPED_MEMORY, 1);
	st->has_failed = true;
	return STAGES_NOTHING;
}

static enum stages_result
render(struct stages *st, int callback, const struct template_scope *scope, struct rendering *r)
{
	if (st->script != NULL)
		return run_script(st, callback, scope, r);
	if (st->transform != NULL)
		return run_transform(st, scope, r);
	if (!shape_is_empty(&st->shape))
		return run_shape(st, scope, r);
	return STAGES_AS_IS;
}

enum stages_result
stages_run(struct stages *st, int callback, const struct template_scope *scope, struct rendering *r)
{
	enum stages_result result;

	rendering_clear(r);
	st->has_failed = st->is_full = false;
	if (scope->msg == NULL)
		return st->script != NULL ? run_script(st, callback, scope, r) : STAGES_NOTHING;
	if (need_json(st) && !message_is_json(scope->msg)) {
		counters_add_of(st->counted, COUNTER_DROPPED_INVALID, 1);
		return STAGES_NOTHING;
	}
	if (st->filter != NULL && !is_true(st, "filter", st->filter, scope)) {
		counters_add_of(st->counted, COUNTER_FILTERED, 1);
		return STAGES_NOTHING;
	}
	result = render(st, callback, scope, r);
	if (st->until != NULL && is_true(st, "until", st->until, scope))
		r->ends = true;
	return result;
}

bool
stages_ends_with(struct stages *st, const struct template_scope *scope)
{
	return st->until != NULL && is_true(st, "until", st->until, scope);
}

int
stages_open(struct stages *st, const struct template_scope *scope, uint64_t *after_ms)
{
	char why[WHY_LEN];
	int callback = SCRIPT_NONE;

	*after_ms = 0;
	if (st->script != NULL &&
	    script_open(st->script, scope, &callback, after_ms, why, sizeof(why)) < 0)
		fail(st, "script", why);
	return callback;
}

void
stages_close(struct stages *st, int callback)
{
	if (st->script != NULL)
		script_close(st->script, callback);
}
