/*
 * Each kind of credential alone: what it takes for its own, what it refuses, and what it leaves to
 * the others. The false neighbour is what another kind would take.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "auth/cookie.h"
#include "auth/credential.h"
#include "auth/signed_link.h"
#include "auth/token.h"
#include "logic/template.h"

#define NOW    1000000
#define SECRET "0123456789abcdef0123456789abcdef"

/* A request: variables of CGI, and names with values of the query; each ends with NULL. */
struct request {
	struct asked asked;
	const char *vars[5];
	const char *query;
};

static const char *
variable(const struct asked *a, const char *name)
{
	const struct request *req = (const struct request *)(const void *)a;
	size_t len = strlen(name);

	for (size_t i = 0; req->vars[i] != NULL; i++) {
		if (strncmp(req->vars[i], name, len) == 0 && req->vars[i][len] == '=')
			return req->vars[i] + len + 1;
	}
	return NULL;
}

static const char *
query(const struct asked *a, const char *name)
{
	const struct request *req = (const struct request *)(const void *)a;

	return strcmp(name, "token") == 0 ? req->query : NULL;
}

static bool
keeps_rule(const struct asked *a, const char *name, const char *value)
{
	(void)a;
	assert_string_equal(name, "cookie");
	return strpbrk(value, ":* ") == NULL;
}

static const char *
named(const struct asked *a, size_t n)
{
	(void)a;
	return n == 0 ? "room" : NULL;
}

static struct request
request_of(const char *a, const char *b)
{
	return (struct request){.asked = {.variable = variable,
					  .query = query,
					  .keeps_rule = keeps_rule,
					  .named = named,
					  .now = NOW},
				.vars = {a, b, NULL}};
}

static struct auth_settings settings = {.jwt = {.user_claim = (char *)"sub"},
					.jwt_cookie = (char *)"token",
					.jwt_query = (char *)"token",
					.session_cookie = (char *)"sid",
					.session_format = &session_format_auto};

static int
set_up(void **state)
{
	char why[128];

	(void)state;
	assert_int_equal(
	    keys_add(&settings.jwt.keys, SECRET, strlen(SECRET), KEYS_OF_VALUE, why, sizeof(why)),
	    0);
	return keys_add(&settings.link_keys, SECRET, strlen(SECRET), KEYS_OF_VALUE, why,
			sizeof(why));
}

static int
tear_down(void **state)
{
	(void)state;
	keys_fini(&settings.jwt.keys);
	keys_fini(&settings.link_keys);
	return 0;
}

/* What it comes to; and whom it names, as "USER" or "401 WHY". */
static void
expect(const struct credential *cr, const struct request *req, enum finding wanted,
       const char *said)
{
	struct identity who = {0};
	struct refusal no = {0};
	enum finding found = cr->find(&settings, &req->asked, &who, &no);
	char text[512] = "";

	if (found == FOUND_RIGHT)
		snprintf(text, sizeof(text), "%s", who.user != NULL ? who.user : "nobody");
	else if (found == FOUND_WRONG)
		snprintf(text, sizeof(text), "%d %s", no.status, no.why);
	if (found != wanted || strstr(text, said) == NULL)
		fail_msg("%s: %d \"%s\", not %d \"%s\"", cr->word, found, text, wanted, said);
	identity_fini(&who);
}

/* PREFIX and a token of these claims: the caller's. */
static char *
token_of(const char *prefix, const char *json)
{
	struct json_object *claims = json_tokener_parse(json);
	struct buf b;

	buf_init(&b, 8192);
	assert_int_equal(buf_puts(&b, prefix), 0);
	assert_int_equal(token_put(&b, &settings.jwt, claims), 0);
	assert_int_equal(buf_putc(&b, '\0'), 0);
	json_object_put(claims);
	return b.p;
}

