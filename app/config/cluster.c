#include "config/cluster.h"

#include <stdio.h>
#include <string.h>

#include "redis/group.h"
#include "redis/keys.h"
#include "redis/recorded.h"
#include "redis/slot.h"

enum { NAME_MAX_LEN = 2048, PARAMS_MAX = 32, WORDS_MAX = 32, WHY_LEN = 512 };

struct cluster_check {
	const struct config_source *src;
	const struct redis_settings *rs;
	const struct route *rt;
	size_t section;
};

__attribute__((format(printf, 3, 4))) static void
refuse(const struct cluster_check *cc, const char *key, const char *fmt, ...)
{
	const struct ini_entry *e = config_entry(cc->src, cc->section, key);
	char why[WHY_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (e != NULL)
		config_fault(cc->src, e, why);
	else
		config_fault_section(cc->src, cc->section, why);
}

/*
 * A name as Redis may get it: each parameter stands for itself. Only what is the same in two such
 * names is always in one slot. Returns false: it cannot be told.
 */
static bool
put_name(const struct cluster_check *cc, const struct template *t, bool is_key, char *out)
{
	struct template_value values[PARAMS_MAX + 1] = {{NULL, NULL}};
	const struct template_scope scope = {.params = values, .channel = ""};
	const char *name;
	struct buf b;
	bool is_whole;

	for (size_t n = 0; n < PARAMS_MAX && (name = template_param(t, n)) != NULL; n++)
		values[n] = (struct template_value){name, name};
	buf_init(&b, NAME_MAX_LEN);
	is_whole = buf_puts(&b, is_key ? cc->rs->prefix : "") == 0 &&
		   template_expand(t, &scope, &b) == 0 && buf_putc(&b, '\0') == 0;
	if (is_whole)
		snprintf(out, NAME_MAX_LEN, "%s", b.p);
	buf_fini(&b);
	return is_whole;
}

static bool
has_tag(const struct cluster_check *cc, const struct template *t)
{
	char name[NAME_MAX_LEN];

	return !put_name(cc, t, true, name) || slot_has_tag(name, strlen(name));
}

static bool
is_one_slot(const char *a, const char *b)
{
	size_t a_len = strlen(a), b_len = strlen(b);
	const char *a_tag = slot_tag(a, &a_len), *b_tag = slot_tag(b, &b_len);

	return a_len == b_len && memcmp(a_tag, b_tag, a_len) == 0;
}

/* The first of them without a hash tag; NULL: there is none. */
static const struct template *
find_untagged(const struct cluster_check *cc, struct template *const *list)
{
	for (; list != NULL && *list != NULL; list++) {
		if (!has_tag(cc, *list))
			return *list;
	}
	return NULL;
}

static void
check_record(const struct cluster_check *cc)
{
	if (cc->rt->stream.record > 0 &&
	    find_untagged(cc, cc->rt->subjects[SUBJECT_CHANNEL]) != NULL)
		refuse(cc, "record",
		       "in a cluster a channel and its log must be in one slot, which a part in "
		       "braces makes sure of: channels = orders:{{{id}}}");
}

static void
check_patterns(const struct cluster_check *cc)
{
	if (cc->rs->is_sharded && cc->rt->subjects[SUBJECT_PATTERN] != NULL)
		refuse(cc, "patterns",
		       "no pattern sees what is published on sharded channels: sharded = no, or "
		       "channels");
}

static void
check_queue(const struct cluster_check *cc)
{
	const struct handler_settings *settings = &cc->rt->stream.handler_settings;
	struct template *const *streams = cc->rt->subjects[SUBJECT_STREAM];
	const struct template *dead = handler_setting_template(settings, "dead_letter");
	const char *ack = handler_setting_text(settings, "ack");
	char stream[NAME_MAX_LEN], letters[NAME_MAX_LEN];

	if (streams == NULL || streams[0] == NULL)
		return;
	if (dead != NULL && put_name(cc, streams[0], true, stream) &&
	    put_name(cc, dead, true, letters) && !is_one_slot(stream, letters))
		refuse(cc, "dead_letter",
		       "in a cluster it must be in the slot of the queue's stream: a part in "
		       "braces, alike in both, makes sure of it");
	if (cc->rs->is_sharded && ack != NULL && strcmp(ack, "client") == 0 &&
	    !has_tag(cc, streams[0]))
		refuse(cc, "streams",
		       "with sharded channels a stream and its channel of acknowledgements must "
		       "be in one slot, which a part in braces makes sure of: streams = "
		       "jobs:{{{id}}}");
}

static void
check_presence(const struct cluster_check *cc)
{
	if (cc->rs->is_sharded &&
	    handler_setting_number(&cc->rt->stream.handler_settings, "presence_events") != 0 &&
	    find_untagged(cc, cc->rt->subjects[SUBJECT_CHANNEL]) != NULL)
		refuse(cc, "presence_events",
		       "with sharded channels a room and the channel that is told of it must be "
		       "in one slot, which a part in braces makes sure of: channels = "
		       "here:{{{room}}}");
}

/* All keys of a command that the route asks. */
static void
check_command(const struct cluster_check *cc, const char *key, struct template *const *words)
{
	static char texts[WORDS_MAX][NAME_MAX_LEN];
	const char *argv[WORDS_MAX];
	int n, first;

	for (n = 0; n < WORDS_MAX && words != NULL && words[n] != NULL; n++) {
		if (!put_name(cc, words[n], false, texts[n]))
			return;
		argv[n] = texts[n];
	}
	if (n == 0 || (first = keys_first(n, argv)) == 0 ||
	    slot_has_tag(cc->rs->prefix, strlen(cc->rs->prefix)))
		return;
	for (int i = first + 1; i < n; i++) {
		if (keys_is_key(n, argv, i) && !is_one_slot(argv[first], argv[i])) {
			refuse(cc, key,
			       "in a cluster all keys of %s must be in one slot: a part in "
			       "braces, alike in all, makes sure of it",
			       argv[0]);
			return;
		}
	}
}

void
config_check_cluster(const struct config_source *src, const struct redis_settings *rs,
		     const struct route *rt, size_t section)
{
	const struct cluster_check cc = {src, rs, rt, section};
	const struct handler_setting *command;

	if (!rs->is_cluster)
		return;
	check_record(&cc);
	check_patterns(&cc);
	check_queue(&cc);
	check_presence(&cc);
	check_command(&cc, "snapshot", rt->stream.snapshot);
	check_command(&cc, "allow_command", rt->allow_command);
	if ((command = handler_setting_find(&rt->stream.handler_settings, "command")) != NULL)
		check_command(&cc, "command", command->words);
}
