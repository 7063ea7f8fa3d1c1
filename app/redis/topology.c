#include "redis/topology.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "redis/nodes.h"

/* Servers that were named lately. */
enum { NO_SERVER = -1, FOUND_MAX = 16 };

struct topology {
	const struct redis_settings *rs;
	struct list members;
	int next; /* the server that a link which is not up connects to; NO_SERVER: not known yet */
	int home; /* the server where one last came up, or NO_SERVER */
	struct tls *tls;
	bool is_told; /* sentinels or nodes name the server, so those of rs are not tried */
	struct redis_url *found[FOUND_MAX];
	struct nodes *nodes; /* NULL: there is no cluster */
	void (*trouble)(void *arg);
	void *trouble_arg;
};

#define MEMBER(n) LIST_ENTRY(n, struct topology_member, node)

int
topology_new(struct topology **out, const struct redis_settings *rs)
{
	struct topology *tp = calloc(1, sizeof(*tp));

	if (tp == NULL)
		return -ENOMEM;
	tp->rs = rs;
	tp->home = NO_SERVER;
	tp->is_told = rs->sentinel_master != NULL || rs->is_cluster;
	tp->next = tp->is_told ? NO_SERVER : 0;
	list_init(&tp->members);
	if (rs->is_cluster && !rs->is_of_map && nodes_new(&tp->nodes, rs) < 0) {
		free(tp);
		return -ENOMEM;
	}
	*out = tp;
	return 0;
}

/* Its login is borrowed from url. */
static void
forget_found(struct topology *tp, size_t i)
{
	if (tp->found[i] != NULL)
		free(tp->found[i]->host);
	free(tp->found[i]);
	tp->found[i] = NULL;
}

void
topology_free(struct topology *tp)
{
	if (tp == NULL)
		return;
	for (size_t i = 0; i < FOUND_MAX; i++)
		forget_found(tp, i);
	nodes_free(tp->nodes);
	tls_free(tp->tls);
	free(tp);
}

const struct redis_settings *
topology_settings(const struct topology *tp)
{
	return tp->rs;
}

unsigned
topology_n_servers(const struct topology *tp)
{
	return tp->is_told ? 1 : (unsigned)tp->rs->n_urls;
}

struct nodes *
topology_nodes(const struct topology *tp)
{
	return tp->nodes;
}

void
topology_on_trouble(struct topology *tp, void (*fn)(void *arg), void *arg)
{
	tp->trouble = fn;
	tp->trouble_arg = arg;
}

static void
tell_trouble(const struct topology *tp)
{
	if (tp->trouble != NULL)
		tp->trouble(tp->trouble_arg);
}

bool
topology_is_idle(const struct topology *tp)
{
	return list_is_empty(&tp->members);
}

bool
topology_is_up(const struct topology *tp)
{
	const struct list *node;

	for (node = tp->members.next; node != &tp->members; node = node->next) {
		if (!MEMBER(node)->is_up)
			return false;
	}
	return !topology_is_idle(tp);
}

void
topology_join(struct topology *tp, struct topology_member *m)
{
	m->is_up = false;
	list_add_tail(&tp->members, &m->node);
}

void
topology_part(struct topology *tp, struct topology_member *m)
{
	(void)tp;
	m->is_up = false;
	list_del(&m->node);
}

const struct redis_url *
topology_choose(struct topology *tp, struct topology_member *m)
{
	if (tp->next == NO_SERVER)
		return NULL;
	m->server = (unsigned)tp->next;
	return tp->is_told ? tp->found[m->server] : &tp->rs->urls[m->server];
}

struct tls *
topology_tls(struct topology *tp, char *why, size_t why_len)
{
	if (tp->tls == NULL && tls_new(&tp->tls, &tp->rs->tls, why, why_len) < 0)
		return NULL;
	return tp->tls;
}

static bool
is_in_use(const struct topology *tp, size_t i)
{
	const struct list *node;

	for (node = tp->members.next; node != &tp->members; node = node->next) {
		if (MEMBER(node)->server == i)
			return true;
	}
	return tp->home == (int)i || tp->next == (int)i;
}

/* Its index in found[]; NO_SERVER if memory is short. */
static int
keep_found(struct topology *tp, const char *host, int port)
{
	const struct redis_url *like = &tp->rs->urls[0];
	struct redis_url *url;
	size_t i, place = FOUND_MAX;

	for (i = 0; i < FOUND_MAX; i++) {
		url = tp->found[i];
		if (url != NULL && url->port == port && strcmp(url->host, host) == 0)
			return (int)i;
		if (place == FOUND_MAX && (url == NULL || !is_in_use(tp, i)))
			place = i;
	}
	if (place == FOUND_MAX || (url = malloc(sizeof(*url))) == NULL)
		return NO_SERVER;
	*url = *like;
	url->port = port;
	if ((url->host = strdup(host)) == NULL) {
		free(url);
		return NO_SERVER;
	}
	forget_found(tp, place);
	tp->found[place] = url;
	return (int)place;
}

void
topology_found(struct topology *tp, const char *host, int port, bool is_sure, const char *why)
{
	int server = keep_found(tp, host, port);
	struct list *node, *tmp;

	if (server == NO_SERVER || (tp->next == server && (tp->home == server || !is_sure)))
		return;
	tp->next = server;
	LIST_FOREACH (node, tmp, &tp->members) {
		struct topology_member *m = MEMBER(node);

		if (!m->is_up)
			m->hurry(m);
		else if (is_sure && m->server != (unsigned)server)
			m->leave(m, why);
	}
}

/*
 * The first link that fails at this server makes all links try the next one. Links that fail there
 * later find that this was done.
 */
static void
turn_from(struct topology *tp, unsigned server)
{
	if (!tp->is_told && tp->next == (int)server)
		tp->next = (int)((server + 1) % topology_n_servers(tp));
}

void
topology_failed(struct topology *tp, const struct topology_member *m)
{
	turn_from(tp, m->server);
	tell_trouble(tp);
}

void
topology_up(struct topology *tp, struct topology_member *m)
{
	struct list *node, *tmp;

	m->is_up = true;
	if (tp->home != NO_SERVER && tp->home != (int)m->server && !tp->rs->is_cluster)
		counters_add(COUNTER_REDIS_FAILOVERS, 1);
	tp->home = (int)m->server;
	if (!tp->is_told)
		tp->next = tp->home;
	LIST_FOREACH (node, tmp, &tp->members) {
		struct topology_member *other = MEMBER(node);

		if (other->is_up && other->server != m->server)
			other->leave(other, "another link found a primary elsewhere");
		else if (!other->is_up)
			other->hurry(other);
	}
}

void
topology_down(struct topology *tp, struct topology_member *m)
{
	m->is_up = false;
	tell_trouble(tp);
}

void
topology_leave(struct topology *tp, const struct topology_member *m, const char *why)
{
	struct list *node, *tmp;

	turn_from(tp, m->server);
	LIST_FOREACH (node, tmp, &tp->members) {
		struct topology_member *other = MEMBER(node);

		if (other->is_up && other->server == m->server)
			other->leave(other, why);
	}
}
