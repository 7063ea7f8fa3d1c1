#include "notifications.h"

#include <hiredis.h>
#include <string.h>

#include "base/clock.h"
#include "base/logger.h"
#include "redis/command.h"
#include "redis/keyspace.h"

enum { AGAIN_MS = 5000 };

/* If CONFIG GET is not allowed, it counts as set. */
static void
on_notifications(void *arg, const redisReply *reply)
{
	struct notifications *nt = arg;
	char lack[NOTIFICATIONS_TEXT];

	if (reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
	    reply->element[1]->type == REDIS_REPLY_STRING &&
	    keyspace_fault(reply->element[1]->str, lack, sizeof(lack)))
		memcpy(nt->found, lack, sizeof(lack));
	if (--nt->n_asked > 0)
		return;
	if (*nt->lack == '\0' && *nt->found != '\0')
		logger_warn("Redis's %s", nt->found);
	memcpy(nt->lack, nt->found, sizeof(nt->lack));
}

void
notifications_ask(struct notifications *nt, struct command *command, bool is_followed)
{
	nt->asked_ms = clock_ms();
	if (!is_followed) {
		*nt->lack = '\0';
	} else if (nt->n_asked == 0) {
		*nt->found = '\0';
		nt->n_asked =
		    command_send_each(command, on_notifications, nt,
				      RESP_WORDS("CONFIG", "GET", "notify-keyspace-events"));
	}
}

void
notifications_look(struct notifications *nt, struct command *command, bool is_followed)
{
	if (*nt->lack != '\0' && clock_ms() - nt->asked_ms >= AGAIN_MS)
		notifications_ask(nt, command, is_followed);
}
