/* What Redis is told of a message, word by word: the same for whoever publishes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "redis/idempotency.h"
#include "redis/publish_argv.h"
#include "redis/recorded.h"

enum { WORDS_MAX = 14 };

static void
words(void **state)
{
	static char p[] = "p:", none[] = "";
	static const struct redis_settings plain = {.prefix = p}, bare = {.prefix = none},
					   cluster = {.prefix = p, .is_cluster = true},
					   shards = {.prefix = none,
						     .is_cluster = true,
						     .is_sharded = true};
	static const struct {
		struct publish_what what;
		const char *words[WORDS_MAX];
	} cases[] = {
	    {{PUBLISH_CHANNEL, &plain, "c", "x\0y", 3, .n_kept = 0}, {"PUBLISH", "p:c", "x\0y"}},
	    {{PUBLISH_CHANNEL, &bare, "c", NULL, 0, .n_kept = 0}, {"PUBLISH", "c", ""}},
	    {{PUBLISH_CHANNEL, &bare, "c", "x", 1, .n_kept = 5}, {"PUBLISH", "c", "x"}},
	    {{PUBLISH_STREAM, &plain, "s", "x", 1, .n_kept = 0}, {"XADD", "p:s", "*", "data", "x"}},
	    {{PUBLISH_STREAM, &bare, "s", "x", 1, .n_kept = 5},
	     {"XADD", "s", "MAXLEN", "~", "5", "*", "data", "x"}},
	    {{PUBLISH_RECORDED, &plain, "c", "x", 1, .n_kept = 7},
	     {"EVAL", RECORDED_SCRIPT, "2", "p:c", "p:c:log", "x", "7"}},
	    {{PUBLISH_CHANNEL, &plain, "c", "x", 1, .idempotency_key = "k", .body = "b",
	      .body_len = 1},
	     {"EVAL", IDEMPOTENCY_SCRIPT, "3", "p:c", "p:c:once:k", "p:c", "x", "86400000",
	      "channel", "0", "b"}},
	    {{PUBLISH_STREAM, &bare, "s", "x", 1, 5, "k", "b", 1},
	     {"EVAL", IDEMPOTENCY_SCRIPT, "3", "s", "s:once:k", "s", "x", "86400000", "stream", "5",
	      "b"}},
	    {{PUBLISH_RECORDED, &bare, "c", "x", 1, 7, "k", "b", 1},
	     {"EVAL", IDEMPOTENCY_SCRIPT, "3", "c", "c:once:k", "c:log", "x", "86400000",
	      "recorded", "7", "b"}},
	    {{PUBLISH_STREAM, &cluster, "s", "x", 1, 5, "k", "b", 1},
	     {"EVAL", IDEMPOTENCY_SCRIPT, "3", "p:s", "{p:s}:once:k", "p:s", "x", "86400000",
	      "stream", "5", "b"}},
	    {{PUBLISH_RECORDED, &shards, "c:{1}", "x", 1, 7, "k", "b", 1},
	     {"EVAL", IDEMPOTENCY_SCRIPT, "3", "c:{1}", "c:{1}:once:k", "c:{1}:log", "x",
	      "86400000", "recorded", "7", "b", "SPUBLISH"}},
	    {{PUBLISH_RECORDED, &shards, "c:{1}", "x", 1, .n_kept = 7},
	     {"EVAL", RECORDED_SCRIPT, "2", "c:{1}", "c:{1}:log", "x", "7", "SPUBLISH"}},
	    {{PUBLISH_CHANNEL, &shards, "c", "x", 1, .n_kept = 0}, {"SPUBLISH", "c", "x"}},
	    {{PUBLISH_CHANNEL, &cluster, "c", "x", 1, .n_kept = 0}, {"PUBLISH", "p:c", "x"}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct publish_argv got;
		int n = 0;

		assert_int_equal(publish_argv(&got, &cases[i].what), 0);
		while (n < WORDS_MAX && cases[i].words[n] != NULL)
			n++;
		assert_int_equal(got.argc, n);
		for (n = 0; n < got.argc; n++) {
			bool is_data = cases[i].words[n][0] == 'x';
			size_t len = is_data ? cases[i].what.len : strlen(cases[i].words[n]);

			assert_int_equal(got.lens[n], len);
			assert_memory_equal(got.argv[n], cases[i].words[n], len);
		}
		publish_argv_fini(&got);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
