#ifndef SLUICE_SOURCE_QUEUE_H
#define SLUICE_SOURCE_QUEUE_H

/*
 * queue - the feed of a consumer group: each entry of its stream goes to one of its subscribers.
 *
 * The worker is one consumer of the group for each such feed. It asks for as many entries as it has
 * subscribers that can take one, whenever the stream has grown, so that the shares of all workers
 * are as fair as the numbers of their subscribers. An entry stays the group's until it is
 * acknowledged: one that was not, for claim_after, is given to another subscriber of any worker.
 */
#include <stdbool.h>

#include "hub/handler_setting.h"
#include "hub/subscriber.h"

struct feed;

/*
 * queue_begin - fd follows its one stream already. Returns 0; HTTP_INTERNAL_ERROR, -ENOMEM, or what
 * libuv returned.
 */
int queue_begin(struct feed *fd);
void queue_end(struct feed *fd); /* the feed ends */

/*
 * queue_is_auto - by the handler's keys: is an entry done when it has been written? Otherwise a
 * client says so.
 */
bool queue_is_auto(const struct handler_settings *keys);

void queue_joined(struct feed *fd, struct subscriber *sub); /* it is open */
void queue_left(struct feed *fd, struct subscriber *sub);
void queue_flushed(struct feed *fd, struct subscriber *sub);

#endif
