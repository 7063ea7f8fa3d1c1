#include "redis/subject.h"

#include <string.h>

#include "redis/keyspace.h"
#include "redis/settings.h"

enum { NAME_MAX_LEN = UINT16_MAX };

/* The prefix matches itself: a "*" in it is no pattern's. */
static int
name_of_pattern(struct subject_name *out, const struct redis_settings *rs, const char *name)
{
	int rc;

	if ((rc = keyspace_put_escaped(&out->text, rs->prefix)) < 0 ||
	    (rc = buf_puts(&out->text, name)) < 0)
		return rc;
	return buf_putc(&out->text, '\0');
}

/* Redis reports changes of keys on channels, one for each key. */
static int
name_of_keys(struct subject_name *out, const struct redis_settings *rs, const char *name)
{
	out->kind = keyspace_is_pattern(name) ? SUBJECT_PATTERN : SUBJECT_CHANNEL;
	return keyspace_name(&out->text, rs->urls[0].db, rs->prefix, name, &out->head);
}

const struct subject_traits subject_traits[N_SUBJECT_KINDS] = {
    [SUBJECT_CHANNEL] =
	{
	    .key = "channels",
	    .title = "channel",
	    .following = (const char *const[]){"SUBSCRIBE", NULL},
	},
    [SUBJECT_PATTERN] =
	{
	    .key = "patterns",
	    .title = "pattern",
	    .is_pattern = true,
	    .following = (const char *const[]){"PSUBSCRIBE", NULL},
	    .name = name_of_pattern,
	},
    [SUBJECT_STREAM] =
	{
	    .key = "streams",
	    .title = "stream",
	    .is_resumable = true,
	    .following = (const char *const[]){"XINFO", "STREAM", NULL},
	},
    [SUBJECT_KEYSPACE] =
	{
	    .key = "keyspace",
	    .title = "keys",
	    .is_pattern = true,
	    .name = name_of_keys,
	},
};

int
subject_name_init(struct subject_name *out, enum subject_kind kind, const struct redis_settings *rs,
		  const char *name)
{
	int rc;

	buf_init(&out->text, NAME_MAX_LEN);
	out->head = strlen(rs->prefix);
	out->kind = kind;
	if (subject_traits[kind].name != NULL)
		return subject_traits[kind].name(out, rs, name);
	if ((rc = buf_puts(&out->text, rs->prefix)) < 0 || (rc = buf_puts(&out->text, name)) < 0)
		return rc;
	return buf_putc(&out->text, '\0');
}

void
subject_name_fini(struct subject_name *sn)
{
	buf_fini(&sn->text);
}
