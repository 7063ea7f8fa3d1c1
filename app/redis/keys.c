#include "redis/keys.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Where a command has its keys. A command that is not listed has one, its first argument. */
enum key_place {
	PLACE_NONE,
	PLACE_FIRST,
	PLACE_SECOND,
	PLACE_ALL,
	PLACE_COUNT_FIRST,  /* the first argument says how many follow it */
	PLACE_COUNT_SECOND, /* the second does */
	PLACE_STREAMS       /* behind the word STREAMS; as many IDs follow */
};

static const struct {
	const char *name;
	enum key_place place;
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
    {"ASKING", PLACE_NONE},
    {"CLIENT", PLACE_NONE},
    {"FUNCTION", PLACE_NONE},
    {"ROLE", PLACE_NONE},
    {"SCRIPT", PLACE_NONE},
    {"BITOP", PLACE_SECOND},
    {"XGROUP", PLACE_SECOND},
    {"XREAD", PLACE_STREAMS},
    {"XREADGROUP", PLACE_STREAMS},
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

static enum key_place
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

static bool
is_behind_streams(int argc, const char *const *argv, int i)
{
	int at = 1;

	while (at < argc && strcasecmp(argv[at], "STREAMS") != 0)
		at++;
	return i > at && i - at <= (argc - at - 1) / 2;
}

static bool
is_at(enum key_place place, int argc, const char *const *argv, int i)
{
	switch (place) {
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
	case PLACE_STREAMS:
		return is_behind_streams(argc, argv, i);
	default:
		return false;
	}
}

bool
keys_is_key(int argc, const char *const *argv, int i)
{
	return is_at(place_of(argv[0]), argc, argv, i);
}

int
keys_first(int argc, const char *const *argv)
{
	enum key_place place = place_of(argv[0]);

	for (int i = 1; i < argc; i++) {
		if (is_at(place, argc, argv, i))
			return i;
	}
	return 0;
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
