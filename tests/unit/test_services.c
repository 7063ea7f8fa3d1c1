/*
 * test_services.c - each service: which requests are its own, with those of others beside them, and
 * what it answers. Redis is only pretended.
 */
#include "fake_redis.h"

#include "auth/identity.h"
#include "config/config.h"
#include "hub/hub.h"
#include "redis/command.h"
#include "route/serving.h"
#include "route/site.h"

#define SECRET "0123456789abcdef0123456789abcdef"

static const char config_text[] = "[defaults]\nopen_wait = 50ms\n"
				  "[route s]\npath = /s/{id}\nchannels = s:{id}\nheartbeat = 0\n"
				  "[route p]\npath = /p\nchannels = p\npublish = p\n"
				  "publish_auth = none\n"
				  "[route ps]\npath = /ps\npublish_stream = log\n"
				  "publish_auth = none\n"
				  "[route q]\npath = /q\nhandler = queue\nstreams = jobs\n"
				  "group = g\nack = client\nheartbeat = 0\n"
				  "[route w]\npath = /w/{id}\nhandler = wait\nchannels = w:{id}\n"
				  "[route h]\npath = /h\nhandler = health\n"
				  "[route status]\npath = /status\nhandler = status\n"
				  "[route m]\npath = /m\nhandler = mux\nroutes = *\n"
				  "[route here]\npath = /here\nhandler = presence\n"
				  "channels = here\n"
				  "[route ask]\npath = /ask\nhandler = poll\ncommand = GET x\n";

static struct config *config;
static struct command *command;
static struct hub *hub;
static struct site *site;

/* The program, as handlers see it, in place of app/worker.c */

static const char *state_of_worker = "ok";

bool
worker_redis_is_up(void)
{
	return true;
}

const char *
worker_state(void)
{
	return state_of_worker;
}

bool
worker_trouble(unsigned n, char *text, size_t len)
{
	(void)n;
	(void)text;
	(void)len;
	return false;
}

bool
worker_count(unsigned n, const char **name, unsigned long long *value)
{
	(void)n;
	(void)name;
	(void)value;
	return false;
}

bool
worker_count_is_gauge(unsigned n)
{
	return n == 0;
}

const char *
worker_count_help(unsigned n)
{
	(void)n;
	return "";
}

bool
worker_node(unsigned n, struct worker_node *out)
{
	(void)n;
	(void)out;
	return false;
}

bool
worker_route(unsigned n, struct worker_route *out)
{
	(void)n;
	(void)out;
	return false;
}

unsigned long long
worker_route_count(unsigned route, unsigned n)
{
	return route + n;
}

bool
worker_route_refused(unsigned route, unsigned n, unsigned *status, unsigned long long *value)
{
	(void)route;
	(void)n;
	(void)status;
	(void)value;
	return false;
}

bool
worker_route_took(unsigned route, unsigned n, unsigned *us, unsigned long long *value)
{
	(void)route;
	(void)n;
	(void)us;
	(void)value;
	return false;
}

unsigned long long
worker_route_took_us(unsigned route)
{
	return route;
}

/* Clients */

struct client {
	struct subscriber sub;
	char got[16384];
	size_t len;
	bool is_closed;
};

enum { CLIENTS_MAX = 8 };

static struct client clients[CLIENTS_MAX];
static size_t n_clients;

static enum send_result
client_send(struct subscriber *sub)
{
	struct client *c = (struct client *)(void *)sub;
	struct iovec iov[8];
	int n = 8;

	while (subscriber_gather(sub, iov, &n, sizeof(c->got)) > 0) {
		size_t before = c->len;

		for (int i = 0; i < n; i++) {
			assert_true(c->len + iov[i].iov_len < sizeof(c->got));
			memcpy(c->got + c->len, iov[i].iov_base, iov[i].iov_len);
			c->len += iov[i].iov_len;
		}
		c->got[c->len] = '\0';
		subscriber_sent(sub, c->len - before);
		n = 8;
	}
	if (!subscriber_is_finished(sub))
		return SEND_ALL;
	c->is_closed = true;
	subscriber_close(sub);
	return SEND_GONE;
}

static void
client_abort(struct subscriber *sub)
{
	((struct client *)(void *)sub)->is_closed = true;
	subscriber_close(sub);
}

