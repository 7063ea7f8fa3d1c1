#include "config/within_route.h"

#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "base/units.h"
#include "redis/command_words.h"
#include "redis/stream_id.h"
#include "route/route.h"

enum {
	WHY_LEN = 512,
	USUAL_TIMEOUT_MS = 60000, /* of a web server that hears nothing from its backend */
	NEAR_FROM = 3             /* a shorter name is similar to too many others */
};

/* Refuses a key that stands in the route's own section. */
static void
refuse(const struct config_source *src, size_t section, const char *key, const char *why)
{
	const struct ini_entry *e = ini_find(src->ini, section, key);

	if (e == NULL)
		e = config_entry(src, section, key);
	if (e != NULL && *e->value != '\0')
		config_fault(src, e, why);
}

static void
refuse_adds(const struct config_source *src, size_t section, const char *why)
{
	for (size_t i = 0; i < src->ini->n_entries; i++) {
		if (config_adds_here(src, section, &src->ini->entries[i]))
			config_fault(src, &src->ini->entries[i], why);
	}
}

static void
check_data(const struct config_source *src, const struct route *rt, size_t section)
{
	const char *maker =
	    config_is_set(rt->logic.script)      ? "script makes the data, so this has no use"
	    : config_is_set(rt->logic.transform) ? "transform makes the data, so this has no "
						   "use"
						 : NULL;

	if (maker == NULL)
		return;
	if (config_is_set(rt->logic.script))
		refuse(src, section, "transform", maker);
	refuse(src, section, "fields", maker);
	refuse_adds(src, section, maker);
}

static void
check_pace(const struct config_source *src, const struct route *rt, size_t section)
{
	if (rt->stream.pace.rate.n > 0)
		return;
	if (ini_find(src->ini, section, "rate_by") != NULL)
		refuse(src, section, "rate_by", "there is no rate that it could divide");
	if (ini_find(src->ini, section, "rate_mode") != NULL)
		refuse(src, section, "rate_mode", "there is no rate to which it could apply");
}

static size_t
length(struct template *const *list)
{
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	return n;
}

/* Does the route follow anything of another kind as well? */
static bool
follows_beside(const struct route *rt, enum subject_kind kind)
{
	for (unsigned other = 0; other < N_SUBJECT_KINDS; other++) {
		if (other != kind && rt->subjects[other] != NULL)
			return true;
	}
	return false;
}

static void
check_record(const struct config_source *src, const struct route *rt, size_t section)
{
	size_t n = length(rt->subjects[SUBJECT_CHANNEL]);

	if (rt->stream.record == 0)
		return;
	if (n == 0 || follows_beside(rt, SUBJECT_CHANNEL))
		refuse(src, section, "record",
		       "channels are recorded, and they alone: a pattern has no log, and "
		       "a stream is one");
	else if (n > STREAM_CURSOR_MAX)
		refuse(src, section, "record",
		       "more than 6 channels: a client's Last-Event-ID holds no more");
}

static void
check_keyspace(const struct config_source *src, const struct route *rt, size_t section)
{
	if (rt->subjects[SUBJECT_KEYSPACE] == NULL && rt->is_of_subjects &&
	    ini_find(src->ini, section, "keyspace_value") != NULL)
		refuse(src, section, "keyspace_value",
		       "there is no key whose value it could be: keyspace = KEY");
	if (rt->subjects[SUBJECT_KEYSPACE] != NULL && rt->subjects[SUBJECT_STREAM] != NULL)
		refuse(src, section, "streams",
		       "a stream can be resumed, and what became of keys has no past: they are two "
		       "routes");
}

static void
note_unpublished(const struct config_source *src, size_t section)
{
	static const char *const keys[] = {"publish_auth", "publish_filter", "publish_transform",
					   "publish_max",  "publish_rate",   "publish_maxlen"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct ini_entry *e = ini_find(src->ini, section, keys[i]);

		if (e != NULL)
			config_note(src, e,
				    "nobody can publish here: publish = CHANNEL, or "
				    "publish_stream = STREAM, is missing");
	}
}

/*
 * A route that publishes must say who may. It must not be open to all because a line was forgotten.
 */
