#ifndef SLUICE_LOGIC_MESSAGE_H
#define SLUICE_LOGIC_MESSAGE_H

/*
 * message - what arrived from Redis, unchanged, and its JSON if somebody looks.
 *
 * The bytes are borrowed from the reply that brought them: a message lives on the
 * stack of the turn that delivers it.
 */
#include <stdbool.h>
#include <stddef.h>

#include <sluice/handler.h>

struct message {
	const char *channel;
	size_t channel_len;
	const char *data;
	size_t data_len;
	struct json_object *json; /* owned; NULL until message_json() was called */
	bool is_parsed;
};

void message_init(struct message *msg, const char *channel, size_t channel_len, const char *data,
		  size_t data_len);
void message_fini(struct message *msg);

#endif
