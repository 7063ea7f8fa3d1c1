/*
 * test_stream_entry.c - what Redis says of streams: is it an entry; and does a place still hold, of
 * which XINFO says what there is now?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "redis/stream_entry.h"

static redisReply *
reply_of(const char *text)
{
	redisReader *reader = redisReaderCreate();
	void *reply = NULL;

	assert_int_equal(redisReaderFeed(reader, text, strlen(text)), REDIS_OK);
	assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
	assert_non_null(reply);
	redisReaderFree(reader);
	return reply;
}

static void
shapes(void **state)
{
	static const struct {
		const char *name, *text;
		bool is_entry;
	} cases[] = {
	    {"an entry", "*2\r\n$3\r\n5-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n", true},
	    {"no fields", "*2\r\n$3\r\n5-1\r\n*0\r\n", true},
	    {"deleted", "*2\r\n$3\r\n5-1\r\n*-1\r\n", false},
	    {"nil", "*-1\r\n", false},
	    {"one element", "*1\r\n$3\r\n5-1\r\n", false},
	    {"three", "*3\r\n$3\r\n5-1\r\n*0\r\n*0\r\n", false},
	    {"a number as id", "*2\r\n:5\r\n*0\r\n", false},
	    {"no id", "*2\r\n$3\r\n5-x\r\n*0\r\n", false},
	    {"a string as fields", "*2\r\n$3\r\n5-1\r\n$1\r\na\r\n", false},
	    {"an error", "-NOPERM no\r\n", false},
	};
	struct stream_entry entry;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		redisReply *reply = reply_of(cases[i].text);

		if (stream_entry_parse(&entry, reply) != cases[i].is_entry)
			fail_msg("%s", cases[i].name);
		freeReplyObject(reply);
	}
}

#define PLACE(last_ms, added, first_ms) \
	{ \
		.last = {last_ms, 0}, .n_added = (added), .first = { first_ms, 0 } \
	}
#define INFO(first_ms, newest_ms, len, added) \
	{ \
		.first = {first_ms, 0}, .newest = {newest_ms, 0}, .length = (len), \
		.n_added = (added) \
	}

/* {last, n_added, first} of the place, and {first, newest, length, n_added} of what there is. */
static const struct {
	const char *name;
	struct stream_place place;
	struct stream_info info;
	enum stream_change change;
	struct stream_place then;
	bool was_away;
} places[] = {
    {"nothing happened", PLACE(9, 5, 0), INFO(5, 9, 5, 5), STREAM_SAME, PLACE(9, 5, 0), false},
    {"two more", PLACE(9, 5, 0), INFO(5, 11, 7, 7), STREAM_SAME, PLACE(9, 5, 0), false},
    {"trimmed up to the place", PLACE(9, 5, 0), INFO(10, 11, 2, 7), STREAM_SAME, PLACE(9, 5, 0),
     false},
    {"and beyond it", PLACE(9, 5, 0), INFO(11, 11, 1, 7), STREAM_TRIMMED, PLACE(9, 6, 0), false},
    {"all is gone", PLACE(9, 5, 0), INFO(0, 11, 0, 7), STREAM_TRIMMED, PLACE(9, 7, 0), false},
    {"all that was had is gone", PLACE(9, 5, 0), INFO(0, 9, 0, 5), STREAM_SAME, PLACE(9, 5, 0),
     false},
    {"there is no such key", PLACE(9, 5, 0), INFO(0, 0, 0, 0), STREAM_BEGAN_ANEW, PLACE(0, 0, 0),
     false},
    {"lower ids", PLACE(9, 5, 0), INFO(1, 2, 2, 2), STREAM_BEGAN_ANEW, PLACE(0, 0, 0), false},
    {"newer ids, fewer than we had", PLACE(9, 5, 0), INFO(20, 21, 2, 2), STREAM_TRIMMED,
     PLACE(9, 0, 0), false},
    {"newer ids, more than we had", PLACE(9, 2, 0), INFO(20, 25, 6, 6), STREAM_TRIMMED,
     PLACE(9, 0, 0), false},
    {"the same newest id, but another stream", PLACE(9, 5, 0), INFO(9, 9, 1, 1), STREAM_BEGAN_ANEW,
     PLACE(0, 0, 0), false},
    {"which may have lost entries, after the connection broke", PLACE(9, 5, 0), INFO(9, 9, 1, 1),
     STREAM_TRIMMED, PLACE(9, 1, 0), true},
    {"what was not counted, as deleted before it was read", PLACE(9, 4, 0), INFO(5, 9, 4, 5),
     STREAM_SAME, PLACE(9, 5, 0), false},
    {"from an empty stream", PLACE(0, 0, 0), INFO(3, 4, 2, 2), STREAM_SAME, PLACE(0, 0, 0), false},
    {"Redis does not count", PLACE(9, 0, 0), INFO(5, 11, 7, 0), STREAM_SAME, PLACE(9, 0, 0), false},
    {"nor say what was trimmed", PLACE(9, 0, 0), INFO(10, 11, 2, 0), STREAM_TRIMMED, PLACE(9, 0, 0),
     false},
    {"its end is lost", PLACE(9, 5, 5), INFO(5, 7, 3, 3), STREAM_CUT_SHORT, PLACE(7, 3, 5), true},
    {"its end is lost, and its beginning was trimmed", PLACE(9, 5, 6), INFO(5, 7, 2, 3),
     STREAM_CUT_SHORT, PLACE(7, 3, 5), true},
    {"its end is lost, and Redis does not count", PLACE(9, 0, 5), INFO(5, 7, 3, 0),
     STREAM_CUT_SHORT, PLACE(7, 0, 5), true},
    {"all of it is lost", PLACE(9, 5, 5), INFO(0, 0, 0, 0), STREAM_BEGAN_ANEW, PLACE(0, 0, 0),
     true},
    {"it begins elsewhere, after the connection broke", PLACE(9, 5, 5), INFO(1, 2, 2, 2),
     STREAM_BEGAN_ANEW, PLACE(0, 0, 0), true},
    {"it ends earlier, and the connection did not break", PLACE(9, 5, 5), INFO(5, 7, 3, 3),
     STREAM_BEGAN_ANEW, PLACE(0, 0, 0), false},
};

