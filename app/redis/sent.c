#include "redis/sent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
sent_init(struct sent *sent, enum sent_kind kind, struct pubsub_subject *subject)
{
	*sent = (struct sent){.kind = (unsigned char)kind};
	if (subject == NULL)
		return 0;
	sent->verb = subject->verb;
	if (kind == SENT_SUBSCRIBE)
		sent->subject = subject;
	if (kind != SENT_UNSUBSCRIBE)
		return 0;
	sent->len = subject->by_name.len;
	sent->name = malloc(sent->len + 1);
	if (sent->name == NULL)
		return -ENOMEM;
	memcpy(sent->name, subject->by_name.key, sent->len);
	return 0;
}

void
sent_fini(struct sent *sent)
{
	if (sent->subject != NULL)
		sent->subject->is_awaited = false;
	free(sent->name);
}

int
sent_keep(struct buf *queue, struct sent *sent)
{
	int rc = buf_put(queue, sent, sizeof(*sent));

	if (rc < 0)
		sent_fini(sent);
	return rc;
}

struct sent *
sent_oldest(const struct buf *queue)
{
	return queue->len > 0 ? (struct sent *)(void *)queue->p : NULL;
}

struct sent
sent_take_oldest(struct buf *queue)
{
	struct sent sent = *sent_oldest(queue);

	buf_consume(queue, sizeof(sent));
	return sent;
}

void
sent_forget_all(struct buf *queue)
{
	while (queue->len > 0) {
		struct sent sent = sent_take_oldest(queue);

		sent_fini(&sent);
	}
}

bool
sent_forget_subject(struct buf *queue, const struct pubsub_subject *subject)
{
	struct sent *sent = sent_oldest(queue);

	for (size_t i = 0; i < sent_count(queue); i++) {
		if (sent[i].subject != subject)
			continue;
		sent[i].subject = NULL;
		return true;
	}
	return false;
}