static const struct subscriber_ops client_ops = {.send = client_send, .abort = client_abort};

/* The variables of one request, as a web server sends them. */
struct sent {
	char text[6][256];
	char *envp[7];
	struct params params;
};

static void
make_request(struct sent *sent, const char *method, const char *uri)
{
	const char *query = strchrnul(uri, '?');

	snprintf(sent->text[0], sizeof(sent->text[0]), "REQUEST_METHOD=%s", method);
	snprintf(sent->text[1], sizeof(sent->text[1]), "REQUEST_URI=%s", uri);
	snprintf(sent->text[2], sizeof(sent->text[2]), "SCRIPT_NAME=%.*s", (int)(query - uri), uri);
	snprintf(sent->text[3], sizeof(sent->text[3]), "QUERY_STRING=%s",
		 *query == '?' ? query + 1 : "");
	snprintf(sent->text[4], sizeof(sent->text[4]), "REMOTE_ADDR=192.0.2.1");
	snprintf(sent->text[5], sizeof(sent->text[5]), "CONTENT_TYPE=application/json");
	for (size_t i = 0; i < 6; i++)
		sent->envp[i] = sent->text[i];
	sent->envp[6] = NULL;
	sent->params.envp = sent->envp;
}

static struct client *
ask(const char *method, const char *uri, const char *body)
{
	struct client *c = &clients[n_clients++];
	struct sent sent;

	assert_true(n_clients <= CLIENTS_MAX);
	memset(c, 0, sizeof(*c));
	subscriber_init(&c->sub, &client_ops);
	make_request(&sent, method, uri);
	site_serve(site, &c->sub, &sent.params, body, strlen(body));
	if (subscriber_has_bytes(&c->sub))
		client_send(&c->sub);
	return c;
}

/* The stage */

static int
set_stage(void **state)
{
	char path[96];
	FILE *f;

	(void)state;
	fake_start();
	n_clients = 0;
	snprintf(path, sizeof(path), "%s/sluice.ini", folder);
	assert_non_null(f = fopen(path, "w"));
	fputs(config_text, f);
	fclose(f);
	assert_int_equal(config_load(&config, path, stderr), 0);
	unlink(path);
	add_url_of_redis("", "");
	assert_int_equal(hub_new(&hub, &loop, servers()), 0);
	assert_int_equal(command_new(&command, &loop, servers(), 1000), 0);
	assert_int_equal(site_new(&site, hub, &loop), 0);
	hub_set_command(hub, command);
	site_set_auth(site, &config->auth, 0, NULL);
	assert_int_equal(
	    site_set_routes(site, config->routes, config->n_routes, config->server.base), 0);
	config->n_routes = 0; /* the site has them */
	RUN_UNTIL(hub_redis_is_up(hub) && command_is_up(command));
	buf_truncate(&heard_commands, 0);
	return 0;
}

static void
on_site_closed(void *arg)
{
	(void)arg;
	hub_free(hub);
}

static int
strike_stage(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_clients; i++) {
		if (!clients[i].is_closed)
			subscriber_close(&clients[i].sub);
	}
	hub_set_command(hub, NULL);
	command_free(command);
	site_close(site, on_site_closed, NULL);
	fake_stop();
	config_free(config);
	return 0;
}

/* Redis says this on a channel, to whichever link follows it. */
static void
say(const char *channel, const char *data)
{
	char text[256];
	struct list *node, *tmp;

	snprintf(text, sizeof(text), "*3\r\n$7\r\nmessage\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n",
		 strlen(channel), channel, strlen(data), data);
	LIST_FOREACH (node, tmp, &redis.peers) {
		if (LIST_ENTRY(node, struct peer, node)->n_subscribed > 0)
			push_text(LIST_ENTRY(node, struct peer, node), text);
	}
}

#define RUN_UNTIL_GOT(c, text) RUN_UNTIL(strstr((c)->got, text) != NULL)

static void
assert_has(const struct client *c, const char *text)
{
	if (strstr(c->got, text) == NULL)
		fail_msg("wanted \"%s\" in \"%s\"", text, c->got);
}

/* Whose a request is */

