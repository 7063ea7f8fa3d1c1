#include "redis/cluster.h"

#include <errno.h>
#include <hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "base/closing.h"
#include "base/counters.h"
#include "base/logger.h"
#include "base/random.h"
#include "redis/link.h"
#include "redis/nodes.h"

enum {
	ASK_MS = 2000, /* how often it asks, even if nothing seems to have changed */
	SOON_MS = 100, /* the shortest time between two questions */
	VAIN_MAX = 10, /* after this many doubts that this node's map did not resolve, another node
			  is asked */
	NAMES_MAX = 3, /* of nodes in a sentence */
};

struct cluster {
	uv_loop_t *loop;
	struct topology *any; /* its links may be at any node */
	struct nodes *nodes;
	const struct redis_settings *rs;
	struct redis_settings settings; /* for the link that asks; they borrow from rs */
	struct topology *topology;
	struct link *link;
	unsigned candidate; /* which of the nodes and the URLs is tried next */
	struct slot_node any_at;
	enum { ASKED_NOTHING, ASKED_SLOTS, ASKED_STATE } asked; /* and not answered yet */
	bool is_doubted;
	bool is_down; /* the node that was asked last says that keys are not served */
	unsigned n_vain;
	unsigned n_covered; /* the number that the log has told last */
	uint64_t asked_ms;
	uv_timer_t ask, tell;
	struct logger_pause complaint;
	struct slot_map *map;
	struct closing closing;
};

/* Those that may be asked: first the nodes that are known, then those that the URLs name. */
static unsigned
count_candidates(const struct cluster *cl)
{
	unsigned n = (unsigned)cl->rs->n_urls;

	for (struct node *node = nodes_first(cl->nodes); node != NULL;
	     node = nodes_next(cl->nodes, node))
		n++;
	return n;
}

static void
candidate(const struct cluster *cl, unsigned nth, const char **host, int *port)
{
	struct node *node;

	for (node = nodes_first(cl->nodes); node != NULL && nth > 0; nth--)
		node = nodes_next(cl->nodes, node);
	if (node != NULL) {
		*host = node->at.host;
		*port = node->at.port;
	} else {
		*host = cl->rs->urls[nth % cl->rs->n_urls].host;
		*port = cl->rs->urls[nth % cl->rs->n_urls].port;
	}
}

/* The link that asks is in trouble: chooses where it goes. */
static void
on_asking_trouble(void *arg)
{
	struct cluster *cl = arg;
	const char *host;
	int port;

	candidate(cl, ++cl->candidate % count_candidates(cl), &host, &port);
	topology_found(cl->topology, host, port, false, "");
}

