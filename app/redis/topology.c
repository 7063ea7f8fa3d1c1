#include "redis/topology.h"

#include <errno.h>
#include <stdlib.h>

#include "base/counters.h"

/* No server was a worker's yet. */
enum { NO_SERVER = -1 };

struct topology {
	const struct redis_settings *rs;
	struct list members;
	unsigned next; /* where a link that is not up connects to */
	int home;      /* where one last came up, or NO_SERVER */
	struct tls *tls;
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
	list_init(&tp->members);
	*out = tp;
	return 0;
}

void
topology_free(struct topology *tp)
{
	if (tp == NULL)
		return;
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
	return (unsigned)tp->rs->n_urls;
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
	m->server = tp->next;
	return &tp->rs->urls[m->server];
}

struct tls *
topology_tls(struct topology *tp, char *why, size_t why_len)
{
	if (tp->tls == NULL && tls_new(&tp->tls, &tp->rs->tls, why, why_len) < 0)
		return NULL;
	return tp->tls;
}

/* Whoever finds it first turns all: those that fail there later find that they have turned. */
static void
turn_from(struct topology *tp, unsigned server)
{
	if (tp->next == server)
		tp->next = (server + 1) % topology_n_servers(tp);
}

void
topology_failed(struct topology *tp, const struct topology_member *m)
{
	turn_from(tp, m->server);
}

void
topology_up(struct topology *tp, struct topology_member *m)
{
	struct list *node, *tmp;

	m->is_up = true;
	if (tp->home != NO_SERVER && tp->home != (int)m->server)
		counters_add(COUNTER_REDIS_FAILOVERS, 1);
	tp->home = (int)m->server;
	tp->next = m->server;
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
	(void)tp;
	m->is_up = false;
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