static void
whose_a_request_is(void **state)
{
	static const struct {
		const char *method, *uri, *service; /* NULL: nobody's, which is 405 */
	} cases[] = {
	    {"GET", "/s/1", "streaming"},
	    {"HEAD", "/s/1", "streaming"},
	    {"GET", "/s/1?mode=ndjson", "streaming"},
	    {"GET", "/s/1?mode=polling", "streaming"},
	    {"GET", "/s/1?mode=poll", "polling"},
	    {"HEAD", "/s/1?mode=poll", "polling"},
	    {"POST", "/s/1", NULL},
	    {"POST", "/s/1?ack=1-0", NULL},
	    {"POST", "/s/1?mode=poll", NULL},
	    {"DELETE", "/s/1", NULL},
	    {"GET", "/p", "streaming"},
	    {"POST", "/p", "posting"},
	    {"POST", "/p?ack=1-0", "posting"},
	    {"PUT", "/p", NULL},
	    {"POST", "/ps", "posting"},
	    {"GET", "/ps", NULL},
	    {"GET", "/q", "queue"},
	    {"GET", "/q?mode=poll", "queue"},
	    {"GET", "/q?ack=1-0", "queue"},
	    {"POST", "/q?ack=1-0", "acking"},
	    {"POST", "/q", "acking"},
	    {"GET", "/w/1", "waiting"},
	    {"GET", "/w/1?mode=poll", "waiting"},
	    {"GET", "/w/1?mode=stream", "waiting"},
	    {"POST", "/w/1", NULL},
	    {"GET", "/h", "short"},
	    {"HEAD", "/h", "short"},
	    {"GET", "/h?mode=stream", "short"},
	    {"POST", "/h", NULL},
	    {"GET", "/status", "short"},
	    {"GET", "/status?mode=poll", "short"},
	    {"GET", "/status?mode=stream", "streaming"},
	    {"GET", "/m", "streaming"},
	    {"POST", "/m", "mux"},
	    {"POST", "/m?ack=1-0", "mux"},
	    {"GET", "/here", "streaming"},
	    {"GET", "/here?mode=poll", "polling"},
	    {"GET", "/here?mode=watch", "streaming"},
	    {"GET", "/ask", "streaming"},
	    {"GET", "/ask?mode=poll", "streaming"},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		const struct service *service;
		const struct route *rt;
		struct request req;
		struct sent sent;
		const char *why;
		size_t n = 0;

		make_request(&sent, cases[i].method, cases[i].uri);
		assert_int_equal(request_read(&req, &sent.params, "", &why), 0);
		while ((rt = site_route(site, n)) != NULL &&
		       !request_match(&req, (struct route *)rt))
			n++;
		assert_non_null(rt);
		assert_int_equal(request_read_query(&req, NULL), 0);
		service = service_find(&req);
		if ((service == NULL) != (cases[i].service == NULL) ||
		    (service != NULL && strcmp(service->name, cases[i].service) != 0))
			fail_msg("%s %s: %s", cases[i].method, cases[i].uri,
				 service != NULL ? service->name : "nobody's");
	}
}

/* What each answers */

static void
streaming(void **state)
{
	struct client *one, *other, *head;

	(void)state;
	one = ask("GET", "/s/1", "");
	other = ask("GET", "/s/2", "");
	head = ask("HEAD", "/s/1", "");
	assert_has(head, "Content-Type: text/event-stream");
	assert_true(head->is_closed);
	RUN_UNTIL_GOT(one, "event: stream-open");
	RUN_UNTIL_GOT(other, "event: stream-open");
	say("s:1", "first");
	say("s:2", "second");
	RUN_UNTIL_GOT(one, "data: first\n");
	RUN_UNTIL_GOT(other, "data: second\n");
	assert_null(strstr(other->got, "first"));
	assert_false(one->is_closed);
	assert_has(ask("GET", "/s/a%3Ab", ""), "Status: 400");
}

static void
lines(void **state)
{
	struct client *c;

	(void)state;
	c = ask("GET", "/s/1?mode=ndjson", "");
	RUN_UNTIL_GOT(c, "\"event\":\"stream-open\"");
	assert_has(c, "Content-Type: application/x-ndjson");
	say("s:1", "[1]");
	RUN_UNTIL_GOT(c, "\"data\":[1]}\n");
}

