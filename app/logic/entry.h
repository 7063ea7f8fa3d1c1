#ifndef SLUICE_LOGIC_ENTRY_H
#define SLUICE_LOGIC_ENTRY_H

/*
 * entry - a stream's entry as a message: its field "data" is the payload and "event" the event's
 * name. If there is no "data", all its fields become a JSON object.
 */
#include "base/buf.h"
#include "logic/message.h"
#include "redis/stream_id.h"

struct redisReply;

struct entry {
	struct message msg;
	char id[STREAM_ID_TEXT];
	struct buf text; /* of the object */
};

/*
 * entry_read - stream is the key without the prefix; it and the fields are borrowed for the entry's
 * life. Returns 0; -EINVAL if these are no fields, -ENOMEM, -EMSGSIZE: then there is no entry.
 */
int entry_read(struct entry *en, const char *stream, const struct stream_id *id,
	       const struct redisReply *fields);
void entry_fini(struct entry *en);

#endif
