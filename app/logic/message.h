#ifndef SLUICE_LOGIC_MESSAGE_H
#define SLUICE_LOGIC_MESSAGE_H

/*
 * message - what arrived from Redis, unchanged, and its JSON if somebody needs it.
 *
 * The bytes are borrowed from the reply that brought them: a message lives on the stack of the call
 * that delivers it. Each feed gets a message of its own, which shares the bytes and the parsed JSON
 * with the one that arrived. A handler may replace it, and other feeds do not see that.
 */
#include <stdbool.h>
#include <stddef.h>

#include <sluice/handler.h>

/* Longer messages are not parsed, because that would delay everybody else. */
enum { MESSAGE_JSON_MAX = 1024 * 1024 };

struct message {
	struct message *arrived; /* the message that arrived, with which this one shares bytes and
				    JSON; may be itself */
	const char *channel;
	size_t channel_len;
	const char *data;
	size_t data_len;
	const char *text; /* what "text" means in expressions; NULL: the data */
	size_t text_len;
	const char *id; /* the entry ID; NULL: the source has none */
	size_t id_len;
	struct json_object *json; /* of the message that arrived; owned; NULL until it was parsed */
	bool is_parsed, is_json;
	struct json_object *replacement; /* what a handler made of it; owned */
	bool is_replaced;
	char *event; /* the name that a handler gave the event; owned; NULL: none */
};

void message_init(struct message *msg, const char *channel, size_t channel_len, const char *data,
		  size_t data_len);
void message_fini(struct message *msg);

/*
 * message_set_event_bytes - the event's name as it came. A name that holds a NUL cannot be sent,
 * and must not be cut off there: it gets a line end in place of the NUL, for which it is refused.
 */
void message_set_event_bytes(struct message *msg, const char *name, size_t len);

/* message_text - what "text" means in expressions, templates and scripts. */
const char *message_text(const struct message *msg, size_t *len);

/* message_share - msg shares what arrived, which must live longer than msg. */
void message_share(struct message *msg, struct message *arrived);

/*
 * message_has_unique_names - of a message that is JSON: is no name repeated within an object?
 * Readers disagree about which of two values counts.
 */
bool message_has_unique_names(struct message *msg);

/* message_is_json - true for JSON's null as well, for which message_json() returns NULL. */
bool message_is_json(struct message *msg);

#endif