static void
a_place(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct stream_place place = places[i].place;
		enum stream_change change;

		if (places[i].was_away)
			stream_place_doubt(&place);
		change = stream_place_look(&place, &places[i].info);

		if (change != places[i].change ||
		    stream_id_compare(&place.last, &places[i].then.last) != 0 ||
		    place.n_added != places[i].then.n_added)
			fail_msg("%s: %d, %llu entries", places[i].name, change,
				 (unsigned long long)place.n_added);
	}
}

enum { IDS_MAX = 64 };

/* What XREVRANGE TO - COUNT 1 says of a stream with these entries, in order. */
static redisReply *
newest_up_to(const struct stream_id *to, const uint64_t *ids, unsigned n)
{
	char text[96], id[STREAM_ID_TEXT];
	struct stream_id one;

	while (n > 0 && ids[n - 1] > to->ms)
		n--;
	if (n == 0)
		return reply_of("*0\r\n");
	one = (struct stream_id){ids[n - 1], 0};
	stream_id_print(id, &one);
	snprintf(text, sizeof(text), "*1\r\n*2\r\n$%zu\r\n%s\r\n*0\r\n", strlen(id), id);
	return reply_of(text);
}

/* Asks until no more is asked. Returns how often. */
static unsigned
ask_all(struct stream_place *place, const uint64_t *ids, unsigned n)
{
	struct stream_id id;
	unsigned n_asked = 0;

	while (stream_place_asks(place, &id)) {
		redisReply *reply = newest_up_to(&id, ids, n);

		stream_place_answer(place, reply);
		freeReplyObject(reply);
		assert_true(++n_asked <= STREAM_HAD_MAX);
	}
	return n_asked;
}

static unsigned
count_ids(const uint64_t *ids)
{
	unsigned n = 0;

	while (ids[n] != 0)
		n++;
	return n;
}

static struct stream_info
info_of(const uint64_t *ids, unsigned n, unsigned n_trimmed)
{
	struct stream_info info = {.length = n, .n_added = n + n_trimmed, .is_newest_there = n > 0};

	if (n > 0) {
		info.first.ms = ids[0];
		info.newest.ms = ids[n - 1];
	}
	return info;
}