static void
a_queue(void **state)
{
	static const char entries[] = "*1\r\n*2\r\n$4\r\njobs\r\n*1\r\n*2\r\n$3\r\n1-0\r\n"
				      "*2\r\n$4\r\ndata\r\n$2\r\nhi\r\n";
	struct client *one, *two;

	(void)state;
	add_rule("XREADGROUP", SAY(entries), 1);
	add_rule("XREADGROUP", SAY("*-1\r\n"), 0);
	add_rule("XREAD", SAY(""), 0); /* it blocks */
	add_rule("CLIENT ID", SAY(":7\r\n"), 0);
	add_rule("XINFO STREAM", SAY("-ERR no such key\r\n"), 0);
	one = ask("GET", "/q", "");
	two = ask("GET", "/q", "");
	RUN_UNTIL_GOT(one, "event: stream-open");
	RUN_UNTIL_GOT(two, "event: stream-open");
	RUN_UNTIL(strstr(one->got, "data: hi\n") != NULL || strstr(two->got, "data: hi\n") != NULL);
	assert_int_equal(count(one->got, "id: 1-0\n") + count(two->got, "id: 1-0\n"), 1);
	assert_int_equal(count(heard(), "XREADGROUP GROUP g sluice-"), 1);
}

static void
acking(void **state)
{
	static const char *const wrong[] = {"", "x", "1-0,", "1-0,,2-0", "1-0 2-0", "-"};
	struct client *c;

	(void)state;
	add_rule("EVAL", SAY(":2\r\n"), 1);
	add_rule("EVAL", SAY("-NOGROUP no\r\n"), 1);
	c = ask("POST", "/q?ack=1-0,2-0", "");
	RUN_UNTIL_GOT(c, "{\"acked\":2}");
	assert_has(c, "Status: 200");
	RUN_UNTIL(strstr(heard(), "1 jobs g 1-0 2-0 jobs:acked PUBLISH|") != NULL);
	c = ask("POST", "/q?ack=3-0", "");
	RUN_UNTIL_GOT(c, "Status: 503");
	for (size_t i = 0; i < N(wrong); i++) {
		char uri[64];

		snprintf(uri, sizeof(uri), "/q?ack=%s", i == 4 ? "1-0%202-0" : wrong[i]);
		n_clients = 2;
		assert_has(ask("POST", uri, ""), "Status: 400");
	}
	hub_set_command(hub, NULL);
	c = ask("POST", "/q?ack=1-0", "");
	RUN_UNTIL_GOT(c, "Status: 503");
}

static void
waiting(void **state)
{
	struct client *one, *other, *late;

	(void)state;
	one = ask("GET", "/w/1", "");
	other = ask("GET", "/w/2?timeout=1", "");
	assert_has(ask("GET", "/w/1?timeout=soon", ""), "Status: 400");
	RUN_UNTIL_GOT(other, "Status: 504");
	RUN_UNTIL(strstr(heard(), "SUBSCRIBE w:1|") != NULL);
	say("w:2", "not this");
	say("w:1", "{\"a\":1}");
	RUN_UNTIL_GOT(one, "{\"a\":1}");
	assert_has(one, "Status: 200");
	assert_has(one, "Content-Type: application/json");
	assert_true(one->is_closed);
	late = ask("HEAD", "/w/1", "");
	assert_has(late, "Status: 200");
	assert_true(late->is_closed);
}

static void
polling(void **state)
{
	struct client *c;

	(void)state;
	c = ask("GET", "/s/1?mode=poll", "");
	RUN_UNTIL(strstr(heard(), "SUBSCRIBE s:1|") != NULL);
	say("s:1", "no JSON");
	RUN_UNTIL_GOT(c, "\"no JSON\"");
	assert_has(c, "Content-Type: application/json");
	c = ask("GET", "/s/1?mode=poll&timeout=1", "");
	RUN_UNTIL_GOT(c, "Status: 504");
}

