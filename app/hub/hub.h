#ifndef SLUICE_HUB_HUB_H
#define SLUICE_HUB_HUB_H

/*
 * hub - leads from a channel or pattern to the feeds that follow it, and has the turn's end, at
 * which each subscriber with something to send is written once.
 */
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "hub/feed.h"
#include "redis/pubsub.h"

struct hub;

/* hub_new - tp is borrowed for its life. Returns 0, -ENOMEM or what libuv said. */
int hub_new(struct hub **out, uv_loop_t *loop, struct topology *tp);

/*
 * hub_set_redis - subscribes to everything anew, on this server. Errors as hub_new(); then the old
 * link stays.
 */
int hub_set_redis(struct hub *hub, struct topology *tp);

/*
 * hub_set_command - the link on which feeds ask Redis; borrowed until another one is set. NULL:
 * there is none.
 */
struct command;
void hub_set_command(struct hub *hub, struct command *command);
struct command *hub_command(const struct hub *hub);
const char *hub_prefix(const struct hub *hub);                 /* put before channels and keys */
const struct redis_settings *hub_redis(const struct hub *hub); /* until it is set anew */

/*
 * hub_drain - ends every subscriber with END_DRAIN, spread evenly over ms; subscribers that join
 * meanwhile, too. is_succeeded: another program serves already, so clients may come back as soon as
 * usual. Otherwise they come back when this program has ended.
 */
void hub_drain(struct hub *hub, uint64_t ms, bool is_succeeded);

/*
 * hub_return_ms - when a client that is sent away now is to come back: usual_ms. During a drain it
 * is the rest of the drain, and a random part of its length, so that not all come at once.
 */
unsigned hub_return_ms(const struct hub *hub, unsigned usual_ms);

/*
 * shed.c: hub_shed - ends the clients with the most unsent bytes, with END_SLOW, until about this
 * many bytes are free. Returns how many clients.
 */
size_t hub_shed(struct hub *hub, size_t bytes);

/*
 * hub_refuse_new - from now on new streams end at once with END_SLOW, because there is no memory
 * for them; or, with false, no more.
 */
void hub_refuse_new(struct hub *hub, bool is_full);

/*
 * hub_takes_streams - false: it drains, or there is no memory. A new stream would end at once, with
 * the reason *why.
 */
bool hub_takes_streams(const struct hub *hub, enum end_reason *why);

/* hub_count_lags - writes into each route's tally by how much its slowest client lags. */
void hub_count_lags(struct hub *hub);

/*
 * hub_notice - calls fn for each message on the channel, without a feed. name NULL: no longer.
 * There can be one such channel. Returns 0, -ENOMEM.
 */
typedef void (*hub_notice_fn)(void *arg, const char *data, size_t len);
int hub_notice(struct hub *hub, const char *name, hub_notice_fn fn, void *arg);

/*
 * hub_on_event - calls fn for each event that is sent to all of a feed. route is the route's name.
 */
typedef void (*hub_event_fn)(const char *route, const struct event *ev);
void hub_on_event(struct hub *hub, hub_event_fn fn);

bool hub_redis_is_up(const struct hub *hub);
size_t hub_n_subscribers(const struct hub *hub);

/* hub_free - all classes must be closed before. Takes NULL. */
void hub_free(struct hub *hub);

#endif
