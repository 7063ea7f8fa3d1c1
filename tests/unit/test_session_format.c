/*
 * How sites write their sessions: cookies made here by the frameworks' documented algorithms, and
 * the false neighbours of each, which let nobody in.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/session_format.h"

#define SECRET "a secret of the site's own"
#define OLD    "the one before that secret"

static struct session_secrets secrets;

static int
set_up(void **state)
{
	static const char lines[] = SECRET "\r\n\n" OLD "\n";
	const char *why;

	(void)state;
	return session_secrets_add(&secrets, lines, sizeof(lines) - 1, &why);
}

static int
tear_down(void **state)
{
	(void)state;
	session_secrets_fini(&secrets);
	return 0;
}

/* What the cookie comes to: the name, or the reason. */
static void
expect(const struct session_format *format, const char *cookie, const char *wanted)
{
	const char *why = "";
	struct buf name;
	int rc;

	buf_init(&name, SESSION_COOKIE_MAX);
	rc = format->open(&secrets, cookie, &name, &why);
	assert_true(rc == 0 || rc == -EINVAL);
	assert_int_equal(buf_putc(&name, '\0'), 0);
	if (rc == 0 ? strcmp(name.p, wanted) != 0 : strstr(why, wanted) == NULL || *wanted == '\0')
		fail_msg("%s: %s", cookie, rc == 0 ? name.p : why);
	buf_fini(&name);
}

/* Every other byte in any place of the cookie: none lets in. */
static void
expect_every_byte_counts(const struct session_format *format, const char *cookie)
{
	char *changed = strdup(cookie);
	const char *why;
	struct buf name;

	for (size_t i = 0; i < strlen(cookie); i++) {
		for (const char *c = "aZ0-_.:=+"; *c != '\0'; c++) {
			if (cookie[i] == *c)
				continue;
			changed[i] = *c;
			buf_init(&name, SESSION_COOKIE_MAX);
			if (format->open(&secrets, changed, &name, &why) == 0)
				fail_msg("%s is taken", changed);
			buf_fini(&name);
		}
		changed[i] = cookie[i];
	}
	free(changed);
}

/* Secrets */

static void
secrets_of_a_file(void **state)
{
	static const struct {
		const char *text, *why; /* NULL: all is well */
	} cases[] = {
	    {SECRET, NULL},
	    {SECRET "\n\n" OLD "\r\n", NULL},
	    {"", "empty"},
	    {"\n\r\n", "empty"},
	    {"\xef\xbb\xbf" SECRET, "byte order mark"},
	    {"fifteen bytes..", "guessed"},
	    {"sixteen bytes...", NULL},
	    {SECRET "\nshort", "guessed"},
	    {SECRET " \n", "blank"},
	    {"\t" SECRET, "blank"},
	};
	struct session_secrets some = {0};
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc = session_secrets_add(&some, cases[i].text, strlen(cases[i].text), &why);

		assert_int_equal(rc, cases[i].why == NULL ? 0 : -EINVAL);
		if (cases[i].why != NULL && strstr(why, cases[i].why) == NULL)
			fail_msg("%s: %s", cases[i].text, why);
		session_secrets_fini(&some);
	}
	assert_int_equal(session_secrets_add(&some, SECRET "\0x", sizeof(SECRET "\0x"), &why),
			 -EINVAL);
	session_secrets_fini(&some);
	assert_int_equal(secrets.n, 2);
	assert_int_equal(secrets.v[0].len, strlen(SECRET));
	assert_memory_equal(secrets.v[0].p, SECRET, strlen(SECRET));
}

static void
too_many_secrets(void **state)
{
	struct session_secrets some = {0};
	const char *why;
	int rc = 0;

	(void)state;
	for (size_t i = 0; i < SESSION_SECRETS_MAX && rc == 0; i++)
		rc = session_secrets_add(&some, SECRET, strlen(SECRET), &why);
	assert_int_equal(rc, 0);
	assert_int_equal(session_secrets_add(&some, SECRET, strlen(SECRET), &why), -EINVAL);
	assert_string_equal(why, "there are more than 8 lines");
	session_secrets_fini(&some);
}

/* Express */

/* s:ID.MAC, by the secret: the caller's. */
static char *
express_cookie(const char *id, const char *secret)
{
	unsigned char mac[32], text[45];
	unsigned len = 0;
	char *cookie;

	assert_non_null(HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)id,
			     strlen(id), mac, &len));
	EVP_EncodeBlock(text, mac, 32);
	assert_true(asprintf(&cookie, "s:%s.%.43s", id, text) > 0);
	return cookie;
}

static void
express(void **state)
{
	static const char not_so[] = "not s:ID.SIGNATURE", not_by[] = "not by the secret";
	static const struct {
		const char *cookie, *why;
	} cases[] = {
	    {"", not_so},     {"s:", not_so},        {"s:.", not_so},       {"s.x", not_so},
	    {"abc", not_so},  {"j:{}", not_so},      {"s:abc", not_so},     {"abc.def", not_so},
	    {"s:a.", not_by}, {"s:abc.def", not_by}, {"s:a.b.c.d", not_by},
	};
	char *mine = express_cookie("k3-_x.Y", SECRET), *old = express_cookie("abc", OLD),
	     *other = express_cookie("abc", SECRET "!"), *padded;

	(void)state;
	expect(&session_format_express, mine, "k3-_x.Y");
	expect(&session_format_express, old, "abc");
	expect(&session_format_express, other, not_by);
	assert_true(asprintf(&padded, "%s=", mine) > 0);
	expect(&session_format_express, padded, not_by);
	expect_every_byte_counts(&session_format_express, mine);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(&session_format_express, cases[i].cookie, cases[i].why);
	assert_int_equal(secrets.n, 2);
	free(mine);
	free(old);
	free(other);
	free(padded);
}

/* What Redis keeps */

static void
what_is_read(void **state)
{
	static const struct {
		const struct session_format *format;
		const char *text, *json; /* NULL: none */
	} cases[] = {
	    {&session_format_auto, "{\"user\":7}", "{\"user\":7}"},
	    {&session_format_auto, "user|i:7;", "{\"user\":7}"},
	    {&session_format_auto, "x", NULL},
	    {&session_format_express, "{\"user\":7}", "{\"user\":7}"},
	    {&session_format_express, "user|i:7;", NULL},
	    {&session_format_express, "{\"user\":7", NULL},
	    {&session_format_express, "", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_object *got =
		    cases[i].format->read(cases[i].text, strlen(cases[i].text));

		if (cases[i].json == NULL)
			assert_null(got);
		else
			assert_string_equal(
			    json_object_to_json_string_ext(got, JSON_C_TO_STRING_PLAIN),
			    cases[i].json);
		json_object_put(got);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(secrets_of_a_file),
	    cmocka_unit_test(too_many_secrets),
	    cmocka_unit_test(express),
	    cmocka_unit_test(what_is_read),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
