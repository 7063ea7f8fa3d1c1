#include "cli/connect.h"

#include <hiredis.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/buf.h"
#include "cli/needs.h"
#include "config/config.h"
#include "redis/direct.h"
#include "redis/key_value.h"
#include "redis/keyspace.h"
#include "redis/sentinel.h"
#include "redis/slot_map.h"

enum { NAME_MAX_LEN = 2048, VERB_WORDS_MAX = 3, CLOCK_S = 2, WHY_MAX = 2048 };

/* With a lower limit, a burst ends slow links; Redis's default is 32 MiB. */
enum { PUBSUB_LIMIT_MIN = 8 * 1024 * 1024 };

/* One server, or the one that the sentinels name. */
struct target {
	struct redis_settings settings;
	const struct config *cfg;
	bool is_at_fault, is_primary;
	bool is_eval_told; /* that it may not be asked */
};

__attribute__((format(printf, 2, 3))) static void
say(const char *what, const char *fmt, ...)
{
	va_list ap;

	printf("  %-8s ", what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* Returns the reply, which is the caller's; NULL, having printed why. */
static redisReply *
ask(struct target *t, struct resp_words words)
{
	redisReply *reply = NULL;
	char why[WHY_MAX];

	if (redis_direct(&t->settings, words, &reply, why, sizeof(why)) == 0)
		return reply;
	say("fault", "%s", why);
	t->is_at_fault = true;
	return NULL;
}

static bool
is_error(const redisReply *reply, const char *code)
{
	return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, code, strlen(code)) == 0;
}

/* Facts about a server. The ACL may refuse each of them; then it is not known. */

/* Finds the value behind "NAME:" in what INFO answers. Returns false if it is not there. */
static bool
info_value(const redisReply *reply, const char *name, char *out, size_t len)
{
	const char *at = reply->type == REDIS_REPLY_STRING ? strstr(reply->str, name) : NULL;

	if (at == NULL || at[strlen(name)] != ':')
		return false;
	at += strlen(name) + 1;
	snprintf(out, len, "%.*s", (int)strcspn(at, "\r\n"), at);
	return true;
}

static void
judge_version(struct target *t, const redisReply *reply)
{
	char version[32];

	(void)t;
	if (info_value(reply, "valkey_version", version, sizeof(version)))
		say("is", "Valkey %s", version);
	else if (info_value(reply, "redis_version", version, sizeof(version)))
		say("is", "Redis %s", version);
}

static void
judge_role(struct target *t, const redisReply *reply)
{
	(void)t;
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
	    reply->element[0]->type == REDIS_REPLY_STRING)
		say("is", "a primary");
}

static void
judge_memory(struct target *t, const redisReply *reply)
{
	char policy[64], limit[32];

	if (!info_value(reply, "maxmemory_policy", policy, sizeof(policy)) ||
	    !info_value(reply, "maxmemory", limit, sizeof(limit)))
		return;
	say("has", "maxmemory %s, maxmemory-policy %s", limit, policy);
	if (config_can_resume(t->cfg) && strncmp(policy, "allkeys-", 8) == 0)
		say("warning",
		    "maxmemory-policy %s may evict a stream that a route follows, and "
		    "what it held is lost: CONFIG SET maxmemory-policy noeviction",
		    policy);
}

/* "normal 0 0 0 slave … pubsub 33554432 8388608 60" */
static void
judge_output_limit(struct target *t, const redisReply *reply)
{
	const char *at;
	char *end;
	long long hard;

	(void)t;
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
	    reply->element[1]->type != REDIS_REPLY_STRING ||
	    (at = strstr(reply->element[1]->str, "pubsub ")) == NULL)
		return;
	hard = strtoll(at + strlen("pubsub "), &end, 10);
	say("has", "client-output-buffer-limit %s", at);
	if (hard > 0 && hard < PUBSUB_LIMIT_MIN)
		say("warning",
		    "a burst of more than %lld bytes ends the connection, and what was "
		    "in it is lost: CONFIG SET client-output-buffer-limit \"pubsub "
		    "33554432 8388608 60\"",
		    hard);
}

static bool
follows_keys(const struct config *cfg)
{
	for (size_t i = 0; i < cfg->n_routes; i++) {
		if (cfg->routes[i]->subjects[SUBJECT_KEYSPACE] != NULL)
			return true;
	}
	return false;
}

