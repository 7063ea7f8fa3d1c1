#include "logic/stages.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/counters.h"
#include "logic/message.h"
#include "logic/stage.h"

enum { WHY_LEN = 512, AGAIN_MS = 1000 };

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

void
stage_failed(struct stages *st, const char *name, const char *why)
{
	counters_add_of(st->counted, COUNTER_FAILED, 1);
	if (!logger_may(&st->pause, clock_ms(), LOGGER_PERIOD_MS))
		return;
	if (st->pause.n_reported > 0)
		logger_warn("[route %s] %s: %s (%u more since the last report)", st->route, name,
			    why, st->pause.n_reported);
	else
		logger_warn("[route %s] %s: %s", st->route, name, why);
}

static unsigned
sees(const struct expression *ex)
{
	return (expression_sees_text(ex) ? SEES_TEXT : 0U) |
	       (expression_sees_message(ex) ? SEES_JSON : 0U);
}

/* An expression that fails on a message counts as not true. */
static bool
is_true(struct stages *st, const char *name, struct expression *ex,
	const struct template_scope *scope)
{
	char why[WHY_LEN];
	bool result;

	if (expression_is_true(ex, scope, &result, why, sizeof(why)) < 0) {
		stage_failed(st, name, why);
		st->has_failed = st->has_failed || sandbox_is_paused(st->sandbox);
	}
	return result;
}

/* The bytes that were made become the event's data, if there is memory. */
static void
put_made(struct stages *st, struct passage *p)
{
	if (rendering_add(p->r, 0, NULL, 0) == 0) {
		p->result = STAGES_RENDERED;
		return;
	}
	counters_add_of(st->counted, COUNTER_DROPPED_MEMORY, 1);
	st->has_failed = true;
}

/* filter */

static bool
has_filter(const struct stages *st)
{
	return st->filter != NULL;
}

static unsigned
filter_sees(const struct stages *st)
{
	return sees(st->filter);
}

static bool
run_filter(struct stages *st, struct passage *p)
{
	if (is_true(st, "filter", st->filter, p->scope))
		return true;
	counters_add_of(st->counted, COUNTER_FILTERED, 1);
	p->result = STAGES_NOTHING;
	return false;
}

/* script */

static bool
has_script(const struct stages *st)
{
	return st->script != NULL;
}

/* message is always one of its parameters, so what counts is whether it names text. */
static unsigned
script_sees(const struct stages *st)
{
	return script_sees_text(st->script) ? SEES_TEXT : SEES_JSON;
}

static bool
run_script(struct stages *st, struct passage *p)
{
	char why[WHY_LEN];

	p->result = STAGES_NOTHING;
	if (p->callback == SCRIPT_NONE) {
		st->has_failed = true;
		return true;
	}
	if (script_run(st->script, p->callback, p->scope, p->r, why, sizeof(why)) < 0) {
		st->has_failed = true;
		st->is_full = sandbox_is_full(st->sandbox);
		stage_failed(st, "script", why);
		/* If a call without a message fails, it is made again: the script waits for it. */
		if (p->scope->msg == NULL && p->r->after_ms == 0)
			p->r->after_ms = AGAIN_MS;
	} else if (p->r->n > 0) {
		p->result = STAGES_RENDERED;
	}
	return true;
}

/* transform */

static bool
has_transform(const struct stages *st)
{
	return st->transform != NULL;
}

static unsigned
transform_sees(const struct stages *st)
{
	return sees(st->transform);
}

static bool
run_transform(struct stages *st, struct passage *p)
{
	char why[WHY_LEN];
	bool is_some;

	p->result = STAGES_NOTHING;
	if (expression_render(st->transform, p->scope, &p->r->bytes, &is_some, why, sizeof(why)) <
	    0) {
		stage_failed(st, "transform", why);
		st->has_failed = true;
	} else if (is_some) {
		put_made(st, p);
	}
	return true;
}

/* fields and add.NAME */

static bool
has_shape(const struct stages *st)
{
	return !shape_is_empty(&st->shape);
}