/*
 * began and had: the stream when it was first looked at, and what was read since. there: what the
 * new server has. last: where it goes on; n_added: as that server counts.
 */
static const struct fail_over {
	const char *name;
	uint64_t began[IDS_MAX], had[IDS_MAX], there[IDS_MAX];
	unsigned n_trimmed; /* of what is there */
	uint64_t deleted;
	enum stream_change change;
	uint64_t last, n_added;
} fail_overs[] = {
    {"nothing is lost", {1, 2}, {3}, {1, 2, 3}, 0, 0, STREAM_SAME, 3, 3},
    {"nor is what is new", {1, 2}, {3}, {1, 2, 3, 4, 5}, 0, 0, STREAM_SAME, 3, 3},
    {"the last, and another is older", {1, 2}, {4}, {1, 2, 3, 5}, 0, 0, STREAM_CUT_SHORT, 2, 2},
    {"many of both, by turns",
     {1},
     {2, 4, 6, 8, 10},
     {1, 2, 3, 5, 7, 9, 11, 12},
     0,
     0,
     STREAM_CUT_SHORT,
     2,
     2},
    {"the last, and nothing is new", {1, 2}, {3, 4}, {1, 2, 3}, 0, 0, STREAM_CUT_SHORT, 3, 3},
    {"the last, and what is new is newer", {1, 2}, {3}, {1, 2, 5}, 0, 0, STREAM_CUT_SHORT, 2, 2},
    {"all since the beginning", {1, 2}, {4, 6}, {1, 2, 3, 5, 7}, 0, 0, STREAM_CUT_SHORT, 2, 2},
    {"all of what began empty", {0}, {2, 4}, {1, 3, 5}, 0, 0, STREAM_CUT_SHORT, 0, 0},
    {"and nothing is older", {0}, {2, 4}, {5, 6}, 0, 0, STREAM_TRIMMED, 4, 0},
    {"trimmed up to the place", {1, 2}, {3}, {4, 5}, 3, 0, STREAM_SAME, 3, 3},
    {"trimmed beyond the place", {1, 2}, {3}, {5}, 4, 0, STREAM_TRIMMED, 3, 4},
    {"all is trimmed", {1, 2}, {3}, {0}, 5, 0, STREAM_BEGAN_ANEW, 0, 0},
    {"trimmed up to one that is older", {1, 2}, {4}, {3, 5}, 2, 0, STREAM_CUT_SHORT, 2, 2},
    {"the newest was deleted", {1, 2}, {3}, {1, 2, 4}, 1, 3, STREAM_SAME, 3, 3},
    {"deleted and begun anew, with older ids too",
     {3, 5},
     {7},
     {2, 4, 6, 8},
     0,
     0,
     STREAM_CUT_SHORT,
     5,
     2},
    {"deleted and begun anew, with older ids", {3, 5}, {7}, {1, 2}, 0, 0, STREAM_BEGAN_ANEW, 0, 0},
    {"more is lost than is remembered",
     {1},
     {3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
      20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36},
     {1, 2, 40, 41},
     0,
     0,
     STREAM_CUT_SHORT,
     5,
     4},
    {"more is lost than is remembered, and nothing is new",
     {1},
     {3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
      20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36},
     {1, 2, 3},
     0,
     0,
     STREAM_CUT_SHORT,
     3,
     3},
    {"as much is lost as is remembered, but one",
     {1},
     {5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
      21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36},
     {1, 5, 40, 41},
     0,
     0,
     STREAM_CUT_SHORT,
     5,
     2},
};

static struct stream_place
place_of(const struct fail_over *c)
{
	struct stream_info info = info_of(c->began, count_ids(c->began), 0);
	struct stream_place place;
	struct stream_id id;

	stream_place_begin(&place, &info);
	for (unsigned k = 0; c->had[k] != 0; k++)
		stream_place_advance(&place, &(struct stream_id){c->had[k], 0});
	assert_false(stream_place_asks(&place, &id)); /* it costs nothing before */
	stream_place_doubt(&place);
	return place;
}