static void
judge_notifications(struct target *t, const redisReply *reply)
{
	char text[256];

	(void)t;
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
	    reply->element[1]->type == REDIS_REPLY_STRING &&
	    keyspace_fault(reply->element[1]->str, text, sizeof(text)))
		say("warning", "%s", text);
}

static void
judge_time(struct target *t, const redisReply *reply)
{
	long long apart;

	(void)t;
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
	    reply->element[0]->type != REDIS_REPLY_STRING)
		return;
	apart = strtoll(reply->element[0]->str, NULL, 10) - (long long)time(NULL);
	if (llabs(apart) > CLOCK_S)
		say("warning",
		    "its clock and ours are %lld s apart: ids of streams and what "
		    "expires are told by its own",
		    llabs(apart));
}

static bool
is_cluster(const struct config *cfg)
{
	return cfg->redis.is_cluster;
}

static void
judge_cluster(struct target *t, const redisReply *reply)
{
	char state[32];

	if (!info_value(reply, "cluster_state", state, sizeof(state)))
		return;
	say(strcmp(state, "ok") == 0 ? "is" : "fault", "of a cluster whose state is %s", state);
	t->is_at_fault |= strcmp(state, "ok") != 0;
}

static const struct fact {
	const char *argv[4]; /* ends with NULL */
	void (*judge)(struct target *t, const redisReply *reply);
	bool (*is_needed)(const struct config *cfg); /* NULL: it always is */
} facts[] = {
    {{"INFO", "server"}, judge_version, NULL},
    {{"ROLE"}, judge_role, NULL},
    {{"INFO", "memory"}, judge_memory, NULL},
    {{"CONFIG", "GET", "client-output-buffer-limit"}, judge_output_limit, NULL},
    {{"CONFIG", "GET", "notify-keyspace-events"}, judge_notifications, follows_keys},
    {{"TIME"}, judge_time, NULL},
    {{"CLUSTER", "INFO"}, judge_cluster, is_cluster},
};

static struct resp_words
words_of(const struct fact *fact)
{
	int n = 0;

	while (fact->argv[n] != NULL)
		n++;
	return (struct resp_words){n, fact->argv, NULL};
}

/* Returns false if the server cannot be reached, or cannot be used. */
static bool
ask_facts(struct target *t)
{
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		redisReply *reply;

		if (facts[i].is_needed != NULL && !facts[i].is_needed(t->cfg))
			continue;
		if ((reply = ask(t, words_of(&facts[i]))) == NULL)
			return false;
		if (is_error(reply, "NOPERM"))
			say("note", "%s may not be asked, so it is not known what it would say",
			    facts[i].argv[0]);
		else if (reply->type == REDIS_REPLY_ERROR)
			say("note", "%s: %s", facts[i].argv[0], reply->str);
		else
			facts[i].judge(t, reply);
		freeReplyObject(reply);
	}
	return true;
}

/* What the routes need */

/* It is no fault if a stream does not exist yet. */
static bool
is_refusal(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "no such key") == NULL;
}

static void
try_text(struct target *t, const struct route *rt, const char *name, const char *const *verb)
{
	const char *argv[VERB_WORDS_MAX + 1];
	redisReply *reply;
	int argc;

	for (argc = 0; argc < VERB_WORDS_MAX && verb[argc] != NULL; argc++)
		argv[argc] = verb[argc];
	argv[argc] = name;
	if ((reply = ask(t, (struct resp_words){argc + 1, argv, NULL})) == NULL)
		return;
	if (is_refusal(reply)) {
		say("fault", "[route %s] %s %s: %s", rt->name, verb[0], name, reply->str);
		t->is_at_fault = true;
	}
	freeReplyObject(reply);
}

static void
try_name(struct target *t, const struct route *rt, const struct template *name, const char *suffix,
	 const char *const *verb)
{
	struct buf b;

	buf_init(&b, NAME_MAX_LEN);
	if (needs_expand(name, t->cfg->redis.prefix, &b) == 0 && b.len > 0) {
		buf_truncate(&b, b.len - 1);
		if (buf_puts(&b, suffix) == 0 && buf_putc(&b, '\0') == 0)
			try_text(t, rt, b.p, verb);
	}
	buf_fini(&b);
}

static void
try_names(struct target *t, const struct route *rt, struct template *const *names,
	  const char *suffix, const char *const *verb)
{
	for (size_t i = 0; names != NULL && names[i] != NULL; i++)
		try_name(t, rt, names[i], suffix, verb);
}

