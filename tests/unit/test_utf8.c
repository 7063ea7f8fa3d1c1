#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "eventstream_parser.h"
/* The module is taken in as source, for what it alone knows. */
#include "sse/utf8.c" /* NOLINT(bugprone-suspicious-include) */

#define TEXT(s) (s), sizeof(s) - 1

/* How much of the bytes is good, and how long the first bad subpart is; 0: none. */
static const struct {
	const char *name, *text;
	size_t len, good, bad;
} cases[] = {
    {"empty", TEXT(""), 0, 0},
    {"ASCII", TEXT("abc"), 3, 0},
    {"NUL", TEXT("a\0b"), 3, 0},
    {"eight of ASCII", TEXT("abcdefgh"), 8, 0},
    {"U+0080", TEXT("\xC2\x80"), 2, 0},
    {"U+07FF", TEXT("\xDF\xBF"), 2, 0},
    {"U+0800", TEXT("\xE0\xA0\x80"), 3, 0},
    {"U+D7FF", TEXT("\xED\x9F\xBF"), 3, 0},
    {"U+E000", TEXT("\xEE\x80\x80"), 3, 0},
    {"U+FFFE", TEXT("\xEF\xBF\xBE"), 3, 0},
    {"U+10000", TEXT("\xF0\x90\x80\x80"), 4, 0},
    {"U+10FFFF", TEXT("\xF4\x8F\xBF\xBF"), 4, 0},
    {"overlong NUL", TEXT("a\xC0\x80"), 1, 1},
    {"overlong slash", TEXT("\xC0\xAF"), 0, 1},
    {"overlong U+007F", TEXT("\xC1\xBF"), 0, 1},
    {"overlong of three", TEXT("\xE0\x9F\xBF"), 0, 1},
    {"overlong of four", TEXT("\xF0\x8F\xBF\xBF"), 0, 1},
    {"surrogate U+D800", TEXT("\xED\xA0\x80"), 0, 1},
    {"surrogate U+DFFF", TEXT("\xED\xBF\xBF"), 0, 1},
    {"U+110000", TEXT("\xF4\x90\x80\x80"), 0, 1},
    {"F5", TEXT("\xF5\x80\x80\x80"), 0, 1},
    {"FF", TEXT("ab\xFF"), 2, 1},
    {"lone continuation", TEXT("\x80"), 0, 1},
    {"one too many", TEXT("\xC3\xA4\xA4"), 2, 1},
    {"cut after 1 of 2", TEXT("\xC3"), 0, 1},
    {"cut after 1 of 3", TEXT("\xE2"), 0, 1},
    {"cut after 2 of 3", TEXT("\xE2\x82"), 0, 2},
    {"cut after 1 of 4", TEXT("\xF0"), 0, 1},
    {"cut after 2 of 4", TEXT("\xF0\x9F"), 0, 2},
    {"cut after 3 of 4", TEXT("\xF0\x9F\x98"), 0, 3},
    {"broken by ASCII", TEXT("\xF0\x9F\x98z"), 0, 3},
    {"broken by a lead byte", TEXT("\xE2\x82\xC3\xA4"), 0, 2},
    {"bad behind a word of ASCII", TEXT("abcdefgh\x80"), 8, 1},
    {"bad as the last of a word", TEXT("abcdefg\x80"), 7, 1},
    {"across two words", TEXT("abcdefg\xC3\xA4z"), 10, 0},
};

/* Each case ends right before a page that cannot be read, so that a byte too far is a crash. */
static void
table(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *map =
	    mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(map != MAP_FAILED);
	assert_int_equal(mprotect(map + page, page, PROT_NONE), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *p = map + page - cases[i].len;

		print_message("%s\n", cases[i].name);
		memcpy(p, cases[i].text, cases[i].len);
		assert_int_equal(utf8_valid_len(p, cases[i].len), cases[i].good);
		assert_int_equal(cases[i].bad != 0, cases[i].good < cases[i].len);
		if (cases[i].bad != 0)
			assert_int_equal(bad_len(p + cases[i].good, cases[i].len - cases[i].good),
					 cases[i].bad);
	}
	munmap(map, 2 * page);
}

/* The words that are looked at whole hide no byte, wherever in one it stands. */
static void
each_place(void **state)
{
	(void)state;
	for (size_t at = 0; at < 24; at++) {
		char text[24];

		memset(text, 'a', sizeof(text));
		text[at] = '\x80';
		assert_int_equal(utf8_valid_len(text, sizeof(text)), at);
		assert_int_equal(utf8_valid_len(text, at), at);
	}
}

/* What the decoder of the Encoding standard makes of the bytes, by ours. */
static void
assert_as_decoded(const unsigned char *bytes, size_t len)
{
	const char *p = (const char *)bytes;
	struct es_text want = {0}, got = {0};
	size_t n_want = es_decode(&want, p, len), n_got = 0;

	while (len > 0) {
		size_t good = utf8_valid_len(p, len), bad = 0;

		es_add(&got, p, good);
		if (good < len) {
			bad = bad_len(p + good, len - good);
			assert_in_range(bad, 1, 3);
			es_add(&got, "\xEF\xBF\xBD", 3);
			n_got++;
		}
		p += good + bad;
		len -= good + bad;
	}
	if (n_got != n_want || !es_is(&got, want.p, want.len))
		fail_msg("%02x %02x %02x %02x: %zu errors, wanted %zu", bytes[0], bytes[1],
			 bytes[2], bytes[3], n_got, n_want);
	free(want.p);
	free(got.p);
}

/* All first and second bytes, followed by what stands at the edges of the ranges. */
static void
all_sequences(void **state)
{
	static const unsigned char edges[] = {0x00, 0x7F, 0x80, 0x8F, 0x90,
					      0x9F, 0xA0, 0xBF, 0xC2, 0xF4};

	(void)state;
	for (unsigned lead = 0; lead < 0x10000; lead++) {
		for (size_t i = 0; i < 100; i++) {
			unsigned char bytes[4] = {(unsigned char)(lead >> 8), (unsigned char)lead,
						  edges[i / 10], edges[i % 10]};

			if (lead < 0xC000 && i > 0)
				break; /* nothing hangs on what follows */
			assert_as_decoded(bytes, sizeof(bytes));
			if (i == 0)
				assert_as_decoded(bytes, 2);
			if (i % 10 == 0)
				assert_as_decoded(bytes, 3);
		}
	}
}

/* Every scalar value is valid whole, and is one subpart when it is cut. */
static void
all_characters(void **state)
{
	(void)state;
	for (uint32_t c = 0; c <= 0x10FFFF; c++) {
		struct es_text t = {0};

		if (c >= 0xD800 && c <= 0xDFFF)
			continue;
		es_add_code_point(&t, c);
		assert_int_equal(utf8_valid_len(t.p, t.len), t.len);
		for (size_t len = 1; len < t.len; len++) {
			assert_int_equal(utf8_valid_len(t.p, len), 0);
			assert_int_equal(bad_len(t.p, len), len);
		}
		free(t.p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table),
	    cmocka_unit_test(each_place),
	    cmocka_unit_test(all_sequences),
	    cmocka_unit_test(all_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
