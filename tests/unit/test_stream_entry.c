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

/* {last, n_added, first} of the place, and {first, newest, length, n_added} of what there is. */
static const struct {
	const char *name;
	struct stream_place place;
	struct stream_info info;
	enum stream_change change;
	struct stream_place then;
	bool was_away;
} places[] = {
    {"nothing happened",
     {{9, 0}, 5, {0, 0}},
     {{5, 0}, {9, 0}, 5, 5, 0},
     STREAM_SAME,
     {{9, 0}, 5, {0, 0}},
     false},
    {"two more",
     {{9, 0}, 5, {0, 0}},
     {{5, 0}, {11, 0}, 7, 7, 0},
     STREAM_SAME,
     {{9, 0}, 5, {0, 0}},
     false},
    {"trimmed up to the place",
     {{9, 0}, 5, {0, 0}},
     {{10, 0}, {11, 0}, 2, 7, 0},
     STREAM_SAME,
     {{9, 0}, 5, {0, 0}},
     false},
    {"and beyond it",
     {{9, 0}, 5, {0, 0}},
     {{11, 0}, {11, 0}, 1, 7, 0},
     STREAM_TRIMMED,
     {{9, 0}, 6, {0, 0}},
     false},
    {"all is gone",
     {{9, 0}, 5, {0, 0}},
     {{0, 0}, {11, 0}, 0, 7, 0},
     STREAM_TRIMMED,
     {{9, 0}, 7, {0, 0}},
     false},
    {"all that was had is gone",
     {{9, 0}, 5, {0, 0}},
     {{0, 0}, {9, 0}, 0, 5, 0},
     STREAM_SAME,
     {{9, 0}, 5, {0, 0}},
     false},
    {"there is no such key",
     {{9, 0}, 5, {0, 0}},
     {{0, 0}, {0, 0}, 0, 0, 0},
     STREAM_BEGAN_ANEW,
     {{0, 0}, 0, {0, 0}},
     false},
    {"lower ids",
     {{9, 0}, 5, {0, 0}},
     {{1, 0}, {2, 0}, 2, 2, 0},
     STREAM_BEGAN_ANEW,
     {{0, 0}, 0, {0, 0}},
     false},
    {"newer ids, fewer than we had",
     {{9, 0}, 5, {0, 0}},
     {{20, 0}, {21, 0}, 2, 2, 0},
     STREAM_TRIMMED,
     {{9, 0}, 0, {0, 0}},
     false},
    {"newer ids, more than we had",
     {{9, 0}, 2, {0, 0}},
     {{20, 0}, {25, 0}, 6, 6, 0},
     STREAM_TRIMMED,
     {{9, 0}, 0, {0, 0}},
     false},
    {"the same newest id, but another stream",
     {{9, 0}, 5, {0, 0}},
     {{9, 0}, {9, 0}, 1, 1, 0},
     STREAM_TRIMMED,
     {{9, 0}, 1, {0, 0}},
     false},
    {"what was not counted, as deleted before it was read",
     {{9, 0}, 4, {0, 0}},
     {{5, 0}, {9, 0}, 4, 5, 0},
     STREAM_SAME,
     {{9, 0}, 5, {0, 0}},
     false},
    {"from an empty stream",
     {{0, 0}, 0, {0, 0}},
     {{3, 0}, {4, 0}, 2, 2, 0},
     STREAM_SAME,
     {{0, 0}, 0, {0, 0}},
     false},
    {"Redis does not count",
     {{9, 0}, 0, {0, 0}},
     {{5, 0}, {11, 0}, 7, 0, 0},
     STREAM_SAME,
     {{9, 0}, 0, {0, 0}},
     false},
    {"nor say what was trimmed",
     {{9, 0}, 0, {0, 0}},
     {{10, 0}, {11, 0}, 2, 0, 0},
     STREAM_TRIMMED,
     {{9, 0}, 0, {0, 0}},
     false},
    {"its end is lost",
     {{9, 0}, 5, {5, 0}},
     {{5, 0}, {7, 0}, 3, 3, 0},
     STREAM_CUT_SHORT,
     {{7, 0}, 3, {5, 0}},
     true},
    {"its end is lost, and its beginning was trimmed",
     {{9, 0}, 5, {6, 0}},
     {{5, 0}, {7, 0}, 2, 3, 0},
     STREAM_CUT_SHORT,
     {{7, 0}, 3, {5, 0}},
     true},
    {"its end is lost, and Redis does not count",
     {{9, 0}, 0, {5, 0}},
     {{5, 0}, {7, 0}, 3, 0, 0},
     STREAM_CUT_SHORT,
     {{7, 0}, 0, {5, 0}},
     true},
    {"all of it is lost",
     {{9, 0}, 5, {5, 0}},
     {{0, 0}, {0, 0}, 0, 0, 0},
     STREAM_BEGAN_ANEW,
     {{0, 0}, 0, {0, 0}},
     true},
    {"it begins elsewhere, after the connection broke",
     {{9, 0}, 5, {5, 0}},
     {{1, 0}, {2, 0}, 2, 2, 0},
     STREAM_BEGAN_ANEW,
     {{0, 0}, 0, {0, 0}},
     true},
    {"it ends earlier, and the connection did not break",
     {{9, 0}, 5, {5, 0}},
     {{5, 0}, {7, 0}, 3, 3, 0},
     STREAM_BEGAN_ANEW,
     {{0, 0}, 0, {0, 0}},
     false},
};

static void
a_place(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct stream_place place = places[i].place;
		enum stream_change change =
		    stream_place_look(&place, &places[i].info, places[i].was_away);

		if (change != places[i].change ||
		    stream_id_compare(&place.last, &places[i].then.last) != 0 ||
		    place.n_added != places[i].then.n_added)
			fail_msg("%s: %d, %llu entries", places[i].name, change,
				 (unsigned long long)place.n_added);
	}
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
	    {"its entry is there", {5, 0}, {{5, 0}, {9, 0}, 5, 5, 0}, false},
	    {"a later one is the first", {5, 0}, {{6, 0}, {9, 0}, 4, 5, 0}, true},
	    {"just before the first", {5, UINT64_MAX}, {{6, 0}, {9, 0}, 4, 9, 0}, false},
	    {"all that it missed is gone", {5, 0}, {{0, 0}, {9, 0}, 0, 5, 0}, true},
	    {"it missed nothing, and all is gone", {9, 0}, {{0, 0}, {9, 0}, 0, 5, 0}, false},
	    {"another stream, from which nothing is gone", {5, 0}, {{8, 0}, {9, 0}, 2, 2, 0}, true},
	    {"it saw an empty one", {0, 0}, {{8, 0}, {9, 0}, 2, 2, 0}, false},
	    {"and some have gone since", {0, 0}, {{8, 0}, {9, 0}, 2, 3, 0}, true},
	    {"there is nothing and never was", {0, 0}, {{0, 0}, {0, 0}, 0, 0, 0}, false},
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
	    cmocka_unit_test(what_a_client_missed),
	    cmocka_unit_test(errors_that_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
