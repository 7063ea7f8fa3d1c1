/*
 * test_cluster.c - commands and sharded channels in a cluster that is only pretended: one server,
 * which has all slots as 127.0.0.1, and is another node as localhost.
 */
#include "fake_redis.h"
#include "redis/cluster.h"
#include "redis/command.h"
#include "redis/nodes.h"
#include "redis/pubsub.h"

static struct cluster *cluster;
static struct command *command;
static struct pubsub *pubsub;
static char texts[8][160];
static unsigned n_texts;

/* A reply in which PORT is the server's. */
static void
add_reply(const char *said, unsigned times, const char *form)
{
	char *text = texts[n_texts++ % N(texts)];
	const char *at = strstr(form, "PORT");
	int head = at != NULL ? (int)(at - form) : (int)strlen(form);

	snprintf(text, sizeof(texts[0]), "%.*s%.*d%s", head, form, at != NULL,
		 at != NULL ? redis.port : 0, at != NULL ? at + 4 : "");
	add_rule(said, text, strlen(text), times);
}

static int
setup(void **state)
{
	char url[64];

	(void)state;
	fake_start();
	uv_close((uv_handle_t *)&redis.at, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
	listen_tcp();
	snprintf(url, sizeof(url), "redis://127.0.0.1:%d", redis.port);
	add_url(url);
	settings.is_cluster = settings.is_sharded = true;
	add_reply("CLUSTER SLOTS", 0,
		  "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:PORT\r\n");
	assert_int_equal(cluster_new(&cluster, &loop, servers()), 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	command_free(command);
	pubsub_free(pubsub);
	command = NULL;
	pubsub = NULL;
	cluster_free(cluster);
	fake_stop();
	return 0;
}

static void
on_answer(void *arg, const redisReply *reply)
{
	note("%s=%s", (const char *)arg, reply == NULL ? "NULL" : reply->str);
}

static void
begin_commands(void)
{
	assert_int_equal(command_new(&command, &loop, servers(), 2000), 0);
	RUN_UNTIL(command_is_up(command));
	buf_truncate(&heard_commands, 0);
}

static void
say(const char *key)
{
	const char *argv[] = {"GET", key};
	void *arg;

	memcpy(&arg, &key, sizeof(arg));
	assert_int_equal(command_send(command, on_answer, arg, RESP_ARRAY(argv)), 0);
}

static void
test_before_the_map_is_known(void **state)
{
	(void)state;
	assert_int_equal(command_new(&command, &loop, servers(), 2000), 0);
	say("early");
	RUN_UNTIL(has_seen("early=OK|"));
}

static void
test_redirects(void **state)
{
	static const struct {
		const char *error, *heard;
	} cases[] = {
	    {"-MOVED 1 localhost:PORT\r\n", "GET x|"},
	    {"-MOVED 1 :PORT\r\n", "GET x|"},
	    {"-ASK 1 localhost:PORT\r\n", "ASKING|GET x|"},
	    {"-TRYAGAIN\r\n", "GET x|"},
	    {"-CLUSTERDOWN\r\n", "GET x|"},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		begin_commands();
		/* To the other node there is a connection then. */
		add_reply("GET first", 1, "-ASK 1 localhost:PORT\r\n");
		say("first");
		RUN_UNTIL(has_seen("first=OK|") && strstr(heard(), "ROLE|") != NULL);
		buf_truncate(&heard_commands, 0);
		buf_truncate(&seen_events, 0);
		add_reply("GET x", 1, cases[i].error);
		say("x");
		RUN_UNTIL(has_seen("x="));
		assert_string_equal(seen(), "x=OK|");
		assert_true(strstr(heard(), cases[i].heard) != NULL);
		assert_int_equal(count(heard(), "GET x|"), 2);
		teardown(NULL);
		setup(NULL);
	}
}

/* What is no redirect is the answer, and so is what never ends. */
static void
test_answers(void **state)
{
	(void)state;
	begin_commands();
	add_reply("GET cross", 1, "-CROSSSLOT no\r\n");
	add_reply("GET never", 0, "-CLUSTERDOWN\r\n");
	say("cross");
	RUN_UNTIL(has_seen("cross=CROSSSLOT"));
	say("never");
	RUN_UNTIL(has_seen("never="));
	assert_true(has_seen("never=NULL|") || has_seen("never=CLUSTERDOWN"));
}

static void
test_a_slot_that_moved_stays_there(void **state)
{
	struct nodes *nodes = topology_nodes(servers());

	(void)state;
	begin_commands();
	redis.rules[0].command = "(no map from now on)";
	add_reply("GET x", 1, "-MOVED 1 localhost:PORT\r\n");
	say("x");
	RUN_UNTIL(has_seen("x=OK|"));
	assert_string_equal(nodes_of_slot(nodes, 1)->at.host, "localhost");
	assert_string_equal(nodes_of_slot(nodes, 2)->at.host, "127.0.0.1");
}

/* The map of a node that has not heard yet comes again and again. */
static void
test_who_was_sent_on_knows_better_than_a_map(void **state)
{
	struct nodes *nodes = topology_nodes(servers());

	(void)state;
	begin_commands();
	add_reply("GET x", 1, "-MOVED 16287 localhost:PORT\r\n");
	say("x");
	RUN_UNTIL(has_seen("x=OK|"));
	buf_truncate(&heard_commands, 0);
	RUN_UNTIL(count(heard(), "CLUSTER SLOTS|") == 2 && count(heard(), "CLUSTER INFO|") >= 1);
	assert_string_equal(nodes_of_slot(nodes, 16287)->at.host, "localhost");
	add_reply("GET x", 1, "-MOVED 16287 127.0.0.1:PORT\r\n");
	say("x");
	RUN_UNTIL(count(seen(), "x=OK|") == 2);
	assert_string_equal(nodes_of_slot(nodes, 16287)->at.host, "127.0.0.1");
}

static void
all_at(struct slot_map *map, const char *host, int port)
{
	memset(map, 0, sizeof(*map));
	snprintf(map->nodes[0].host, sizeof(map->nodes[0].host), "%s", host);
	map->nodes[0].port = port;
	map->n_nodes = 1;
	map->n_covered = SLOTS;
	for (unsigned slot = 0; slot < SLOTS; slot++)
		map->of[slot] = 1;
}

/*
 * Nobody may have connected to the new node yet when a stale map comes. If it cannot be reached,
 * the map is right after all; and then it is the map's word, which the next map may change.
 */
static void
test_who_was_sent_to_a_node_that_is_not_reached_yet(void **state)
{
	static const struct slot_node dead = {.host = "localhost", .port = 1};
	static struct slot_map map, next;
	struct nodes *nodes = topology_nodes(servers());

	(void)state;
	begin_commands();
	all_at(&map, "127.0.0.1", redis.port);
	all_at(&next, "localhost", redis.port);
	RUN_UNTIL((nodes_move(nodes, 5, &dead), nodes_set_map(nodes, &map) == 0));
	assert_int_equal(nodes_of_slot(nodes, 5)->at.port, 1);
	RUN_UNTIL(nodes_set_map(nodes, &map) > 0 || nodes_of_slot(nodes, 5)->at.port == redis.port);
	assert_true(node_is_up(nodes_of_slot(nodes, 5)));
	assert_int_equal(nodes_set_map(nodes, &next), SLOTS);
	assert_string_equal(nodes_of_slot(nodes, 5)->at.host, "localhost");
}

/* How it is */

static void
test_its_nodes_and_its_state(void **state)
{
	struct cluster_node node;
	char text[256];

	(void)state;
	assert_false(cluster_node(cluster, 0, &node));
	add_reply("CLUSTER INFO", 0, "$18\r\ncluster_state:fail\r\n");
	begin_commands();
	RUN_UNTIL(cluster_lacks(cluster, CLUSTER_IS_DOWN, text, sizeof(text)));
	assert_true(strstr(text, "CLUSTERDOWN") != NULL);
	assert_false(cluster_lacks(cluster, CLUSTER_NODES, text, sizeof(text)));
	assert_false(cluster_lacks(cluster, CLUSTER_SLOTS, text, sizeof(text)));
	assert_true(cluster_node(cluster, 0, &node));
	assert_false(cluster_node(cluster, 1, &node));
	assert_memory_equal(node.address, "127.0.0.1:", 10);
	assert_int_equal(node.n_slots, SLOTS);
	assert_true(node.is_up);
	redis.rules[redis.n_rules - 1].command = "(it may not be asked)";
	RUN_UNTIL(!cluster_lacks(cluster, CLUSTER_IS_DOWN, text, sizeof(text)));
	command_free(command);
	command = NULL;
	assert_true(cluster_lacks(cluster, CLUSTER_NODES, text, sizeof(text)));
	assert_true(strstr(text, node.address) != NULL);
}

static void
test_addresses_need_no_quoting(void **state)
{
	struct node node = {.at = {.host = "::1", .port = 7000}};
	char text[64];

	(void)state;
	node_print(text, sizeof(text), &node);
	assert_string_equal(text, "[::1]:7000");
	snprintf(node.at.host, sizeof(node.at.host), "a\"b<\n");
	node_print(text, sizeof(text), &node);
	assert_string_equal(text, "a?b??:7000");
}

/* Sharded channels */

static struct pubsub_subject subject;

static void
on_message(void *ctx, struct pubsub_subject *remote, const struct pubsub_message *msg)
{
	(void)ctx;
	assert_ptr_equal(remote, &subject);
	note("message %s=%s", msg->channel, msg->data);
}

static void
on_confirmed(void *ctx, struct pubsub_subject *remote)
{
	(void)ctx;
	note("confirmed %s", remote->by_name.key);
}

static void
on_refused(void *ctx, struct pubsub_subject *remote, const char *why)
{
	(void)ctx;
	note("refused %s: %s", remote->by_name.key, why);
}

static void
on_lost(void *ctx)
{
	(void)ctx;
	if (subject.is_lost)
		note("lost");
	subject.is_lost = false;
}

static const struct pubsub_ops ops = {
    .on_message = on_message,
    .on_confirmed = on_confirmed,
    .on_refused = on_refused,
    .on_lost = on_lost,
};

static struct peer *
subscribed_peer(void)
{
	struct list *node;

	for (node = redis.peers.next; node != &redis.peers; node = node->next) {
		if (LIST_ENTRY(node, struct peer, node)->n_subscribed > 0)
			return LIST_ENTRY(node, struct peer, node);
	}
	return NULL;
}

static void
begin_channel(void)
{
	assert_int_equal(pubsub_new(&pubsub, &loop, servers(), &ops, NULL), 0);
	assert_int_equal(pubsub_subscribe(pubsub, &subject, SUBJECT_CHANNEL, "a", 1), 0);
	RUN_UNTIL(has_seen("confirmed a|"));
	assert_true(strstr(heard(), "SSUBSCRIBE a|") != NULL);
}

static void
end_channel(void)
{
	pubsub_unsubscribe(pubsub, &subject);
	RUN_UNTIL(strstr(heard(), "SUNSUBSCRIBE a|") != NULL);
}

static void
test_sharded(void **state)
{
	(void)state;
	begin_channel();
	push_text(subscribed_peer(), "*3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$1\r\nx\r\n");
	RUN_UNTIL(has_seen("message a=x|"));
	end_channel();
}

/* The node ends it by itself: it is asked for again, and may be elsewhere by then. */
static void
test_sharded_is_taken_away(void **state)
{
	static const char *const forms[] = {NULL, "-MOVED 1 localhost:PORT\r\n"};

	(void)state;
	for (size_t i = 0; i < N(forms); i++) {
		begin_channel();
		if (forms[i] != NULL)
			add_reply("SSUBSCRIBE a", 1, forms[i]);
		push_text(subscribed_peer(), "*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n");
		RUN_UNTIL(count(seen(), "confirmed a|") == 2);
		assert_true(has_seen("confirmed a|lost|"));
		end_channel();
		teardown(NULL);
		setup(NULL);
	}
}

/* One move is one gap, whatever a stale map says meanwhile. */
static void
test_sharded_is_not_moved_back_by_a_stale_map(void **state)
{
	(void)state;
	begin_channel();
	add_reply("SSUBSCRIBE a", 1, "-MOVED 15495 localhost:PORT\r\n");
	push_text(subscribed_peer(), "*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n");
	RUN_UNTIL(count(seen(), "confirmed a|") == 2);
	buf_truncate(&heard_commands, 0);
	buf_truncate(&seen_events, 0);
	RUN_UNTIL(count(heard(), "CLUSTER SLOTS|") == 2 && count(heard(), "CLUSTER INFO|") >= 1);
	assert_int_equal(count(heard(), "SUBSCRIBE a|"), 0);
	assert_string_equal(seen(), "");
	end_channel();
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_before_the_map_is_known),
	    TEST(test_redirects),
	    TEST(test_answers),
	    TEST(test_a_slot_that_moved_stays_there),
	    TEST(test_who_was_sent_on_knows_better_than_a_map),
	    TEST(test_who_was_sent_to_a_node_that_is_not_reached_yet),
	    TEST(test_its_nodes_and_its_state),
	    cmocka_unit_test(test_addresses_need_no_quoting),
	    TEST(test_sharded),
	    TEST(test_sharded_is_taken_away),
	    TEST(test_sharded_is_not_moved_back_by_a_stale_map),
	};

	return cmocka_run_group_tests_name("cluster", tests, fake_prepare, fake_clean);
}