static void
posting(void **state)
{
	struct client *c;

	(void)state;
	add_rule("PUBLISH p {\"a\":1}", SAY(":3\r\n"), 1);
	add_rule("PUBLISH p", SAY("-NOPERM no\r\n"), 1);
	add_rule("XADD log * data", SAY("$3\r\n1-0\r\n"), 1);
	c = ask("POST", "/p", "{\"a\":1}");
	RUN_UNTIL_GOT(c, "{\"receivers\":3}");
	assert_has(c, "Status: 202");
	c = ask("POST", "/p", "2");
	RUN_UNTIL_GOT(c, "Status: 503");
	c = ask("POST", "/ps", "[]");
	RUN_UNTIL_GOT(c, "{\"id\":\"1-0\"}");
	assert_has(ask("POST", "/p", "{"), "Status: 400");
	assert_has(ask("POST", "/s/1", "1"), "Status: 405");
	hub_set_command(hub, NULL);
	c = ask("POST", "/p", "1");
	RUN_UNTIL_GOT(c, "Status: 503");
}

static void
short_answers(void **state)
{
	struct client *c;

	(void)state;
	c = ask("GET", "/h", "");
	assert_true(c->is_closed);
	assert_has(c, "Status: 200");
	assert_has(c, "{\"status\":\"ok\"");
	c = ask("HEAD", "/h", "");
	assert_true(c->is_closed);
	assert_null(strstr(c->got, "\"status\":"));
	state_of_worker = "draining";
	assert_has(ask("GET", "/h", ""), "Status: 503");
	state_of_worker = "ok";
	assert_has(ask("POST", "/h", "1"), "Allow: GET, HEAD, OPTIONS\r\n");
	assert_has(ask("GET", "/nowhere", ""), "Status: 404");
}

/* Only a list that is none is the client's fault. */
static void
a_mux_that_does_not_open(void **state)
{
	static const struct {
		int rc;
		const char *says;
		bool blames_list;
	} cases[] = {
	    {400, "Status: 400", true},
	    {403, "Status: 403", false},
	    {500, "Status: 500", false},
	    {-12, "Status: 503", false},
	};
	const struct route *rt;
	size_t n = 0;

	(void)state;
	while ((rt = site_route(site, n)) != NULL && strcmp(rt->name, "m") != 0)
		n++;
	assert_non_null(rt);
	for (size_t i = 0; i < N(cases); i++) {
		struct client *c = &clients[n_clients++];
		struct answer out;
		struct request req;
		struct serving sv = {.sub = &c->sub, .req = &req, .out = &out};
		struct sent sent;
		const char *why;

		memset(c, 0, sizeof(*c));
		subscriber_init(&c->sub, &client_ops);
		answer_init(&out);
		make_request(&sent, "GET", "/m");
		assert_int_equal(request_read(&req, &sent.params, "", &why), 0);
		assert_true(request_match(&req, (struct route *)rt));
		serving_refuse_open(&sv, cases[i].rc);
		client_send(&c->sub);
		assert_has(c, cases[i].says);
		assert_int_equal(strstr(c->got, "JSON array") != NULL, cases[i].blames_list);
		answer_fini(&out);
	}
}

static void
mux_posts(void **state)
{
	static const char there[] = "/m?connection=" SECRET;
	struct client *c;

	(void)state;
	add_rule("PUBLISH sluice:mux:" SECRET " {\"remove\":[\"a\"]}", SAY(":1\r\n"), 1);
	add_rule("PUBLISH sluice:mux:" SECRET, SAY(":0\r\n"), 0);
	c = ask("POST", there, "{\"remove\":[\"a\"],\"user\":\"eve\"}");
	RUN_UNTIL_GOT(c, "Status: 202");
	c = ask("POST", there, "{}");
	RUN_UNTIL_GOT(c, "Status: 404");
	assert_has(ask("POST", there, "[]"), "Status: 400");
	assert_has(ask("POST", "/m?connection=*", "{}"), "Status: 400");
	assert_has(ask("POST", "/m", "{}"), "Status: 400");
	hub_set_command(hub, NULL);
	c = ask("POST", there, "{}");
	RUN_UNTIL_GOT(c, "Status: 503");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_stage, strike_stage)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(whose_a_request_is),
	    TEST(streaming),
	    TEST(lines),
	    TEST(a_queue),
	    TEST(acking),
	    TEST(waiting),
	    TEST(polling),
	    TEST(posting),
	    TEST(short_answers),
	    TEST(a_mux_that_does_not_open),
	    TEST(mux_posts),
	};

	return cmocka_run_group_tests(tests, fake_prepare, fake_clean);
}
