#ifndef SLUICE_REDIS_SENT_H
#define SLUICE_REDIS_SENT_H

/*
 * sent - the commands of an ear that are not answered yet, in queues: Redis answers in order, and
 * messages may come in between.
 *
 * A queue is a buffer of struct sent, the oldest first. The commands are no allocations of their
 * own: ten thousand that are freed between what stays would leave as many holes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "redis/pubsub.h"

enum sent_kind { SENT_SUBSCRIBE, SENT_UNSUBSCRIBE, SENT_PING };

struct sent {
	struct pubsub_subject *subject; /* for SUBSCRIBE; NULL: it was unsubscribed since */
	char *name;                     /* for UNSUBSCRIBE, whose subject is gone */
	uint32_t len;
	unsigned char kind; /* enum sent_kind */
	unsigned char verb; /* enum ear_verb */
	bool was_refused;
};

/* sent_init - subject NULL: for PING. The name is copied. Returns 0, -ENOMEM. */
int sent_init(struct sent *sent, enum sent_kind kind, struct pubsub_subject *subject);
void sent_fini(struct sent *sent); /* its subject is not awaited any more */

/* sent_keep - takes sent, as the newest. Returns 0; or < 0, and then sent is over. */
int sent_keep(struct buf *queue, struct sent *sent);
struct sent *sent_oldest(const struct buf *queue); /* NULL: there is none */
struct sent sent_take_oldest(struct buf *queue);   /* there is one */
void sent_forget_all(struct buf *queue);

/*
 * sent_forget_subject - the subject is unsubscribed. The queue is searched: that happens seldom
 * before the answer has come, so no subject knows its place. Returns whether it stood there.
 */
bool sent_forget_subject(struct buf *queue, const struct pubsub_subject *subject);

static inline size_t
sent_count(const struct buf *queue)
{
	return queue->len / sizeof(struct sent);
}

#endif