static void
check_publish(const struct config_source *src, const struct route *rt, size_t section)
{
	const struct publish *pub = &rt->publish;
	const struct ini_entry *e;
	char why[WHY_LEN], queue[UNITS_TEXT], max[UNITS_TEXT];

	if (pub->channel != NULL && pub->stream != NULL)
		refuse(src, section, "publish_stream",
		       "publish writes to a channel already: one of them");
	if (!route_can_publish(rt)) {
		note_unpublished(src, section);
		return;
	}
	if (config_entry(src, section, "publish_auth") == NULL)
		refuse(src, section, pub->stream != NULL ? "publish_stream" : "publish",
		       "who may publish? publish_auth = none lets everybody who reaches the path");
	if (rt->stream.queue >= pub->max || (e = config_entry(src, section, "queue")) == NULL)
		return;
	snprintf(why, sizeof(why),
		 "a message of publish_max = %s is larger than what may wait for a client: each "
		 "would end whoever does not read it at once; queue = %s, or a smaller publish_max",
		 units_size_text(max, pub->max), units_size_text(queue, 4 * pub->max));
	config_note(src, e, why);
}

/* A client of channels has no place from which it could go on. */
static void
check_resuming(const struct config_source *src, const struct route *rt, size_t section)
{
	static const char *const keys[] = {"start", "history"};

	if (rt->handler == NULL || !rt->is_of_subjects || route_can_resume(rt))
		return;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct ini_entry *e = ini_find(src->ini, section, keys[i]);

		if (e != NULL)
			config_fault(src, e,
				     "there is no past that could be sent: the route has no "
				     "streams and records no channels; did you mean \"record = "
				     "1000\"?");
	}
}

static void
check_heartbeat(const struct config_source *src, const struct route *rt, size_t section)
{
	const struct ini_entry *e = ini_find(src->ini, section, "heartbeat");

	if (e != NULL && rt->stream.heartbeat_ms >= USUAL_TIMEOUT_MS)
		config_note(src, e,
			    "most web servers and proxies cut a connection that is silent for "
			    "60s; did you mean \"15s\"?");
}

/* Can all that the route follows be read again, so that each event has a place? */
static bool
has_places(const struct route *rt)
{
	for (size_t i = 0; i < N_SUBJECT_KINDS; i++) {
		if (rt->subjects[i] != NULL && !subject_traits[i].is_resumable)
			return rt->stream.record > 0;
	}
	return route_can_resume(rt);
}

/*
 * snapshot_from names a place, so all that the route follows must have places: an id says nothing
 * about messages of a channel.
 */
static void
check_snapshot(const struct config_source *src, const struct route *rt, size_t section)
{
	static const char *const keys[] = {"snapshot_missing", "snapshot_from"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (rt->stream.snapshot == NULL && ini_find(src->ini, section, keys[i]) != NULL)
			refuse(src, section, keys[i],
			       "there is no snapshot to which it could apply: snapshot = GET key");
	}
	if (rt->stream.snapshot != NULL && rt->stream.snapshot_from != NULL && !has_places(rt))
		refuse(src, section, "snapshot_from",
		       "an id is a place in streams or recorded channels, which the route must "
		       "have, and nothing beside them");
}

static bool
is_in_path(const struct route *rt, const char *param)
{
	const char *name;

	for (size_t n = 0; (name = path_param(rt->path, n)) != NULL; n++) {
		if (strcmp(name, param) == 0)
			return true;
	}
	return false;
}

/* A command that writes would write for each reader, and once more for each reload. */
static void
check_commands(const struct config_source *src, size_t section)
{
	static const char *const keys[] = {"snapshot", "command", "allow_command"};
	char word[WHY_LEN], why[WHY_LEN];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct ini_entry *e = config_entry(src, section, keys[i]);

		if (e == NULL)
			continue;
		snprintf(word, sizeof(word), "%.*s", (int)strcspn(e->value, " \t"), e->value);
		if (!command_words_write(word))
			continue;
		snprintf(
		    why, sizeof(why),
		    "%.40s writes, and is said as often as there is somebody to read; what reads "
		    "is GET, HGETALL, LRANGE and the like",
		    word);
		config_note(src, e, why);
	}
}

