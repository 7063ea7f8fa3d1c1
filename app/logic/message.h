#ifndef SLUICE_LOGIC_MESSAGE_H
#define SLUICE_LOGIC_MESSAGE_H

/*
 * message - what arrived from Redis, unchanged, and its JSON if somebody looks.
 *
 * The bytes are borrowed from the reply that brought them: a message lives on the
 * stack of the turn that delivers it. Each feed gets a message of its own, which
 * shares the bytes and the parsed JSON of the one that arrived, and which a
 * handler may replace without the other feeds' seeing it.
 */
#include <stdbool.h>
#include <stddef.h>

#include <sluice/handler.h>

/* Longer ones are not looked into: parsing them would take others' time. */
enum { MESSAGE_JSON_MAX = 1024 * 1024 };

struct message {
	struct message *arrived; /* itself, or whose bytes and JSON it shares */
	const char *channel;
	size_t channel_len;
	const char *data;
	size_t data_len;
	const char *text; /* what "text" is in expressions; NULL: the data */
	size_t text_len;
	const char *id; /* the entry ID; NULL: the source has none */
	size_t id_len;
	struct json_object *json; /* of the arrived one; owned; NULL until it was looked at */
	bool is_parsed, is_json;
	struct json_object *replacement; /* what a handler made of it; owned */
	bool is_replaced;
	char *event; /* the name that a handler gave the event; owned; NULL: none */
};

void message_init(struct message *msg, const char *channel, size_t channel_len, const char *data,
		  size_t data_len);
void message_fini(struct message *msg);

/*
 * message_set_event_bytes - a name as it came. One that holds a NUL cannot be sent, and must not be
 * taken for what stands before it: it gets a line end there, for which it is refused.
 */
void message_set_event_bytes(struct message *msg, const char *name, size_t len);

/* message_text - what "text" is in expressions, templates and scripts. */
const char *message_text(const struct message *msg, size_t *len);

/* message_share - msg shares what arrived, which must live longer. */
void message_share(struct message *msg, struct message *arrived);

/* message_has_unique_names - of a message that is JSON, as it arrived: does each name stand once in
 * its object? Readers differ about which of two counts. */
bool message_has_unique_names(struct message *msg);

/* message_is_json - JSON's null is JSON, too, though message_json() gives NULL for it. */
bool message_is_json(struct message *msg);

#endif
