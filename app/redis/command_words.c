#include "redis/command_words.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { ANY = 64, NAME_LEN = 32 };

/* The usual commands: how many words may follow, and what these are. */
static const struct {
	const char *name;
	size_t min, max;
	const char *words;
} known[] = {
    {"EXISTS", 1, ANY, "KEY"},
    {"GET", 1, 1, "KEY"},
    {"GETRANGE", 3, 3, "KEY FIRST LAST"},
    {"HEXISTS", 2, 2, "KEY FIELD"},
    {"HGET", 2, 2, "KEY FIELD"},
    {"HGETALL", 1, 1, "KEY"},
    {"HKEYS", 1, 1, "KEY"},
    {"HLEN", 1, 1, "KEY"},
    {"HMGET", 2, ANY, "KEY FIELD..."},
    {"HVALS", 1, 1, "KEY"},
    {"LINDEX", 2, 2, "KEY INDEX"},
    {"LLEN", 1, 1, "KEY"},
    {"LRANGE", 3, 3, "KEY FIRST LAST"},
    {"MGET", 1, ANY, "KEY..."},
    {"PTTL", 1, 1, "KEY"},
    {"SCARD", 1, 1, "KEY"},
    {"SISMEMBER", 2, 2, "KEY MEMBER"},
    {"SMEMBERS", 1, 1, "KEY"},
    {"SMISMEMBER", 2, ANY, "KEY MEMBER..."},
    {"STRLEN", 1, 1, "KEY"},
    {"TTL", 1, 1, "KEY"},
    {"TYPE", 1, 1, "KEY"},
    {"XLEN", 1, 1, "KEY"},
    {"XRANGE", 3, 5, "KEY FIRST LAST [COUNT N]"},
    {"XREVRANGE", 3, 5, "KEY LAST FIRST [COUNT N]"},
    {"ZCARD", 1, 1, "KEY"},
    {"ZCOUNT", 3, 3, "KEY MIN MAX"},
    {"ZRANGE", 3, ANY, "KEY FIRST LAST [WITHSCORES]"},
    {"ZREVRANGE", 3, 4, "KEY FIRST LAST [WITHSCORES]"},
    {"ZSCORE", 2, 2, "KEY MEMBER"},
    {"EVAL", 2, ANY, "SCRIPT NUMKEYS [KEY...] [ARG...]"},
    {"EVAL_RO", 2, ANY, "SCRIPT NUMKEYS [KEY...] [ARG...]"},
};

/* Commands that do harm, unless the second word is this one. */
static const struct {
	const char *name, *but;
} ruinous[] = {
    {"FLUSHALL", NULL},    {"FLUSHDB", NULL},      {"SWAPDB", NULL},
    {"REPLICAOF", NULL},   {"SLAVEOF", NULL},      {"SAVE", NULL},
    {"BGSAVE", NULL},      {"BGREWRITEAOF", NULL}, {"RESTORE", NULL},
    {"MODULE", "LIST"},    {"CONFIG", "GET"},      {"SCRIPT", "EXISTS"},
    {"FUNCTION", "LIST"},  {"ACL", "WHOAMI"},      {"SLOWLOG", "GET"},
    {"LATENCY", "LATEST"}, {"CLUSTER", "INFO"},    {"SENTINEL", "GET-MASTER-ADDR-BY-NAME"},
};

static const char writing[] =
    " APPEND BITOP COPY DECR DECRBY DEL EXPIRE EXPIREAT GEOADD GETDEL GETEX GETSET HDEL HINCRBY "
    "HINCRBYFLOAT HMSET HSET HSETNX INCR INCRBY INCRBYFLOAT LINSERT LMOVE LMPOP LPOP LPUSH LPUSHX "
    "LREM LSET LTRIM MOVE MSET MSETNX PERSIST PEXPIRE PEXPIREAT PFADD PFMERGE PSETEX PUBLISH "
    "RENAME RENAMENX RPOP RPOPLPUSH RPUSH RPUSHX SADD SDIFFSTORE SET SETBIT SETEX SETNX SETRANGE "
    "SINTERSTORE SMOVE SPOP SPUBLISH SREM SUNIONSTORE UNLINK XACK XADD XAUTOCLAIM XCLAIM XDEL "
    "XGROUP XSETID XTRIM ZADD ZDIFFSTORE ZINCRBY ZINTERSTORE ZMPOP ZPOPMAX ZPOPMIN ZRANGESTORE "
    "ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZUNIONSTORE ";

static bool
is_ruinous(char *const *words)
{
	for (size_t i = 0; i < sizeof(ruinous) / sizeof(ruinous[0]); i++) {
		const char *but = ruinous[i].but;

		if (strcasecmp(words[0], ruinous[i].name) == 0)
			return but == NULL || words[1] == NULL || strcasecmp(words[1], but) != 0;
	}
	return false;
}

const char *
command_words_fault(char *const *words, char *why, size_t why_len)
{
	size_t n = 0;

	while (words[n + 1] != NULL)
		n++;
	if (is_ruinous(words)) {
		snprintf(why, why_len,
			 "%.40s is for whoever runs the server; a route reads: GET KEY", words[0]);
		return why;
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcasecmp(words[0], known[i].name) != 0 ||
		    (n >= known[i].min && n <= known[i].max))
			continue;
		snprintf(why, why_len, "%s has too %s words: %s %s", known[i].name,
			 n < known[i].min ? "few" : "many", known[i].name, known[i].words);
		return why;
	}
	return NULL;
}

bool
command_words_write(const char *name)
{
	char word[NAME_LEN + 3];

	if (strlen(name) > NAME_LEN)
		return false;
	snprintf(word, sizeof(word), " %s ", name);
	return strcasestr(writing, word) != NULL;
}
