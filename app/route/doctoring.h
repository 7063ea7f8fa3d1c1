#ifndef SLUICE_ROUTE_DOCTORING_H
#define SLUICE_ROUTE_DOCTORING_H

/*
 * doctoring - what "sluice doctor" asks for through the real web server: events at known times.
 * They belong to no route and no channel; their path exists only while its key stands in Redis. The
 * path is anything that ends in "/.doctor/" and a key. What stands before that is reported, because
 * the doctor wants to know what the web server makes of the base. Without the key in Redis it is a
 * path like any other.
 */
#include <uv.h>

#include "route/serving.h"

/* A key is this many lower-case hexadecimal digits; its name in Redis begins with this. */
#define DOCTORING_KEY    "sluice:doctor:"
#define DOCTORING_PATH   "/.doctor/"
#define DOCTORING_SUFFIX ":left" /* the key that has when the client was found gone, in Unix ms */
enum { DOCTORING_DIGITS = 32, DOCTORING_EVENTS_MAX = 1000, DOCTORING_EVERY_MAX_MS = 600000 };

struct doctoring;

int doctoring_new(struct doctoring **out, struct hub *hub, uv_loop_t *loop); /* 0, -ENOMEM */

/*
 * doctoring_serve - is the request, of which nothing was read yet, the doctor's? Then it is served
 * now, or served again from the beginning when Redis has said whether the key is there.
 */
bool doctoring_serve(struct doctoring *doctoring, struct serving *sv, const struct params *vars);

/* doctoring_close - ends all of its streams; on_closed is called when it is freed. */
void doctoring_close(struct doctoring *doctoring, void (*on_closed)(void *arg), void *arg);

#endif