/* Notifications of keys always come on plain channels. */
static const char *const *
following(const struct target *t, enum subject_kind kind, enum subject_kind followed_as)
{
	static const char *const ssubscribe[] = {"SSUBSCRIBE", NULL};

	if (kind == SUBJECT_CHANNEL && t->cfg->redis.is_sharded)
		return ssubscribe;
	return subject_traits[followed_as].following;
}

static void
try_subject(struct target *t, const struct route *rt, enum subject_kind kind,
	    const struct template *subject)
{
	struct subject_name name;
	struct buf b;

	buf_init(&b, NAME_MAX_LEN);
	if (needs_expand(subject, "", &b) == 0) {
		if (subject_name_init(&name, kind, &t->settings, b.p) == 0)
			try_text(t, rt, name.text.p, following(t, kind, name.kind));
		subject_name_fini(&name);
	}
	buf_fini(&b);
}

static void
try_route(struct target *t, const struct route *rt)
{
	static const char *const value[] = {"EVAL", KEY_VALUE_SCRIPT, "1", NULL};
	struct template *const *subject;

	for (unsigned kind = 0; kind < N_SUBJECT_KINDS; kind++) {
		for (subject = rt->subjects[kind]; subject != NULL && *subject != NULL; subject++)
			try_subject(t, rt, kind, *subject);
	}
	if (rt->stream.keyspace_value)
		try_names(t, rt, rt->subjects[SUBJECT_KEYSPACE], "", value);
	if (rt->stream.record > 0)
		try_names(t, rt, rt->subjects[SUBJECT_CHANNEL], ":log",
			  subject_traits[SUBJECT_STREAM].following);
}

/* of says who needs them: "[route x]", or something else. */
static void
tell_refused(struct target *t, const char *of, const struct needs *needs, const redisReply *reply)
{
	char command[NAME_MAX_LEN];

	for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
		long long n = reply->element[i]->integer;

		if (!needs_print(needs, (int)n, command, sizeof(command)))
			continue;
		say("fault", "%s %s: the user has no right to it", of, command);
		t->is_at_fault = true;
	}
}

/* What may be sent, without sending it. */
static void
try_needs(struct target *t, const char *of, const struct needs *needs)
{
	redisReply *reply;

	if (needs->n_commands == 0 ||
	    (reply = ask(t, (struct resp_words){needs->n_words, (const char *const *)needs->words,
						NULL})) == NULL)
		return;
	if (!is_error(reply, "NOPERM")) {
		tell_refused(t, of, needs, reply);
	} else if (needs->needs_eval) {
		say("fault", "%s EVAL: %s", of, reply->str);
		t->is_at_fault = true;
	} else if (!t->is_eval_told) {
		say("note", "EVAL may not be asked, so it is not known which other rights are "
			    "missing");
		t->is_eval_told = true;
	}
	freeReplyObject(reply);
}

static void
try_rights(struct target *t)
{
	struct needs needs;
	char of[256];

	for (size_t i = 0; i < t->cfg->n_routes; i++) {
		snprintf(of, sizeof(of), "[route %s]", t->cfg->routes[i]->name);
		(void)needs_of_route(&needs, t->cfg, t->cfg->routes[i]);
		try_needs(t, of, &needs);
		needs_fini(&needs);
	}
	(void)needs_of_sessions(&needs, t->cfg);
	try_needs(t, "[auth] session_key", &needs);
	needs_fini(&needs);
}

static void
try_routes(struct target *t)
{
	for (size_t i = 0; i < t->cfg->n_routes; i++)
		try_route(t, t->cfg->routes[i]);
	try_rights(t);
	if (!t->is_at_fault)
		say("fine", "the routes may follow what they name");
}

static void
check_target(struct target *t, const char *where)
{
	printf("%s\n", where);
	t->is_primary = ask_facts(t);
	if (t->is_primary)
		try_routes(t);
}

/*
 * first is the server that the sentinels before this one named; it is empty if this is the first
 * sentinel.
 */
static void
tell_named(const struct target *t, const redisReply *reply, char *first, size_t len)
{
	char named[256];
	const char *host;
	int port;

	if ((host = sentinel_read(reply, &port)) == NULL) {
		say("fault", "it knows no primary called %s", t->cfg->redis.sentinel_master);
		return;
	}
	snprintf(named, sizeof(named), "%s:%d", host, port);
	say("names", "%s", named);
	if (first[0] == '\0')
		snprintf(first, len, "%s", named);
	else if (strcmp(first, named) != 0)
		say("warning", "the sentinels do not agree: another one names %s", first);
}