static bool
is_same(const struct slot_node *a, const struct slot_node *b)
{
	return a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* Chooses another node than any_at, if there is one. Workers choose different ones. */
static void
choose_any(struct cluster *cl, bool is_sure, const char *why)
{
	struct node *node = nodes_first(cl->nodes), *chosen = node;
	unsigned n = 0;

	if (node == NULL)
		return;
	for (; node != NULL; node = nodes_next(cl->nodes, node)) {
		if (is_same(&node->at, &cl->any_at))
			continue;
		if (random_below(++n) == 0) /* so that each is chosen with the same probability */
			chosen = node;
	}
	cl->any_at = chosen->at;
	topology_found(cl->any, chosen->at.host, chosen->at.port, is_sure, why);
}

static void
on_any_trouble(void *arg)
{
	choose_any(arg, false, "");
	nodes_doubt(((struct cluster *)arg)->nodes, false);
}

/*
 * If the node at which such links are has no slots any more, it is a replica or has left the
 * cluster.
 */
static void
keep_any(struct cluster *cl)
{
	for (struct node *node = nodes_first(cl->nodes); node != NULL;
	     node = nodes_next(cl->nodes, node)) {
		if (is_same(&node->at, &cl->any_at))
			return;
	}
	choose_any(cl, true, "it is no primary of the cluster any more");
}

static void
ask(uv_timer_t *timer)
{
	struct cluster *cl = timer->data;

	uv_timer_start(timer, ask, ASK_MS, 0);
	if (cl->asked != ASKED_NOTHING || link_send(cl->link, RESP_WORDS("CLUSTER", "SLOTS")) < 0)
		return; /* a link that is down asks when it comes up */
	cl->asked = ASKED_SLOTS;
	cl->is_doubted = false;
	cl->asked_ms = uv_now(cl->loop);
}

/* A command was redirected, which this node's map should show as well. */
static void
on_doubt(void *arg, bool is_sent_elsewhere)
{
	struct cluster *cl = arg;
	uint64_t now = uv_now(cl->loop), at = cl->asked_ms + SOON_MS;

	if (cl->is_doubted)
		return;
	cl->is_doubted = true;
	if (is_sent_elsewhere && ++cl->n_vain > VAIN_MAX) {
		cl->n_vain = 0;
		link_leave_server(cl->link, "what it says of the slots does not help");
		return;
	}
	uv_timer_start(&cl->ask, ask, at > now ? at - now : 0, 0);
}

static void
on_tell(uv_timer_t *timer)
{
	struct cluster *cl = timer->data;

	keep_any(cl);
	nodes_tell(cl->nodes);
}

static void
on_change(void *arg)
{
	struct cluster *cl = arg;

	uv_timer_start(&cl->tell, on_tell, 0, 0);
}

static void
on_up(void *ctx)
{
	struct cluster *cl = ctx;

	cl->asked = ASKED_NOTHING;
	ask(&cl->ask);
}

static void
on_down(void *ctx, const char *why)
{
	struct cluster *cl = ctx;

	(void)why;
	cl->asked = ASKED_NOTHING;
}

static void
tell_coverage(struct cluster *cl)
{
	if (cl->n_covered == cl->map->n_covered)
		return;
	cl->n_covered = cl->map->n_covered;
	if (cl->n_covered < SLOTS)
		logger_warn("Redis Cluster: %u of %d slots have no node", SLOTS - cl->n_covered,
			    SLOTS);
	else
		logger_info("Redis Cluster: all slots have a node; there are %u", cl->map->n_nodes);
}

/*
 * The map lists nodes that have slots whether they live or not. Whether keys are served, CLUSTER
 * INFO says.
 */
static void
ask_state(struct cluster *cl)
{
	if (link_send(cl->link, RESP_WORDS("CLUSTER", "INFO")) == 0)
		cl->asked = ASKED_STATE;
}

/* If CLUSTER INFO is not allowed, the state is not known. */
static void
take_state(struct cluster *cl, const redisReply *reply)
{
	bool was_down = cl->is_down;

	cl->is_down =
	    reply->type == REDIS_REPLY_STRING && strstr(reply->str, "cluster_state:fail") != NULL;
	if (cl->is_down && !was_down)
		logger_warn("Redis Cluster: it says that it is down");
	else if (was_down && !cl->is_down)
		logger_info("Redis Cluster: it is up again");
	if (cl->is_doubted)
		uv_timer_start(&cl->ask, ask, SOON_MS, 0);
}

static void
take_map(struct cluster *cl, const redisReply *reply)
{
	if (slot_map_read(cl->map, reply, link_url(cl->link)->host) < 0) {
		if (logger_may(&cl->complaint, uv_now(cl->loop), LOGGER_PERIOD_MS))
			logger_warn("cluster = yes: CLUSTER SLOTS: %s",
				    reply->type == REDIS_REPLY_ERROR ? reply->str
								     : "no map of the slots");
		link_leave_server(cl->link, "it says nothing of a cluster");
		return;
	}
	tell_coverage(cl);
	if (nodes_set_map(cl->nodes, cl->map) > 0)
		cl->n_vain = 0;
	ask_state(cl);
}

static void
on_reply(void *ctx, const redisReply *reply)
{
	struct cluster *cl = ctx;
	bool is_state = cl->asked == ASKED_STATE && reply->type != REDIS_REPLY_ARRAY;

	cl->asked = ASKED_NOTHING;
	if (is_state)
		take_state(cl, reply);
	else
		take_map(cl, reply);
}

static void
on_quiet(void *ctx)
{
	struct cluster *cl = ctx;

	cl->asked = ASKED_NOTHING;
	ask(&cl->ask);
}

static const struct link_ops ops = {
    .on_up = on_up,
    .on_down = on_down,
    .on_reply = on_reply,
    .on_quiet = on_quiet,
};

static int
begin(struct cluster *cl)
{
	int rc;

	cl->settings = *cl->rs;
	cl->settings.is_of_map = true;
	if ((cl->map = malloc(sizeof(*cl->map))) == NULL)
		return -ENOMEM;
	if ((rc = topology_new(&cl->topology, &cl->settings)) < 0 ||
	    (rc = link_new(&cl->link, cl->loop, "slots", cl->topology, &ops, cl)) < 0)
		return rc;
	topology_on_trouble(cl->topology, on_asking_trouble, cl);
	topology_on_trouble(cl->any, on_any_trouble, cl);
	topology_found(cl->topology, cl->rs->urls[0].host, cl->rs->urls[0].port, false, "");
	nodes_serve(cl->nodes, on_doubt, on_change, cl);
	return 0;
}

int
cluster_new(struct cluster **out, uv_loop_t *loop, struct topology *tp)
{
	struct cluster *cl;
	int rc;

	*out = NULL;
	if (topology_nodes(tp) == NULL)
		return 0;
	if ((cl = calloc(1, sizeof(*cl))) == NULL)
		return -ENOMEM;
	cl->loop = loop;
	cl->any = tp;
	cl->nodes = topology_nodes(tp);
	cl->rs = topology_settings(tp);
	cl->n_covered = SLOTS + 1; /* nothing was told yet */
	uv_timer_init(loop, &cl->ask);
	uv_timer_init(loop, &cl->tell);
	cl->ask.data = cl->tell.data = cl;
	if ((rc = begin(cl)) < 0) {
		cluster_free(cl);
		return rc;
	}
	*out = cl;
	return 0;
}

/* Writes the names of nodes that are away. */
static bool
name_away(const struct cluster *cl, char *text, size_t len)
{
	size_t used = (size_t)snprintf(text, len, "Nodes of the cluster that are not reached: ");
	unsigned n_away = 0;
	char name[SLOT_HOST_MAX + 16];

	for (struct node *node = nodes_first(cl->nodes); node != NULL;
	     node = nodes_next(cl->nodes, node)) {
		if (node_is_up(node))
			continue;
		node_print(name, sizeof(name), node);
		if (n_away++ < NAMES_MAX && used < len)
			used += (size_t)snprintf(text + used, len - used, "%s%s",
						 n_away > 1 ? ", " : "", name);
	}
	if (n_away > NAMES_MAX && used < len)
		snprintf(text + used, len - used, " and %u more", n_away - NAMES_MAX);
	return n_away > 0;
}

bool
cluster_lacks(const struct cluster *cl, enum cluster_lack lack, char *text, size_t len)
{
	if (cl == NULL)
		return false;
	switch (lack) {
	case CLUSTER_IS_DOWN:
		snprintf(text, len, "Redis Cluster says that it is down (CLUSTERDOWN).");
		return cl->is_down;
	case CLUSTER_NODES:
		return name_away(cl, text, len);
	case CLUSTER_SLOTS:
		snprintf(text, len, "Redis Cluster: %u of %d slots have no node.",
			 SLOTS - cl->n_covered, SLOTS);
		return cl->n_covered < SLOTS;
	}
	return false;
}

bool
cluster_node(const struct cluster *cl, unsigned n, struct cluster_node *out)
{
	struct node *node = cl != NULL ? nodes_first(cl->nodes) : NULL;

	for (; node != NULL && n > 0; n--)
		node = nodes_next(cl->nodes, node);
	if (node == NULL)
		return false;
	node_print(out->address, sizeof(out->address), node);
	out->n_slots = node->n_slots;
	out->is_up = node_is_up(node);
	return true;
}

static void
on_closed(struct closing *closing)
{
	free(LIST_ENTRY(closing, struct cluster, closing));
}

void
cluster_free(struct cluster *cl)
{
	if (cl == NULL)
		return;
	nodes_serve(cl->nodes, NULL, NULL, NULL);
	topology_on_trouble(cl->any, NULL, NULL);
	if (cl->topology != NULL)
		topology_on_trouble(cl->topology, NULL, NULL);
	link_free(cl->link);
	topology_free(cl->topology);
	free(cl->map);
	closing_begin(&cl->closing, on_closed);
	closing_add(&cl->closing, (uv_handle_t *)&cl->ask);
	closing_add(&cl->closing, (uv_handle_t *)&cl->tell);
}