/* Most names in braces are meant as fields of a message, which begin with a dot. */
static void
check_fields(const struct config_source *src, const struct route *rt, size_t section)
{
	static const char *const keys[] = {"event", "id", "rate_by"};
	struct template *const templates[] = {rt->stream.event, rt->stream.id,
					      rt->stream.pace.rate_by};
	const struct ini_entry *e;
	const char *param;
	char why[WHY_LEN];

	for (size_t i = 0; rt->path != NULL && i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (templates[i] == NULL || (e = config_entry(src, section, keys[i])) == NULL)
			continue;
		for (size_t n = 0; (param = template_param(templates[i], n)) != NULL; n++) {
			if (is_in_path(rt, param) || strcmp(param, "user") == 0 ||
			    strncmp(param, "claim.", 6) == 0)
				continue;
			snprintf(why, sizeof(why),
				 "{%s} does not stand in %s, so each request must have it in its "
				 "query; a field of the message is {.%s}",
				 param, path_text(rt->path), param);
			config_note(src, e, why);
		}
	}
}

/* If a queue is silent there is no work at the moment; that does not mean the end. */
static void
check_abandoned(const struct config_source *src, const struct route *rt, size_t section)
{
	const struct handler *h = rt->handler;

	if (h != NULL && h->kind != HANDLER_STREAM && rt->stream.abandoned_ms > 0 &&
	    ini_find(src->ini, section, "abandoned") != NULL)
		refuse(src, section, "abandoned",
		       "with this handler nothing is over when no message comes: who follows it "
		       "would be sent away for good");
	if (rt->stream.abandoned_ms == 0 && ini_find(src->ini, section, "abandoned_data") != NULL)
		refuse(src, section, "abandoned_data",
		       "there is no end before which it could be sent: abandoned = 30s");
}

/* The entry of the section that names the parameter, in braces or behind "params."; NULL. */
static const struct ini_entry *
entry_naming(const struct config_source *src, size_t section, const char *param)
{
	char braces[WHY_LEN], member[WHY_LEN];

	snprintf(braces, sizeof(braces), "{%s}", param);
	snprintf(member, sizeof(member), "params.%s", param);
	for (size_t i = 0; i < src->ini->n_entries; i++) {
		const struct ini_entry *e = &src->ini->entries[i];

		if ((e->section == section || e->section == src->defaults) &&
		    (strstr(e->value, braces) != NULL || strstr(e->value, member) != NULL))
			return e;
	}
	return NULL;
}

/* {shp} below the path /d/{shop} is a parameter of the query, which is probably a slip. */
static void
check_params(const struct config_source *src, const struct route *rt, size_t section)
{
	const struct ini_entry *e;
	const char *param, *name;
	char why[WHY_LEN];
	struct suggest s;

	for (size_t n = 0; rt->path != NULL && (param = route_named_param(rt, n)) != NULL; n++) {
		if (strlen(param) < NEAR_FROM || is_in_path(rt, param) ||
		    (e = entry_naming(src, section, param)) == NULL)
			continue;
		suggest_init(&s, param);
		for (size_t i = 0; (name = path_param(rt->path, i)) != NULL; i++)
			suggest_try(&s, name);
		if (suggest_best(&s) == NULL)
			continue;
		snprintf(why, sizeof(why),
			 "{%s} does not stand in %s, so each request must have it in its query; "
			 "did you mean {%s}?",
			 param, path_text(rt->path), suggest_best(&s));
		config_note(src, e, why);
	}
}

void
config_check_within_route(const struct config_source *src, const struct route *rt, size_t section)
{
	check_params(src, rt, section);
	if (rt->handler != NULL && rt->handler->answer != NULL)
		return;
	check_publish(src, rt, section);
	check_record(src, rt, section);
	check_keyspace(src, rt, section);
	check_data(src, rt, section);
	check_pace(src, rt, section);
	check_resuming(src, rt, section);
	check_heartbeat(src, rt, section);
	check_abandoned(src, rt, section);
	check_snapshot(src, rt, section);
	check_commands(src, section);
	check_fields(src, rt, section);
}