static void
a_token(void **state)
{
	char *header = token_of("HTTP_AUTHORIZATION=Bearer ", "{\"sub\":\"zoe\"}");
	char *cookie = token_of("HTTP_COOKIE=a=b; token=", "{\"sub\":7,\"exp\":1000100}");
	char *other = token_of("HTTP_AUTHORIZATION=Bearer ", "{\"sub\":[1]}"), *bare;
	struct request req = request_of(header, NULL);

	(void)state;
	expect(&credential_jwt, &req, FOUND_RIGHT, "zoe");
	req = request_of(cookie, NULL);
	expect(&credential_jwt, &req, FOUND_RIGHT, "7");
	req = request_of(cookie, header); /* the header counts first */
	expect(&credential_jwt, &req, FOUND_RIGHT, "zoe");
	req = request_of(NULL, NULL);
	expect(&credential_jwt, &req, FOUND_NONE, "");
	req.query = bare = token_of("", "{\"sub\":\"max\"}");
	expect(&credential_jwt, &req, FOUND_RIGHT, "max");
	req = request_of(other, NULL);
	expect(&credential_jwt, &req, FOUND_WRONG, "403 the claim that names the user");
	req = request_of("HTTP_AUTHORIZATION=Bearer x", cookie);
	expect(&credential_jwt, &req, FOUND_WRONG, "401 it has not three parts");
	req = request_of("HTTP_AUTHORIZATION=Basic eA==", "HTTP_COOKIE=sid=1; tokens=x");
	expect(&credential_jwt, &req, FOUND_NONE, "");
	req = request_of("HTTP_COOKIE=token=a; token=b", NULL);
	expect(&credential_jwt, &req, FOUND_WRONG, "two cookies");
	free(header);
	free(cookie);
	free(other);
	free(bare);
}

static void
a_session(void **state)
{
	struct identity zoe = {.user = (char *)"zoe", .session = (char *)"a,b"};
	const struct session_answer there = {.state = SESSION_THERE, .id = &zoe},
				    none = {.state = SESSION_NONE, .no = {403, "of another type"}},
				    away = {.state = SESSION_AWAY};
	struct request req = request_of("HTTP_COOKIE=sid=a%2Cb", NULL);
	struct identity who = {0};
	struct refusal no;

	(void)state;
	assert_int_equal(credential_session.find(&settings, &req.asked, &who, &no), FOUND_LATER);
	assert_string_equal(who.session, "a,b");
	identity_fini(&who);
	req.asked.session = &there;
	expect(&credential_session, &req, FOUND_RIGHT, "zoe");
	req.asked.session = &none;
	expect(&credential_session, &req, FOUND_WRONG, "403 of another type");
	req.asked.session = &away;
	expect(&credential_session, &req, FOUND_AWAY, "");
	req = request_of("HTTP_COOKIE=sid=a%3Ab", NULL);
	expect(&credential_session, &req, FOUND_WRONG, "403 the cookie breaks its rule");
	req = request_of("HTTP_COOKIE=sid=", NULL);
	expect(&credential_session, &req, FOUND_WRONG, "401");
	req = request_of("HTTP_COOKIE=xsid=1; token=2", "HTTP_AUTHORIZATION=Bearer x");
	expect(&credential_session, &req, FOUND_NONE, "");
}

/* REQUEST_URI=, the signed link and what a client adds: the caller's. */
static char *
link_of(const char *uri, const char *more)
{
	struct buf b;
	char *text;

	buf_init(&b, 4096);
	assert_int_equal(signed_link_put(&b, uri, &settings.link_keys), 0);
	assert_true(asprintf(&text, "REQUEST_URI=%.*s%s", (int)b.len, b.p, more) > 0);
	buf_fini(&b);
	return text;
}

