/*
 * fuzz_json.c - what json_text_check() takes for JSON json-c parses, and what is made of it again
 * is JSON; messages of any bytes harm nothing.
 */
#include <json-c/json.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "logic/message.h"
#include "sse/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static void
check_copy(struct message *arrived)
{
	struct message msg;
	const char *text;
	size_t len;

	message_share(&msg, arrived);
	if (message_replace(&msg, message_copy(&msg)) == KEEP) {
		text = message_bytes(&msg, &len);
		must(json_text_check(text, len, NULL));
	}
	message_fini(&msg);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct message msg;
	bool is_json;

	must(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	is_json = json_text_check(text, size, NULL);
	message_init(&msg, "c", 1, text, size);
	/* json-c refuses what is not UTF-8, which json_text_check() does not look at. */
	if (utf8_valid_len(text, size) == size)
		must(message_is_json(&msg) == (is_json && size <= MESSAGE_JSON_MAX));
	else
		must(!message_is_json(&msg) || is_json);
	check_copy(&msg);
	message_fini(&msg);
	free(text);
	return 0;
}
