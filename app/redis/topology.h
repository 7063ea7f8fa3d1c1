#ifndef SLUICE_REDIS_TOPOLOGY_H
#define SLUICE_REDIS_TOPOLOGY_H

/*
 * topology - which server the links of one worker are connected to: all of them to the same one.
 * In a cluster each of its nodes has a topology of its own, and what goes to any node has this one.
 *
 * The servers of url are tried in turn; if it names sentinels, they say which there are, and so do
 * the nodes of a cluster. The one at
 * which a link comes up is the worker's: links that are elsewhere leave, and those that pause after
 * a failure try again at once. A link that breaks comes back to the same server first, since one
 * that was restarted is there again in a moment.
 */
#include <stdbool.h>

#include "base/list.h"
#include "redis/settings.h"

struct nodes;
struct topology;

/* A link as its topology knows it. The fields but the calls are the topology's. */
struct topology_member {
	struct list node;
	unsigned server; /* where it is, or tries to be */
	bool is_up;
	/* Both take effect soon, from the loop, and not within the call. */
	void (*leave)(struct topology_member *m, const char *why);
	void (*hurry)(struct topology_member *m); /* if it pauses */
};

/* topology_new - rs is borrowed for its life. Returns 0, -ENOMEM. */
int topology_new(struct topology **out, const struct redis_settings *rs);
void topology_free(struct topology *tp); /* takes NULL; its members have gone */

const struct redis_settings *topology_settings(const struct topology *tp);
unsigned topology_n_servers(const struct topology *tp);

/* topology_nodes - the cluster's, where each key has its place; NULL: one server has all. */
struct nodes *topology_nodes(const struct topology *tp);

/* topology_on_trouble - fn is called whenever a link did not come up, or broke; within the call. */
void topology_on_trouble(struct topology *tp, void (*fn)(void *arg), void *arg);

/* topology_is_idle - no link is of it. */
bool topology_is_idle(const struct topology *tp);

/* topology_is_up - there are links of it, and all are up. */
bool topology_is_up(const struct topology *tp);

void topology_join(struct topology *tp, struct topology_member *m);
void topology_part(struct topology *tp, struct topology_member *m);

/* topology_choose - where m connects now; NULL: nobody has said it yet, and m will be hurried.
 * Borrowed until m chooses again. */
const struct redis_url *topology_choose(struct topology *tp, struct topology_member *m);

/*
 * topology_tls - what TLS needs, for a URL that asks for it; made at the first call that succeeds,
 * so files that are mended are found. NULL, and why.
 */
struct tls *topology_tls(struct topology *tp, char *why, size_t why_len);

/*
 * topology_found - a sentinel says that this is the primary, or a cluster that this is a node.
 * is_sure: whoever is elsewhere leaves; else only links that are down go there. why: for the log.
 */
void topology_found(struct topology *tp, const char *host, int port, bool is_sure, const char *why);

void topology_failed(struct topology *tp, const struct topology_member *m); /* it did not come up */
void topology_up(struct topology *tp, struct topology_member *m);
void topology_down(struct topology *tp, struct topology_member *m);

/*
 * topology_leave - the server to which m is connected cannot be used: all links leave it for the
 * next one.
 */
void topology_leave(struct topology *tp, const struct topology_member *m, const char *why);

#endif
