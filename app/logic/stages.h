#ifndef SLUICE_LOGIC_STAGES_H
#define SLUICE_LOGIC_STAGES_H

/*
 * stages - what a route's section does to a message: filter, then script, transform or
 * fields, then until. Done once per feed. Rate and batch, which know the time, come after
 * (hub/pace).
 */
#include <stdbool.h>

#include "base/logger.h"
#include "logic/expression.h"
#include "logic/rendering.h"
#include "logic/script.h"
#include "logic/shape.h"

/* All may be NULL or empty. */
struct stages {
	struct sandbox *sandbox;
	struct expression *filter, *transform, *until;
	struct script *script;
	struct shape shape;
	const char *route; /* its name, borrowed, for what is logged */
	unsigned counted;  /* the route's tally (base/counters) */
	struct logger_pause pause;
	unsigned set; /* a bit for each stage that there is, once is_settled */
	bool is_settled, needs_json;
	/* The last run came to no result: what a message that must not be lost waits for. That a
	 * filter fails on a message is a result: it is not true. */
	bool has_failed;
	/* In the last run the script was stopped, for what it keeps leaves it no room: to go on,
	 * what its feeds keep must be let go (stages_close()). */
	bool is_full;
};

void stages_fini(struct stages *st);

bool stages_is_empty(const struct stages *st);

/* stages_name - the n-th of those that the section has, in their order; NULL past the last. */
const char *stages_name(const struct stages *st, size_t n);

enum stages_result {
	STAGES_NOTHING,  /* send nothing; why is counted and, for a failure, logged */
	STAGES_AS_IS,    /* send the message's bytes */
	STAGES_RENDERED, /* send what r holds */
};

/*
 * stages_run - scope is the message's, or has a NULL msg to call the script without one. callback
 * is the feed's, of script_open(). r is cleared first; r->ends holds with each result.
 */
enum stages_result stages_run(struct stages *st, int callback, const struct template_scope *scope,
			      struct rendering *r);

/* stages_ends_with - of a snapshot, which until alone is asked of: is it the last that there is? */
bool stages_ends_with(struct stages *st, const struct template_scope *scope);

/*
 * stages_open - the callback of a new feed; SCRIPT_NONE without a script, or if it fails (logged).
 * *after_ms: when it wants to be called without a message; 0: not.
 */
int stages_open(struct stages *st, const struct template_scope *scope, uint64_t *after_ms);
void stages_close(struct stages *st, int callback);

#endif
