#ifndef SLUICE_HUB_QUEUE_H
#define SLUICE_HUB_QUEUE_H

/*
 * queue - the feed of a consumer group: each entry of its stream goes to one of its subscribers.
 *
 * The worker is one consumer of the group for each such feed. It asks for as many entries as it has
 * subscribers that can take one, whenever the stream has grown, so that the shares of all workers
 * are as fair as the numbers of their subscribers. An entry stays the group's until it is
 * acknowledged: one that was not, for claim_after, is given to another subscriber of any worker.
 */
#include <stdbool.h>

#include "hub/own.h"
#include "hub/subscriber.h"

struct feed;
struct message;

/* queue_begin - fd follows its one stream by now. Returns 0; HTTP_INTERNAL_ERROR, -ENOMEM, what
 * libuv said. */
int queue_begin(struct feed *fd);
void queue_end(struct feed *fd); /* the feed ends */

/* Of any feed: is it a queue? */
bool queue_is(const struct feed *fd);
bool queue_is_ready(const struct feed *fd); /* its group is there; of any other feed: yes */

/* queue_is_auto - of its handler's keys: does what was written count as had? Else a client says so.
 */
bool queue_is_auto(const struct own_keys *keys);

void queue_joined(struct feed *fd, struct subscriber *sub); /* it is open */
void queue_left(struct feed *fd, struct subscriber *sub);
void queue_grew(struct feed *fd);                                /* its stream has */
void queue_acked(struct feed *fd, const struct message *notice); /* somebody acknowledged */

#endif
