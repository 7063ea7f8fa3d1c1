#ifndef SLUICE_HUB_KEYSPACE_H
#define SLUICE_HUB_KEYSPACE_H

/*
 * keyspace - what became of keys, told to feeds; and, where the route wants it, what the keys hold
 * since.
 *
 * A key is read once for all feeds of a worker that were told of it, behind the last of the changes
 * that were told until then. So a value is never older than its change, though it may be newer; and
 * a key that changes while it is read is read once more, however often it does. A feed's events
 * keep the order in which Redis told of them: one whose value has come waits for those before it.
 */
#include <uv.h>

#include "base/closing.h"
#include "base/list.h"
#include "base/map.h"

struct feed;
struct hub;
struct message;

/* A part of the hub. */
struct keyspace {
	struct map readings;
	struct list due;    /* readings to be asked at the turn's end */
	struct list failed; /* and those that are asked again, soon */
	size_t n_waiting;   /* operations */
	uv_timer_t soon, again;
};

void keyspace_init(struct keyspace *ks, struct hub *hub);
void keyspace_close(struct keyspace *ks, struct closing *closing); /* no feed is left */

/* keyspace_told - msg is what Redis told of a key: its channel is the key, its data the operation.
 */
void keyspace_told(struct feed *fd, const struct message *msg);
void keyspace_forget(struct feed *fd); /* it ends */

#endif
