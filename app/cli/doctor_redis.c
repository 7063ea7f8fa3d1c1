/*
 * doctor_redis.c - the doctor's keys, and whether Redis keeps what must be sent again.
 */
#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "cli/doctor.h"
#include "redis/direct.h"

enum { KEY_S = 900, NAME_LEN = 512, WHY_LEN = 512 };

/* Returns the reply, which is the caller's; or NULL, and writes why. */
static redisReply *
ask(struct doctor *d, struct resp_words words, char *why, size_t len)
{
	redisReply *reply = NULL;

	return redis_direct(&d->cfg->redis, words, &reply, why, len) == 0 ? reply : NULL;
}

static void
full_name(const struct doctor *d, const char *key, const char *suffix, char name[NAME_LEN])
{
	snprintf(name, NAME_LEN, "%s" DOCTORING_KEY "%s%s", d->cfg->redis.prefix, key, suffix);
}

bool
doctor_key_put(struct doctor *d, char key[DOCTOR_KEY_LEN], char *why, size_t len)
{
	char name[NAME_LEN], ttl[16];
	redisReply *reply;
	bool is_put;

	snprintf(why, len, "no key can be drawn");
	if (random_secret(key, DOCTORING_DIGITS / 2) < 0)
		return false;
	full_name(d, key, "", name);
	snprintf(ttl, sizeof(ttl), "%d", KEY_S);
	if ((reply = ask(d, RESP_WORDS("SET", name, "1", "EX", ttl), why, len)) == NULL)
		return false;
	if (!(is_put = reply->type == REDIS_REPLY_STATUS))
		snprintf(why, len, "SET %s: %s", name, reply->str != NULL ? reply->str : "refused");
	freeReplyObject(reply);
	return is_put;
}

void
doctor_key_drop(struct doctor *d, const char *key)
{
	char name[NAME_LEN], why[WHY_LEN];

	full_name(d, key, "", name);
	/* By SET, so that no right but that is needed. */
	freeReplyObject(ask(d, RESP_WORDS("SET", name, "1", "PX", "1"), why, sizeof(why)));
}

unsigned long long
doctor_key_left(struct doctor *d, const char *key)
{
	char name[NAME_LEN], why[WHY_LEN];
	unsigned long long at = 0;
	redisReply *reply;

	full_name(d, key, DOCTORING_SUFFIX, name);
	if ((reply = ask(d, RESP_WORDS("GET", name), why, sizeof(why))) == NULL)
		return 0;
	if (reply->type == REDIS_REPLY_STRING)
		at = strtoull(reply->str, NULL, 10);
	freeReplyObject(reply);
	return at;
}

/* Does any route send a client that comes back what it has missed? */

/* Finds the value of NAME in the answer to INFO or CONFIG GET; false: it is not there. */
static bool
value_of(const redisReply *reply, const char *name, char *out, size_t len)
{
	size_t name_len = strlen(name);
	const char *p;

	if (reply == NULL)
		return false;
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
	    reply->element[1]->type == REDIS_REPLY_STRING) {
		snprintf(out, len, "%s", reply->element[1]->str);
		return true;
	}
	p = reply->type == REDIS_REPLY_STRING ? reply->str : NULL;
	for (; p != NULL; p = (p = strchr(p, '\n')) != NULL ? p + 1 : NULL) {
		if (strncmp(p, name, name_len) == 0 && p[name_len] == ':') {
			p += name_len + 1;
			snprintf(out, len, "%.*s", (int)strcspn(p, "\r\n"), p);
			return true;
		}
	}
	return false;
}

static bool
ask_value(struct doctor *d, struct resp_words words, const char *name, char *out, size_t len)
{
	char why[WHY_LEN];
	redisReply *reply = ask(d, words, why, sizeof(why));
	bool is_known = value_of(reply, name, out, len);

	freeReplyObject(reply);
	return is_known;
}

static void
check_eviction(struct doctor *d)
{
	char policy[64];

	if (!ask_value(d, RESP_WORDS("INFO", "memory"), "maxmemory_policy", policy,
		       sizeof(policy))) {
		doctor_ok("eviction", "INFO may not be asked: maxmemory-policy must be noeviction");
	} else if (strcmp(policy, "noeviction") == 0) {
		doctor_ok("eviction", "none: maxmemory-policy noeviction");
	} else if (strncmp(policy, "allkeys-", 8) == 0) {
		doctor_fail(
		    d, "eviction",
		    "maxmemory-policy %s: a full Redis throws away what is to be sent again",
		    policy);
		doctor_line("maxmemory-policy noeviction");
	} else {
		doctor_ok("eviction", "maxmemory-policy %s takes only keys that expire", policy);
	}
}

static void
check_memory_of(struct doctor *d)
{
	char aof[8], save[256];

	if (ask_value(d, RESP_WORDS("INFO", "persistence"), "aof_enabled", aof, sizeof(aof)) &&
	    strcmp(aof, "1") == 0) {
		doctor_ok("kept", "appendonly yes: Redis has it after a restart");
	} else if (!ask_value(d, RESP_WORDS("CONFIG", "GET", "save"), "save", save, sizeof(save))) {
		doctor_ok("kept",
			  "CONFIG may not be asked: appendonly must be yes, or save be set");
	} else if (*save == '\0') {
		doctor_warn("kept",
			    "neither appendonly nor save: a restart of Redis forgets what is "
			    "to be sent again");
		doctor_line("appendonly yes");
	} else {
		doctor_ok("kept",
			  "save %s: a crash of Redis may forget the last of it (appendonly "
			  "yes would not)",
			  save);
	}
}

void
doctor_check_redis(struct doctor *d)
{
	char key[DOCTOR_KEY_LEN], why[WHY_LEN];

	d->has_redis = doctor_key_put(d, key, why, sizeof(why));
	if (!d->has_redis) {
		why[strcspn(why, "\n")] = '\0';
		doctor_fail(d, "redis", "%s", why);
		if (strstr(why, "NOPERM") != NULL)
			doctor_line("ACL SETUSER ... +get +set ~%s" DOCTORING_KEY "*",
				    d->cfg->redis.prefix);
		else
			doctor_line("[redis] url in sluice.ini; systemctl start redis-server");
		return;
	}
	doctor_key_drop(d, key);
	doctor_ok("redis", "reached, and a key can be put there");
	if (!config_can_resume(d->cfg))
		return;
	check_eviction(d);
	check_memory_of(d);
}