/* The follower reads on, and the connection breaks once more: it was told. */
static void
is_told_once(const struct fail_over *c, struct stream_place *place, const struct stream_info *info)
{
	unsigned n = count_ids(c->there);

	for (unsigned k = 0; k < n; k++) {
		if (c->there[k] > place->last.ms)
			stream_place_advance(place, &(struct stream_id){c->there[k], 0});
	}
	stream_place_doubt(place);
	assert_true(ask_all(place, c->there, n) <= 1);
	if (stream_place_look(place, info) != STREAM_SAME)
		fail_msg("%s: told twice", c->name);
}

static void
after_a_fail_over(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(fail_overs) / sizeof(fail_overs[0]); i++) {
		const struct fail_over *c = &fail_overs[i];
		unsigned n = count_ids(c->there);
		struct stream_info info = info_of(c->there, n, c->n_trimmed);
		struct stream_place place = place_of(c);
		enum stream_change change;

		info.deleted.ms = c->deleted;
		(void)ask_all(&place, c->there, n);
		change = stream_place_look(&place, &info);
		if (change != c->change || place.last.ms != c->last || place.n_added != c->n_added)
			fail_msg("%s: %d, %llu-0, %llu entries", c->name, change,
				 (unsigned long long)place.last.ms,
				 (unsigned long long)place.n_added);
		is_told_once(c, &place, &info);
	}
}

/* A refusal does not keep anybody from the stream, and an answer of another time is not taken. */
static void
no_answer(void **state)
{
	struct stream_info info = {
	    .first = {1, 0}, .newest = {3, 0}, .length = 3, .n_added = 3, .is_newest_there = true};
	redisReply *reply = reply_of("-NOPERM no\r\n");
	struct stream_place place;
	struct stream_id id;

	(void)state;
	stream_place_begin(&place, &info);
	stream_place_doubt(&place);
	assert_true(stream_place_asks(&place, &id));
	stream_place_answer(&place, reply);
	assert_false(stream_place_asks(&place, &id));
	assert_int_equal(stream_place_look(&place, &info), STREAM_SAME);
	assert_false(stream_place_asks(&place, &id));
	freeReplyObject(reply);
}

static void
what_a_client_missed(void **state)
{
	static const struct {
		const char *name;
		struct stream_id from;
		struct stream_info info;
		bool is_lacking;
	} cases[] = {
	    {"its entry is there", {5, 0}, INFO(5, 9, 5, 5), false},
	    {"a later one is the first", {5, 0}, INFO(6, 9, 4, 5), true},
	    {"just before the first", {5, UINT64_MAX}, INFO(6, 9, 4, 9), false},
	    {"all that it missed is gone", {5, 0}, INFO(0, 9, 0, 5), true},
	    {"it missed nothing, and all is gone", {9, 0}, INFO(0, 9, 0, 5), false},
	    {"another stream, from which nothing is gone", {5, 0}, INFO(8, 9, 2, 2), true},
	    {"it saw an empty one", {0, 0}, INFO(8, 9, 2, 2), false},
	    {"and some have gone since", {0, 0}, INFO(8, 9, 2, 3), true},
	    {"there is nothing and never was", {0, 0}, INFO(0, 0, 0, 0), false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (stream_info_lacks(&cases[i].info, &cases[i].from) != cases[i].is_lacking)
			fail_msg("%s", cases[i].name);
	}
}

static void
errors_that_pass(void **state)
{
	static const struct {
		const char *text;
		bool is_passing;
	} cases[] = {
	    {"-LOADING Redis is loading\r\n", true},
	    {"-BUSY a script\r\n", true},
	    {"-BUSYGROUP there is one\r\n", false},
	    {"-NOPERM no\r\n", false},
	    {"-WRONGTYPE no\r\n", false},
	    {"$7\r\nLOADING\r\n", false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		redisReply *reply = reply_of(cases[i].text);

		if (stream_reply_is_passing(reply) != cases[i].is_passing)
			fail_msg("%s", cases[i].text);
		freeReplyObject(reply);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(shapes),
	    cmocka_unit_test(a_place),
	    cmocka_unit_test(after_a_fail_over),
	    cmocka_unit_test(no_answer),
	    cmocka_unit_test(what_a_client_missed),
	    cmocka_unit_test(errors_that_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
