/*
 * publish.c - publish numbered, timed messages for load.c to check.
 *
 * Message i goes to channel i modulo --channels ("%d" in --channel is that
 * number) and is {"seq":S,"t":T,"pad":"…"}: S counts from 0 on each channel, T
 * is CLOCK_MONOTONIC in ns, and the pad makes it --size bytes.
 */
#include <getopt.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common.h"

#define SIZE_MAX_BYTES 1048576
#define PIPELINE       256 /* commands in flight when nothing holds the rate back */

struct options {
	const char *to;
	const char *channel;
	unsigned channels;
	uint64_t count;
	uint64_t rate; /* messages per second over all channels; 0 is flat out */
	size_t size;
	uint64_t seconds; /* then it ends, whatever is left */
};

static void
usage(FILE *out)
{
	fputs("usage: publish --to unix:PATH|HOST:PORT [--channel bench] [--channels N]\n"
	      "               [--count N] [--rate PER_SECOND] [--size BYTES] [--seconds LIMIT]\n",
	      out);
}

static void
parse_options(struct options *o, int argc, char **argv)
{
	static const struct option table[] = {
	    {"to", required_argument, NULL, 't'},
	    {"channel", required_argument, NULL, 'c'},
	    {"channels", required_argument, NULL, 'n'},
	    {"count", required_argument, NULL, 'k'},
	    {"rate", required_argument, NULL, 'r'},
	    {"size", required_argument, NULL, 's'},
	    {"seconds", required_argument, NULL, 'l'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	int c, i;

	while ((c = getopt_long(argc, argv, "", table, &i)) != -1) {
		switch (c) {
		case 't':
			o->to = optarg;
			break;
		case 'c':
			o->channel = optarg;
			break;
		case 'n':
			o->channels = (unsigned)parse_count("channels", optarg, 1000000);
			break;
		case 'k':
			o->count = parse_count("count", optarg, 1000000000);
			break;
		case 'r':
			o->rate = parse_count("rate", optarg, 10000000);
			break;
		case 's':
			o->size = parse_count("size", optarg, SIZE_MAX_BYTES);
			break;
		case 'l':
			o->seconds = parse_count("seconds", optarg, 3600);
			break;
		default:
			usage(c == 'h' ? stdout : stderr);
			exit(c == 'h' ? 0 : 2);
		}
	}
	if (o->to == NULL || o->channels == 0 || optind != argc) {
		usage(stderr);
		exit(2);
	}
}

static redisContext *
redis_open(const char *to)
{
	struct endpoint ep;
	redisContext *redis;
	int fd;

	endpoint_parse(&ep, to);
	if ((fd = endpoint_connect(&ep, 0, NULL)) < 0)
		die("%s: %s", to, strerror(-fd));
	if ((redis = redisConnectFd(fd)) == NULL || redis->err)
		die("%s: %s", to, redis == NULL ? "out of memory" : redis->errstr);
	return redis;
}

static void
append_message(redisContext *redis, const struct options *o, uint64_t i)
{
	static char channel[256], body[SIZE_MAX_BYTES + 1];
	int head;

	expand_index(channel, sizeof(channel), o->channel, (unsigned)(i % o->channels));
	head = snprintf(body, sizeof(body), "{\"seq\":%llu,\"t\":%llu,\"pad\":\"",
			(unsigned long long)(i / o->channels), (unsigned long long)now_ns());
	if (head < 0 || (size_t)head + 2 > o->size)
		die("--size %zu is too small: a message needs 64", o->size);
	memset(body + head, 'x', o->size - 2 - (size_t)head);
	memcpy(body + o->size - 2, "\"}", 2);
	if (redisAppendCommand(redis, "PUBLISH %s %b", channel, body, o->size) != REDIS_OK)
		die("redis: %s", redis->errstr);
}

/* Returns how many connections the n oldest unanswered messages reached. */
static uint64_t
take_replies(redisContext *redis, uint64_t n)
{
	uint64_t receivers = 0;
	void *answer;

	for (; n > 0; n--) {
		redisReply *reply;

		if (redisGetReply(redis, &answer) != REDIS_OK)
			die("redis: %s", redis->errstr);
		reply = answer;
		if (reply->type != REDIS_REPLY_INTEGER)
			die("redis: %s", reply->str == NULL ? "unexpected reply" : reply->str);
		receivers += (uint64_t)reply->integer;
		freeReplyObject(reply);
	}
	return receivers;
}

static void
sleep_until(uint64_t at_ns)
{
	struct timespec ts = {
	    .tv_sec = (time_t)(at_ns / NS_PER_S),
	    .tv_nsec = (long)(at_ns % NS_PER_S),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) != 0)
		;
}

/* How many messages may have been sent by now_at_ns: what the rate allows, from the first on. */
static uint64_t
due(const struct options *o, uint64_t start_ns, uint64_t at_ns)
{
	uint64_t n = o->count;

	if (o->rate > 0)
		n = (at_ns - start_ns) * o->rate / NS_PER_S + 1;
	return n < o->count ? n : o->count;
}

int
main(int argc, char **argv)
{
	struct options o = {
	    .channel = "bench", .channels = 1, .count = 1000, .size = 200, .seconds = 60};
	uint64_t start_ns, end_ns, sent = 0, receivers = 0;
	redisContext *redis;

	parse_options(&o, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	redis = redis_open(o.to);
	start_ns = now_ns();
	end_ns = start_ns + o.seconds * NS_PER_S;
	while (sent < o.count && now_ns() < end_ns) {
		uint64_t n = due(&o, start_ns, now_ns()) - sent;

		if (n == 0) {
			sleep_until(start_ns + (sent * NS_PER_S + o.rate - 1) / o.rate);
			continue;
		}
		if (n > PIPELINE)
			n = PIPELINE;
		for (uint64_t i = 0; i < n; i++)
			append_message(redis, &o, sent + i);
		receivers += take_replies(redis, n);
		sent += n;
	}
	printf("{\"published\":%llu,\"receivers\":%llu,\"seconds\":%.6f}\n",
	       (unsigned long long)sent, (unsigned long long)receivers,
	       (double)(now_ns() - start_ns) / 1e9);
	redisFree(redis);
	return sent == o.count ? 0 : 1;
}
