#ifndef SLUICE_HUB_HUB_H
#define SLUICE_HUB_HUB_H

/*
 * hub - channel or pattern → the feeds that want it, and the turn's end, at which
 * every subscriber with something to send is written once.
 */
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "hub/feed.h"
#include "redis/pubsub.h"

struct hub;

/* hub_new - tp is borrowed for its life. Returns 0, -ENOMEM or what libuv said. */
int hub_new(struct hub **out, uv_loop_t *loop, struct topology *tp);

/* hub_set_redis - subscribe to all anew, there. Errors as hub_new(); then the old link goes on. */
int hub_set_redis(struct hub *hub, struct topology *tp);

/* hub_set_command - whom feeds ask; borrowed until another is set. NULL: nobody. */
struct command;
void hub_set_command(struct hub *hub, struct command *command);
struct command *hub_command(const struct hub *hub);
const char *hub_prefix(const struct hub *hub);                 /* put before channels and keys */
const struct redis_settings *hub_redis(const struct hub *hub); /* until it is set anew */

/*
 * hub_drain - end every subscriber, spread evenly over ms, with END_DRAIN. Who joins meanwhile is
 * ended in the same way. is_succeeded: another program serves already, and who is ended may come
 * back when he would anyway; else not before this one has gone.
 */
void hub_drain(struct hub *hub, uint64_t ms, bool is_succeeded);
bool hub_is_draining(const struct hub *hub);

/*
 * hub_return_ms - when a client that is sent away now is to come back: usual_ms, but while it
 * drains what is left of that, and a random part of the whole so that not all come at once.
 */
unsigned hub_return_ms(const struct hub *hub, unsigned usual_ms);

/*
 * hub_shed - end those clients for whom most waits, with END_SLOW, until about so many bytes are
 * free. Returns how many.
 */
size_t hub_shed(struct hub *hub, size_t bytes);

/* hub_refuse_new - from now on, or no more, a new stream is one that ends at once, with END_SLOW:
 * there is no room for it. */
void hub_refuse_new(struct hub *hub, bool is_full);
bool hub_is_full(const struct hub *hub);

/* hub_count_lags - by how much the slowest client of each route lags, for its tally. */
void hub_count_lags(struct hub *hub);

/*
 * hub_notice - fn is called for each message on the channel, for no feed; name NULL: for none any
 * more. One channel at a time. Returns 0, -ENOMEM.
 */
typedef void (*hub_notice_fn)(void *arg, const char *data, size_t len);
int hub_notice(struct hub *hub, const char *name, hub_notice_fn fn, void *arg);

/* hub_on_event - fn is told of each event that is sent to all of a feed. route: its name. */
typedef void (*hub_event_fn)(const char *route, const struct event *ev);
void hub_on_event(struct hub *hub, hub_event_fn fn);

bool hub_redis_is_up(const struct hub *hub);
size_t hub_n_subscribers(const struct hub *hub);

/* hub_free - all classes must be closed. Takes NULL. */
void hub_free(struct hub *hub);

#endif
