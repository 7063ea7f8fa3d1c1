/*
 * poll.c - asks Redis the route's command every so often, once for all subscribers of a feed, and
 * sends the answer when it has changed.
 *
 * With a script and no command, the script is the source: it is called every so often without a
 * message, and what it returns is sent when it has changed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/handler.h>

/* Redis may be away when the feed begins: then it asks again soon, whatever the interval is. */
enum { FIRST_MS = 1, AGAIN_MS = 500 };

struct poll {
	char *answer; /* the last */
	size_t len;
	bool is_asking;
};

/* Does the answer differ from the last one? It becomes the last one. */
static bool
is_news(struct poll *poll, const char *bytes, size_t len)
{
	char *copy;

	if (poll->answer != NULL && poll->len == len && memcmp(poll->answer, bytes, len) == 0)
		return false;
	if ((copy = malloc(len + 1)) == NULL)
		return true;
	memcpy(copy, bytes, len);
	free(poll->answer);
	poll->answer = copy;
	poll->len = len;
	return true;
}

static void
poll_answer(struct feed *feed, struct message *reply)
{
	struct poll *poll = feed_data(feed);
	const char *bytes;
	size_t len;

	poll->is_asking = false;
	if (reply == NULL) {
		if (feed_interval_ms(feed) > AGAIN_MS)
			feed_timer(feed, AGAIN_MS);
		return;
	}
	if ((bytes = message_bytes(reply, &len)) == NULL) {
		free(poll->answer); /* the key is gone; when it comes back, its value counts as a
				       change */
		poll->answer = NULL;
		feed_forget_last(feed);
	} else if (is_news(poll, bytes, len) || feed_key_number(feed, "always") != 0) {
		feed_offer(feed, bytes, len);
	}
}

static void
poll_timer(struct feed *feed)
{
	struct poll *poll = feed_data(feed);
	int rc;

	feed_timer(feed, feed_interval_ms(feed));
	if (poll->is_asking || !feed_is_followed(feed))
		return;
	poll->is_asking = true;
	if ((rc = feed_ask_key(feed, "command", poll_answer)) == 0)
		return;
	poll->is_asking = false;
	if (rc == -ENOENT)
		feed_offer(feed, NULL, 0);
	else if (feed_interval_ms(feed) > AGAIN_MS)
		feed_timer(feed, AGAIN_MS);
}

static int
poll_open(struct feed *feed, const struct request *req)
{
	struct poll *poll = calloc(1, sizeof(*poll));
	int status;

	(void)req;
	if (poll == NULL)
		return HTTP_INTERNAL_ERROR;
	feed_set_data(feed, poll);
	if ((status = feed_keep_last(feed, feed_key_number(feed, "always") == 0)) != 0)
		return status;
	return feed_timer(feed, FIRST_MS);
}

static void
poll_close(struct feed *feed)
{
	struct poll *poll = feed_data(feed);

	if (poll != NULL)
		free(poll->answer);
	free(poll);
}

static const struct handler_key keys[] = {
    {.name = "command", .kind = HANDLER_COMMAND, .help = "what handler = poll asks Redis"},
    {.name = "always",
     .kind = HANDLER_YES_NO,
     .fallback = "no",
     .help = "whether an answer that has not changed is sent, too"},
    {0},
};

/* With a script and no command the script is the source. */
static void
poll_check(struct handler_section *section)
{
	if (section_text(section, "command") == NULL && section_text(section, "script") == NULL)
		section_fault(section, NULL,
			      "has neither command nor script to poll: command = GET key");
}

const struct handler poll_handler = {
    .name = "poll",
    .keys = keys,
    .check = poll_check,
    .open = poll_open,
    .timer = poll_timer,
    .close = poll_close,
};