/* Checks which primary each of the sentinels names. */
static void
check_sentinels(const struct config *cfg)
{
	const char *argv[] = {"SENTINEL", "get-master-addr-by-name", cfg->redis.sentinel_master};
	char where[256], first[256] = "";

	for (size_t i = 0; i < cfg->redis.n_urls; i++) {
		struct target t = {.cfg = cfg};
		redisReply *reply;

		printf("sentinel %s\n", redis_url_print(&cfg->redis.urls[i], where, sizeof(where)));
		if (sentinel_settings(&t.settings, &cfg->redis, i) < 0)
			return;
		if ((reply = ask(&t, RESP_ARRAY(argv))) != NULL) {
			tell_named(&t, reply, first, sizeof(first));
			freeReplyObject(reply);
		}
		free(t.settings.urls);
	}
}

/* In a cluster streams are followed by client-side caching. */
static void
check_tracking(struct target *t)
{
	redisReply *reply;

	if (!config_can_resume(t->cfg) ||
	    (reply = ask(t, RESP_WORDS("CLIENT", "TRACKING", "OFF"))) == NULL)
		return;
	if (reply->type == REDIS_REPLY_ERROR)
		say("warning",
		    "CLIENT TRACKING is refused, so streams are asked for four times a second: %s",
		    reply->str);
	freeReplyObject(reply);
}

/* Returns whether the node can be used. */
static bool
check_node(const struct config *cfg, const struct slot_node *node)
{
	struct redis_url url = cfg->redis.urls[0];
	struct target t = {.settings = cfg->redis, .cfg = cfg};
	char host[SLOT_HOST_MAX], where[512];

	snprintf(host, sizeof(host), "%s", node->host);
	url.host = host;
	url.port = node->port;
	t.settings.urls = &url;
	t.settings.n_urls = 1;
	t.settings.is_cluster = false; /* a node of a cluster, asked as a single server */
	printf("node %s\n", redis_url_print(&url, where, sizeof(where)));
	if (!ask_facts(&t))
		return false;
	check_tracking(&t);
	return !t.is_at_fault;
}

/*
 * Checks each node that has slots, whether every slot has a node, and what the routes need there.
 */
static int
check_cluster(const struct config *cfg)
{
	struct target t = {.settings = cfg->redis, .cfg = cfg};
	struct slot_map *map = malloc(sizeof(*map));
	redisReply *reply;
	bool is_fine;

	puts("cluster");
	if (map == NULL || (reply = ask(&t, RESP_WORDS("CLUSTER", "SLOTS"))) == NULL) {
		free(map);
		return 1;
	}
	is_fine = slot_map_read(map, reply, cfg->redis.urls[0].host) == 0;
	if (!is_fine)
		say("fault", "CLUSTER SLOTS: %s",
		    reply->type == REDIS_REPLY_ERROR ? reply->str : "no map of the slots");
	freeReplyObject(reply);
	if (is_fine) {
		is_fine = map->n_covered == SLOTS;
		say(is_fine ? "has" : "fault", "%u nodes, and %u of %d slots have one",
		    map->n_nodes, map->n_covered, SLOTS);
		try_routes(&t);
		for (unsigned i = 0; i < map->n_nodes; i++)
			is_fine &= check_node(cfg, &map->nodes[i]);
	}
	free(map);
	return is_fine && !t.is_at_fault ? 0 : 1;
}

int
connect_check(const struct config *cfg)
{
	bool has_primary = false, is_at_fault = false;
	char where[256];

	if (cfg->redis.is_cluster)
		return check_cluster(cfg);
	if (cfg->redis.sentinel_master != NULL) {
		struct target t = {.settings = cfg->redis, .cfg = cfg};

		check_sentinels(cfg);
		check_target(&t, cfg->redis.sentinel_master);
		return t.is_primary && !t.is_at_fault ? 0 : 1;
	}
	for (size_t i = 0; i < cfg->redis.n_urls; i++) {
		struct target t = {.settings = cfg->redis, .cfg = cfg};

		t.settings.urls = &cfg->redis.urls[i];
		t.settings.n_urls = 1;
		check_target(&t, redis_url_print(t.settings.urls, where, sizeof(where)));
		has_primary |= t.is_primary;
		is_at_fault |= t.is_primary && t.is_at_fault;
	}
	return has_primary && !is_at_fault ? 0 : 1;
}
