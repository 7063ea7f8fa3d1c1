#include "redis/keys.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Where keys stand; a command that is not here has one, its first argument. */
enum place {
	PLACE_NONE,
	PLACE_FIRST,
	PLACE_SECOND,
	PLACE_ALL,
	PLACE_COUNT_FIRST, /* the first argument says how many follow it */
	PLACE_COUNT_SECOND /* the second does */
};

static const struct {
	const char *name;
	enum place place;
} places[] = {
    {"DBSIZE", PLACE_NONE},
    {"ECHO", PLACE_NONE},
    {"INFO", PLACE_NONE},
    {"LASTSAVE", PLACE_NONE},
    {"PING", PLACE_NONE},
    {"PUBSUB", PLACE_NONE},
    {"RANDOMKEY", PLACE_NONE},
    {"TIME", PLACE_NONE},
    {"CLUSTER", PLACE_NONE},
    {"COMMAND", PLACE_NONE},
    {"CONFIG", PLACE_NONE},
    {"LATENCY", PLACE_NONE},
    {"SLOWLOG", PLACE_NONE},
    {"ACL", PLACE_NONE},
    {"MEMORY", PLACE_SECOND},
    {"OBJECT", PLACE_SECOND},
    {"XINFO", PLACE_SECOND},
    {"EXISTS", PLACE_ALL},
    {"MGET", PLACE_ALL},
    {"PFCOUNT", PLACE_ALL},
    {"SDIFF", PLACE_ALL},
    {"SINTER", PLACE_ALL},
    {"SUNION", PLACE_ALL},
    {"SCAN", PLACE_NONE},
    {"TOUCH", PLACE_ALL},
    {"SINTERCARD", PLACE_COUNT_FIRST},
    {"ZDIFF", PLACE_COUNT_FIRST},
    {"ZINTER", PLACE_COUNT_FIRST},
    {"ZINTERCARD", PLACE_COUNT_FIRST},
    {"ZUNION", PLACE_COUNT_FIRST},
    {"EVAL", PLACE_COUNT_SECOND},
    {"EVAL_RO", PLACE_COUNT_SECOND},
    {"EVALSHA", PLACE_COUNT_SECOND},
    {"EVALSHA_RO", PLACE_COUNT_SECOND},
    {"FCALL", PLACE_COUNT_SECOND},
    {"FCALL_RO", PLACE_COUNT_SECOND},
};

static enum place
place_of(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (strcasecmp(places[i].name, name) == 0)
			return places[i].place;
	}
	return PLACE_FIRST;
}

static bool
is_counted(int argc, const char *const *argv, int i, int count_at)
{
	long n = argc > count_at ? strtol(argv[count_at], NULL, 10) : 0;

	return i > count_at && i - count_at <= n;
}

bool
keys_is_key(int argc, const char *const *argv, int i)
{
	switch (place_of(argv[0])) {
	case PLACE_FIRST:
		return i == 1;
	case PLACE_SECOND:
		return i == 2;
	case PLACE_ALL:
		return i > 0;
	case PLACE_COUNT_FIRST:
		return is_counted(argc, argv, i, 1);
	case PLACE_COUNT_SECOND:
		return is_counted(argc, argv, i, 2);
	default:
		return false;
	}
}

bool
keys_is_shareable(const char *name)
{
	static const char *const refused[] = {
	    "AUTH",         "BLMOVE",   "BLMPOP",       "BLPOP",    "BRPOP",      "BRPOPLPUSH",
	    "BZMPOP",       "BZPOPMAX", "BZPOPMIN",     "CLIENT",   "DEBUG",      "DISCARD",
	    "EXEC",         "FAILOVER", "HELLO",        "MIGRATE",  "MONITOR",    "MULTI",
	    "PSUBSCRIBE",   "PSYNC",    "PUNSUBSCRIBE", "QUIT",     "READONLY",   "READWRITE",
	    "REPLCONF",     "RESET",    "SELECT",       "SHUTDOWN", "SSUBSCRIBE", "SUBSCRIBE",
	    "SUNSUBSCRIBE", "SYNC",     "UNSUBSCRIBE",  "UNWATCH",  "WAIT",       "WAITAOF",
	    "WATCH",        "XREAD",    "XREADGROUP",
	};
	size_t i;

	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (strcasecmp(refused[i], name) == 0)
			return false;
	}
	return true;
}
