#ifndef SLUICE_LOGIC_STAGES_H
#define SLUICE_LOGIC_STAGES_H

/*
 * stages - what a route's section does to a message: filter, then script, transform or fields, then
 * until. It is done once per feed. Rate and batch depend on time, and come after it (hub/pace).
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
	const char *route; /* the route's name, borrowed, for the log */
	unsigned counted;  /* the route's tally (base/counters) */
	struct logger_pause pause;
	unsigned set; /* a bit for each stage of the section, if is_settled */
	bool is_settled, needs_json;
	/*
	 * The last run had no result, so a message that must not be lost waits. (A filter that
	 * fails does have a result: it is not true.)
	 */
	bool has_failed;
	/*
	 * In the last run the script was stopped because what it keeps leaves it no memory. Before
	 * it can go on, what its feeds keep must be freed (stages_close()).
	 */
	bool is_full;
};

void stages_fini(struct stages *st);

bool stages_is_empty(const struct stages *st);

/* stages_name - the n-th stage of the section, in their order; NULL past the last. */
const char *stages_name(const struct stages *st, size_t n);

enum stages_result {
	STAGES_NOTHING,  /* send nothing; the reason is counted and, if it is a failure, logged */
	STAGES_AS_IS,    /* send the message's bytes */
	STAGES_RENDERED, /* send what r holds */
};

/*
 * stages_run - runs the stages. scope is the message's; with a NULL msg only the script is called.
 * callback is the feed's, of script_open(). r is cleared first; r->ends is set with every result.
 */
enum stages_result stages_run(struct stages *st, int callback, const struct template_scope *scope,
			      struct rendering *r);

/* stages_ends_with - is a snapshot the last event? Only until is asked. */
bool stages_ends_with(struct stages *st, const struct template_scope *scope);

/*
 * stages_open - the script's callback for a new feed; SCRIPT_NONE if there is no script, or if it
 * fails (which is logged). after_ms: when it wants to be called without a message; 0: not at all.
 */
int stages_open(struct stages *st, const struct template_scope *scope, uint64_t *after_ms);
void stages_close(struct stages *st, int callback);

#endif
