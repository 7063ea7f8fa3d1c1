#ifndef SLUICE_ROUTE_DOCTORING_H
#define SLUICE_ROUTE_DOCTORING_H

/*
 * doctoring - what "sluice doctor" asks for through the real web server: events at known times, of
 * no route and no channel, at a path that exists only while its key stands in Redis.
 *
 * The path is anything that ends in "/.doctor/" and a key; whatever stands before it is told, for
 * what the web server makes of the base is one of the questions. Without the key in Redis it is a
 * path like any other.
 */
#include <uv.h>

#include "route/serving.h"

/* The key is so many digits of lower-case hexadecimal; in Redis it stands behind this. */
#define DOCTORING_KEY    "sluice:doctor:"
#define DOCTORING_PATH   "/.doctor/"
#define DOCTORING_SUFFIX ":left" /* where it stands when, in Unix ms, the client was found gone */
enum { DOCTORING_DIGITS = 32, DOCTORING_EVENTS_MAX = 1000, DOCTORING_EVERY_MAX_MS = 600000 };

struct doctoring;

int doctoring_new(struct doctoring **out, struct hub *hub, uv_loop_t *loop); /* 0, -ENOMEM */

/*
 * doctoring_serve - is the request, of which nothing was read yet, for the doctor? Then it is
 * served, or will be served again from the beginning once Redis has said whether the key is there.
 */
bool doctoring_serve(struct doctoring *doctoring, struct serving *sv, const struct params *vars);

/* doctoring_close - no stream of it goes on; on_closed when it is freed. */
void doctoring_close(struct doctoring *doctoring, void (*on_closed)(void *arg), void *arg);

#endif