static void
a_link(void **state)
{
	static const struct {
		const char *uri, *more;
		bool is_post, is_publishing;
		enum finding found;
		const char *said;
	} cases[] = {
	    {"/x?expires=1000001&user=zoe", "", false, false, FOUND_RIGHT, "zoe"},
	    {"/x?expires=1000001", "&lastEventID=1&mode=poll&after=1&timeout=9&utm=1", false, false,
	     FOUND_RIGHT, "nobody"},
	    {"/x?expires=1000001", "&ack=1-0", true, false, FOUND_RIGHT, "nobody"},
	    {"/x?expires=1000001", "&ack=1-0", false, false, FOUND_WRONG, "401 what follows"},
	    {"/x?expires=1000001", "&connection=1", true, false, FOUND_RIGHT, "nobody"},
	    {"/x?expires=1000001", "&room=1", false, false, FOUND_WRONG, "401 what follows"},
	    {"/x?expires=1000001", "&%72oom=1", false, false, FOUND_WRONG, "401 what follows"},
	    {"/x?expires=1000001", "&x&user=eve", false, false, FOUND_WRONG, "401 what follows"},
	    {"/x?expires=1000001", "&token=1", false, false, FOUND_WRONG, "401 what follows"},
	    {"/x?expires=1000001", "&s=1", true, false, FOUND_WRONG, "401 what follows"},
	    {"/x?expires=1000001", "&%zz=1", false, false, FOUND_WRONG, "401 what follows"},
	    {"/x?expires=1000001", "", true, true, FOUND_WRONG, "403 it is signed to read"},
	    {"/x?expires=1000001&may=publish", "", true, true, FOUND_RIGHT, "nobody"},
	    {"/x?expires=1000001", "&may=publish", true, true, FOUND_WRONG, "401 what follows"},
	    {"/x?expires=9", "", false, false, FOUND_WRONG, "401 it has expired"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *uri = link_of(cases[i].uri, cases[i].more);
		struct request req = request_of(uri, NULL);

		req.asked.is_post = cases[i].is_post;
		req.asked.is_publishing = cases[i].is_publishing;
		expect(&credential_signed, &req, cases[i].found, cases[i].said);
		free(uri);
	}
	for (const char *const *uri =
		 (const char *const[]){"REQUEST_URI=/x?user=zoe&expires=2000000",
				       "REQUEST_URI=http://signature",
				       "HTTP_AUTHORIZATION=Bearer x", NULL};
	     *uri != NULL; uri++) {
		struct request req = request_of(*uri, "HTTP_COOKIE=sid=1");

		expect(&credential_signed, &req, FOUND_NONE, "");
	}
}

static void
whom_the_web_server_knows(void **state)
{
	struct request req = request_of("REMOTE_USER=zoe", "AUTH_TYPE=Basic");

	(void)state;
	expect(&credential_remote_user, &req, FOUND_RIGHT, "zoe");
	req = request_of("REMOTE_USER=zoe", "HTTP_COOKIE=sid=1; token=2");
	expect(&credential_remote_user, &req, FOUND_NONE, "");
	req = request_of("AUTH_TYPE=Basic", "HTTP_REMOTE_USER=zoe");
	expect(&credential_remote_user, &req, FOUND_NONE, "");
}

/* Words are unique, and "none" asks for nothing. */
static void
the_table(void **state)
{
	static const struct auth_settings nothing;
	struct request req = request_of("HTTP_AUTHORIZATION=Bearer x", NULL);

	(void)state;
	expect(&credential_none, &req, FOUND_RIGHT, "nobody");
	for (size_t i = 0; credentials[i] != NULL; i++) {
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(credentials[i]->word, credentials[k]->word);
		assert_true((credentials[i]->missing(&nothing) == NULL) ==
			    (credentials[i] == &credential_none ||
			     credentials[i] == &credential_remote_user));
	}
}

static void
cookies(void **state)
{
	static const struct {
		const char *header, *value;
		int rc;
	} cases[] = {
	    {NULL, "", 0},
	    {"", "", 0},
	    {"sid=1", "1", 1},
	    {"a=b; sid=1; c=d", "1", 1},
	    {"a=b, sid=1", "1", 1},
	    {"sid=1; sid=1", "1", 1},
	    {"sid=1; sid=2", "", -22},
	    {"sid=1; sid=%31", "", -22},
	    {"xsid=1; sidx=2; SID=3", "", 0},
	    {"sid=a%2Cb%2525", "a,b%25", 1},
	    {"sid=a+b", "a+b", 1},
	    {"sid=%zz", "%zz", 1},
	    {"sid=%00a", "%00a", 1},
	    {"sid=12345678", "12345678", 1},
	    {"sid=123456789", "", -22},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char value[16 + 1] = "";

		if (cookie_find(cases[i].header, "sid", value,
				strstr(cases[i].header != NULL ? cases[i].header : "", "%25")
				    ? 16
				    : 8) != cases[i].rc ||
		    (cases[i].rc == 1 && strcmp(value, cases[i].value) != 0))
			fail_msg("%s: \"%s\"", cases[i].header, value);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_token),   cmocka_unit_test(a_session),
	    cmocka_unit_test(a_link),    cmocka_unit_test(whom_the_web_server_knows),
	    cmocka_unit_test(the_table), cmocka_unit_test(cookies),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
