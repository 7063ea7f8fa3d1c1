/*
 * replay_entries.c - copies of the entries that were read of each stream, and which of them comes
 * next.
 */
#include "source/replay_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "logic/entry.h"
#include "redis/stream_entry.h"

void
replay_forget_entries(struct replay_part *part)
{
	for (; part->at < part->n_v; part->at++) {
		free(part->v[part->at].data);
		free(part->v[part->at].event);
	}
	free(part->v);
	part->v = NULL;
	part->n_v = part->at = 0;
}

/* Copies one entry, because the reply is not ours to keep. Returns 0, -ENOMEM. */
static int
keep_entry(struct replay_part *part, const redisReply *reply)
{
	struct replayed *one = &part->v[part->n_v];
	struct stream_entry entry;
	struct entry en;
	int rc;

	if (!stream_entry_parse(&entry, reply) || stream_id_compare(&entry.id, &part->from) <= 0)
		return 0;
	if ((rc = entry_read(&en, "", &entry.id, entry.fields)) < 0)
		return rc == -ENOMEM ? rc : 0;
	*one = (struct replayed){.id = entry.id, .data_len = en.msg.data_len};
	one->data = malloc(one->data_len + 1);
	if (en.msg.event != NULL)
		one->event = strdup(en.msg.event);
	if (one->data != NULL)
		memcpy(one->data, en.msg.data, one->data_len + 1);
	entry_fini(&en);
	if (one->data == NULL) {
		free(one->event);
		return -ENOMEM;
	}
	part->n_v++;
	return 0;
}

void
replay_keep_page(struct replay_part *part, const redisReply *reply, enum past_order order)
{
	size_t i, n = reply->elements;
	int rc = 0;

	replay_forget_entries(part);
	if (n == 0)
		return;
	part->entry_size = stream_entry_bytes(reply) / n + 1;
	if ((part->v = calloc(n, sizeof(*part->v))) == NULL)
		rc = -ENOMEM;
	for (i = 0; i < n && rc == 0; i++)
		rc = keep_entry(part, reply->element[order == PAST_OLDEST_FIRST ? i : n - 1 - i]);
	if (rc < 0)
		part->rp->has_failed = true;
}

bool
replay_keep_back(struct replay_part *part)
{
	struct replayed *last;

	if (part->n_v < 2)
		return false;
	last = &part->v[--part->n_v];
	part->next = last->id;
	free(last->data);
	free(last->event);
	return true;
}

struct replay_part *
replay_next_part(struct replay *rp)
{
	struct replay_part *next = NULL;
	unsigned i;

	for (i = 0; i < rp->n; i++) {
		struct replay_part *part = &rp->parts[i];

		if (part->at == part->n_v && !part->has_reached)
			return NULL;
		if (part->at < part->n_v &&
		    (next == NULL ||
		     stream_id_compare(&part->v[part->at].id, &next->v[next->at].id) < 0))
			next = part;
	}
	return next;
}