static unsigned
shape_sees(const struct stages *st)
{
	(void)st;
	return SEES_JSON;
}

static bool
run_shape(struct stages *st, struct passage *p)
{
	int rc = shape_render(&st->shape, p->scope, &p->r->bytes);

	p->result = STAGES_NOTHING;
	if (rc == 0) {
		put_made(st, p);
		return true;
	}
	st->has_failed = true;
	if (rc == -EINVAL || rc == -ENOENT)
		stage_failed(st, "fields",
			     rc == -EINVAL ? "the message is no object"
					   : "a field that add names is not there");
	else
		counters_add_of(st->counted, COUNTER_DROPPED_MEMORY, 1);
	return true;
}

/* until */

static bool
has_until(const struct stages *st)
{
	return st->until != NULL;
}

static unsigned
until_sees(const struct stages *st)
{
	return sees(st->until);
}

static bool
run_until(struct stages *st, struct passage *p)
{
	if (is_true(st, "until", st->until, p->scope))
		p->r->ends = true;
	return true;
}

static const struct stage stage_filter = {"filter", has_filter, filter_sees, run_filter};
static const struct stage stage_script = {"script", has_script, script_sees, run_script};
static const struct stage stage_transform = {"transform", has_transform, transform_sees,
					     run_transform};
static const struct stage stage_fields = {"fields", has_shape, shape_sees, run_shape};
static const struct stage stage_until = {"until", has_until, until_sees, run_until};

/*
 * The stages in their order. If filter drops a message, no other stage runs. A section has one of
 * script, transform and fields. until looks at the message, whatever the others made of it.
 */
static const struct stage *const stages[] = {
    &stage_filter, &stage_script, &stage_transform, &stage_fields, &stage_until,
};

enum { N_STAGES = sizeof(stages) / sizeof(stages[0]) };

const char *
stages_name(const struct stages *st, size_t n)
{
	for (size_t i = 0; i < N_STAGES; i++) {
		if (stages[i]->is_set(st) && n-- == 0)
			return stages[i]->name;
	}
	return NULL;
}

bool
stages_is_empty(const struct stages *st)
{
	return stages_name(st, 0) == NULL;
}

/*
 * Do they have no use for a message that is not JSON? They take one if they only read its text.
 */
static bool
need_json(const struct stages *st)
{
	unsigned all = SEES_NOTHING;

	for (size_t i = 0; i < N_STAGES; i++) {
		if (stages[i]->is_set(st))
			all |= stages[i]->sees(st);
	}
	return all != SEES_TEXT && !stages_is_empty(st);
}

/*
 * Which stages there are, and what they read, is found at the first message: by then the
 * configuration is complete. Most routes have none.
 */
static void
settle(struct stages *st)
{
	for (size_t i = 0; i < N_STAGES; i++)
		st->set |= stages[i]->is_set(st) ? 1U << i : 0;
	st->needs_json = need_json(st);
	st->is_settled = true;
}

enum stages_result
stages_run(struct stages *st, int callback, const struct template_scope *scope, struct rendering *r)
{
	struct passage p = {callback, scope, r, STAGES_AS_IS};

	rendering_clear(r);
	st->has_failed = st->is_full = false;
	if (scope->msg == NULL) { /* only the script is called without a message */
		p.result = STAGES_NOTHING;
		if (st->script != NULL)
			(void)run_script(st, &p);
		return p.result;
	}
	if (!st->is_settled)
		settle(st);
	if (st->needs_json && !message_is_json(scope->msg)) {
		counters_add_of(st->counted, COUNTER_DROPPED_INVALID, 1);
		return STAGES_NOTHING;
	}
	for (size_t i = 0; st->set >> i != 0; i++) {
		if ((st->set >> i & 1) != 0 && !stages[i]->run(st, &p))
			break;
	}
	return p.result;
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
		stage_failed(st, "script", why);
	return callback;
}

void
stages_close(struct stages *st, int callback)
{
	if (st->script != NULL)
		script_close(st->script, callback);
}
