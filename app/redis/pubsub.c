#include "redis/pubsub.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "base/list.h"
#include "redis/ear.h"
#include "redis/keyspace.h"
#include "redis/nodes.h"

enum { RETRY_MS = 500 };

/* An ear at one node of the cluster, or at any node. */
struct station {
	struct list of_pubsub;
	struct pubsub *pubsub;
	struct node *node; /* NULL: whichever */
	struct ear *ear;
};

/* A subject as the ear of one node knows it. */
struct post {
	struct pubsub_subject remote;
	struct pubsub_subject *subject;
	struct station *at;
	struct post *next;
	bool is_confirmed;
};

struct pubsub {
	uv_loop_t *loop;
	const struct pubsub_ops *ops;
	void *ctx;
	struct ear *ear; /* of the one server, whose subjects are the caller's; NULL in a cluster */
	/* Of a cluster: */
	bool is_sharded;
	struct nodes *nodes;
	struct topology *any;
	struct list stations;
	struct map channels, patterns;
	struct nodes_watcher watcher;
	uv_timer_t retry;
};

#define SUBJECT(n)   MAP_ENTRY(n, struct pubsub_subject, by_name)
#define POST(remote) LIST_ENTRY(remote, struct post, remote)
#define STATION(n)   LIST_ENTRY(n, struct station, of_pubsub)

static enum ear_verb
plain_verb(enum subject_kind kind)
{
	return kind == SUBJECT_CHANNEL ? EAR_CHANNEL : EAR_PATTERN;
}

/* Where a subject of a cluster belongs */

enum spread { AT_ANY, AT_SLOT, AT_ALL };

struct aim {
	enum spread spread;
	enum ear_verb verb;
	unsigned slot; /* AT_SLOT */
};

static struct aim
aim_of(const struct pubsub *ps, const struct pubsub_subject *subject)
{
	const char *name = subject->by_name.key, *key;
	size_t len = subject->by_name.len, key_len = len;
	struct aim aim = {AT_ANY, plain_verb(subject->kind), 0};

	if ((key = keyspace_key(name, &key_len)) != NULL) {
		aim.spread = aim.verb == EAR_CHANNEL && key_len > 0 ? AT_SLOT : AT_ALL;
		aim.slot = slot_of(key, key_len);
	} else if (aim.verb == EAR_CHANNEL && (ps->is_sharded || slot_has_tag(name, len))) {
		aim.verb = ps->is_sharded ? EAR_SHARD : EAR_CHANNEL;
		aim.spread = AT_SLOT;
		aim.slot = slot_of(name, len);
	}
	return aim;
}

static bool
is_wanted_at(const struct pubsub *ps, const struct aim *aim, const struct node *node)
{
	switch (aim->spread) {
	case AT_ANY:
		return node == NULL;
	case AT_SLOT:
		return node != NULL && nodes_of_slot(ps->nodes, aim->slot) == node;
	default:
		return node != NULL && node->n_slots > 0;
	}
}

static bool
has_post_at(const struct pubsub_subject *subject, const struct node *node)
{
	const struct post *post;

	for (post = subject->posts; post != NULL; post = post->next) {
		if (post->at->node == node)
			return true;
	}
	return false;
}

/* Is it confirmed at all nodes where it belongs? */
static bool
is_confirmed(const struct pubsub *ps, const struct pubsub_subject *subject)
{
	struct aim aim = aim_of(ps, subject);
	const struct post *post;
	struct node *node;

	for (post = subject->posts; post != NULL; post = post->next) {
		if (!post->is_confirmed)
			return false;
	}
	for (node = nodes_first(ps->nodes); aim.spread == AT_ALL && node != NULL;
	     node = nodes_next(ps->nodes, node)) {
		if (!has_post_at(subject, node))
			return false;
	}
	return subject->posts != NULL;
}

/* What the ears of a cluster report */

static void on_retry(uv_timer_t *timer);
static void remove_post(struct post *post, bool is_told);

static void
on_message(void *ctx, struct pubsub_subject *remote, const struct pubsub_message *msg)
{
	struct pubsub *ps = ((struct station *)ctx)->pubsub;

	ps->ops->on_message(ps->ctx, POST(remote)->subject, msg);
}

static void
on_confirmed(void *ctx, struct pubsub_subject *remote)
{
	struct pubsub *ps = ((struct station *)ctx)->pubsub;
	struct post *post = POST(remote);

	post->is_confirmed = true;
	if (is_confirmed(ps, post->subject))
		ps->ops->on_confirmed(ps->ctx, post->subject);
}

static void
on_refused(void *ctx, struct pubsub_subject *remote, const char *why)
{
	struct pubsub *ps = ((struct station *)ctx)->pubsub;

	ps->ops->on_refused(ps->ctx, POST(remote)->subject, why);
}

static void
lose_posts(struct map *map)
{
	struct map_node *n;

	for (n = map_first(map); n != NULL; n = map_next(map, n)) {
		for (struct post *post = SUBJECT(n)->posts; post != NULL; post = post->next) {
			if (!post->remote.is_lost)
				continue;
			post->remote.is_lost = post->is_confirmed = false;
			SUBJECT(n)->is_lost = true;
		}
	}
}

static void
on_lost(void *ctx)
{
	struct station *at = ctx;
	struct pubsub *ps = at->pubsub;

	lose_posts(&ps->channels);
	lose_posts(&ps->patterns);
	ps->ops->on_lost(ps->ctx);
}

/* It is subscribed again where the slot is now. The reply says where, or the map will be asked. */
static void
on_gone(void *ctx, struct pubsub_subject *remote, const struct redisReply *reply)
{
	struct pubsub *ps = ((struct station *)ctx)->pubsub;
	struct post *post = POST(remote);
	struct pubsub_subject *subject = post->subject;
	struct redirect to;

	if (reply != NULL && redirect_read(&to, reply) == REDIRECT_MOVED) {
		if (*to.to.host == '\0')
			memcpy(to.to.host, post->at->node->at.host, sizeof(to.to.host));
		nodes_move(ps->nodes, to.slot, &to.to);
	} else {
		nodes_doubt(ps->nodes, true);
	}
	remove_post(post, false);
	subject->is_lost = true;
	ps->ops->on_lost(ps->ctx);
	uv_timer_start(&ps->retry, on_retry, 0, 0);
}

static const struct pubsub_ops station_ops = {
    .on_message = on_message,
    .on_confirmed = on_confirmed,
    .on_refused = on_refused,
    .on_lost = on_lost,
    .on_gone = on_gone,
};

/* Stations and posts */

/* NULL: out of memory. */
static struct station *
station_at(struct pubsub *ps, struct node *node)
{
	struct topology *tp = node != NULL ? node->topology : ps->any;
	struct station *at;
	struct list *n;

	for (n = ps->stations.next; n != &ps->stations; n = n->next) {
		if (STATION(n)->node == node)
			return STATION(n);
	}
	if ((at = calloc(1, sizeof(*at))) == NULL)
		return NULL;
	at->pubsub = ps;
	at->node = node;
	if (ear_new(&at->ear, ps->loop, tp, &station_ops, at) < 0) {
		free(at);
		return NULL;
	}
	list_add_tail(&ps->stations, &at->of_pubsub);
	return at;
}

static void
station_free(struct station *at)
{
	list_del(&at->of_pubsub);
	ear_free(at->ear);
	free(at);
}

static int
add_post(struct pubsub_subject *subject, struct station *at, enum ear_verb verb)
{
	struct post *post;
	int rc;

	if (at == NULL || (post = calloc(1, sizeof(*post))) == NULL)
		return -ENOMEM;
	post->subject = subject;
	post->at = at;
	if ((rc = ear_begin(at->ear, &post->remote, verb, subject->by_name.key,
			    subject->by_name.len)) < 0) {
		free(post);
		return rc;
	}
	post->next = subject->posts;
	subject->posts = post;
	return 0;
}

/* is_told: the node still has it. */
static void
remove_post(struct post *post, bool is_told)
{
	struct post **p = &post->subject->posts;

	while (*p != post)
		p = &(*p)->next;
	*p = post->next;
	if (is_told)
		ear_end(post->at->ear, &post->remote);
	else
		ear_forget(post->at->ear, &post->remote);
	free(post);
}

/* Returns whether any was removed. */
static bool
remove_unwanted(struct pubsub *ps, struct pubsub_subject *subject, const struct aim *aim)
{
	struct post *post, *next;
	bool is_any = false;

	for (post = subject->posts; post != NULL; post = next) {
		next = post->next;
		if (is_wanted_at(ps, aim, post->at->node))
			continue;
		remove_post(post, true);
		is_any = true;
	}
	return is_any;
}

/* Returns 1 if it is at another place than before; 0; -ENOMEM: it must be placed again. */
static int
place(struct pubsub *ps, struct pubsub_subject *subject)
{
	struct aim aim = aim_of(ps, subject);
	bool is_moved = remove_unwanted(ps, subject, &aim);
	struct node *node = NULL;

	if (aim.spread == AT_SLOT && (node = nodes_of_slot(ps->nodes, aim.slot)) == NULL)
		return is_moved; /* until a node is known to have it */
	if (aim.spread == AT_ALL && (node = nodes_first(ps->nodes)) == NULL)
		return is_moved;
	do {
		if (has_post_at(subject, node))
			continue;
		if (add_post(subject, station_at(ps, node), aim.verb) < 0)
			return -ENOMEM;
		is_moved = true;
	} while (aim.spread == AT_ALL && (node = nodes_next(ps->nodes, node)) != NULL);
	return is_moved;
}

/* Places all again. Subjects that have moved count as lost until they are confirmed. */
static bool
place_all(struct pubsub *ps, struct map *map)
{
	struct map_node *n;
	bool is_any = false;
	int rc;

	for (n = map_first(map); n != NULL; n = map_next(map, n)) {
		if ((rc = place(ps, SUBJECT(n))) == 0)
			continue;
		if (rc < 0)
			uv_timer_start(&ps->retry, on_retry, RETRY_MS, 0);
		SUBJECT(n)->is_lost = is_any = true;
	}
	return is_any;
}

static void
drop_stations(struct pubsub *ps)
{
	struct list *n, *tmp;

	LIST_FOREACH (n, tmp, &ps->stations) {
		struct station *at = STATION(n);

		if (at->node != NULL && at->node->n_slots == 0 && ear_first(at->ear) == NULL)
			station_free(at);
	}
}

static void
on_change(struct nodes_watcher *watcher)
{
	struct pubsub *ps = LIST_ENTRY(watcher, struct pubsub, watcher);
	bool is_any = place_all(ps, &ps->channels);

	is_any |= place_all(ps, &ps->patterns);
	drop_stations(ps);
	if (is_any)
		ps->ops->on_lost(ps->ctx);
}

static void
on_retry(uv_timer_t *timer)
{
	struct pubsub *ps = timer->data;

	on_change(&ps->watcher);
}

/* Life */

static int
begin_cluster(struct pubsub *ps, struct topology *tp)
{
	ps->is_sharded = topology_settings(tp)->is_sharded;
	ps->any = tp;
	list_init(&ps->stations);
	map_init(&ps->channels);
	map_init(&ps->patterns);
	if (station_at(ps, NULL) == NULL) /* it tells whether anybody is there */
		return -ENOMEM;
	uv_timer_init(ps->loop, &ps->retry);
	ps->retry.data = ps;
	ps->watcher.on_change = on_change;
	nodes_watch(ps->nodes, &ps->watcher);
	return 0;
}

int
pubsub_new(struct pubsub **out, uv_loop_t *loop, struct topology *tp, const struct pubsub_ops *ops,
	   void *ctx)
{
	struct pubsub *ps = calloc(1, sizeof(*ps));
	int rc;

	if (ps == NULL)
		return -ENOMEM;
	ps->loop = loop;
	ps->ops = ops;
	ps->ctx = ctx;
	ps->nodes = topology_nodes(tp);
	rc = ps->nodes != NULL ? begin_cluster(ps, tp) : ear_new(&ps->ear, loop, tp, ops, ctx);
	if (rc < 0) {
		free(ps);
		return rc;
	}
	*out = ps;
	return 0;
}

static void
on_retry_closed(uv_handle_t *retry)
{
	free(retry->data);
}

static struct pubsub_subject *
take_any(struct pubsub *ps)
{
	struct map *map = ps->channels.n > 0 ? &ps->channels : &ps->patterns;
	struct pubsub_subject *subject;
	struct map_node *n;

	if (ps->ear != NULL) {
		if ((subject = ear_first(ps->ear)) != NULL)
			ear_forget(ps->ear, subject);
		return subject;
	}
	if ((n = map_first(map)) == NULL)
		return NULL;
	subject = SUBJECT(n);
	while (subject->posts != NULL)
		remove_post(subject->posts, false);
	map_del(map, n);
	return subject;
}

void
pubsub_free(struct pubsub *ps)
{
	struct list *n, *tmp;

	if (ps == NULL)
		return;
	while (take_any(ps) != NULL)
		counters_add(COUNTER_SUBJECTS, -1);
	if (ps->ear != NULL) {
		ear_free(ps->ear);
		free(ps);
		return;
	}
	LIST_FOREACH (n, tmp, &ps->stations)
		station_free(STATION(n));
	map_fini(&ps->channels);
	map_fini(&ps->patterns);
	nodes_unwatch(&ps->watcher);
	uv_close((uv_handle_t *)&ps->retry, on_retry_closed);
}

bool
pubsub_is_up(const struct pubsub *ps)
{
	struct list *n;

	if (ps->ear != NULL)
		return ear_is_up(ps->ear);
	for (n = ps->stations.next; n != &ps->stations; n = n->next) {
		if (ear_is_up(STATION(n)->ear))
			return true;
	}
	return false;
}

static struct map *
map_of(struct pubsub *ps, enum subject_kind kind)
{
	return kind == SUBJECT_CHANNEL ? &ps->channels : &ps->patterns;
}

static int
add(struct pubsub *ps, struct pubsub_subject *subject, const char *name, size_t len)
{
	int rc;

	subject->posts = NULL;
	subject->is_lost = false;
	if (ps->ear != NULL)
		return ear_begin(ps->ear, subject, plain_verb(subject->kind), name, len);
	if ((rc = map_add(map_of(ps, subject->kind), &subject->by_name, name, len)) < 0)
		return rc;
	if (place(ps, subject) < 0)
		uv_timer_start(&ps->retry, on_retry, RETRY_MS, 0);
	return 0;
}

int
pubsub_subscribe(struct pubsub *ps, struct pubsub_subject *subject, enum subject_kind kind,
		 const char *name, size_t len)
{
	int rc;

	subject->kind = (unsigned char)kind;
	if ((rc = add(ps, subject, name, len)) == 0)
		counters_add(COUNTER_SUBJECTS, 1);
	return rc;
}

void
pubsub_unsubscribe(struct pubsub *ps, struct pubsub_subject *subject)
{
	if (ps->ear != NULL) {
		ear_end(ps->ear, subject);
	} else {
		while (subject->posts != NULL)
			remove_post(subject->posts, true);
		map_del(map_of(ps, subject->kind), &subject->by_name);
	}
	counters_add(COUNTER_SUBJECTS, -1);
}

struct pubsub_subject *
pubsub_find(const struct pubsub *ps, enum subject_kind kind, const char *name, size_t len)
{
	struct map_node *n;

	if (ps->ear != NULL)
		return ear_find(ps->ear, plain_verb(kind), name, len);
	n = map_find(kind == SUBJECT_CHANNEL ? &ps->channels : &ps->patterns, name, len);
	return n == NULL ? NULL : SUBJECT(n);
}

int
pubsub_adopt(struct pubsub *ps, struct pubsub *from)
{
	struct pubsub_subject *subject;
	int rc;

	while ((subject = take_any(from)) != NULL) {
		if ((rc = add(ps, subject, subject->by_name.key, subject->by_name.len)) == 0)
			continue;
		do /* which had room for them, and has */
			add(from, subject, subject->by_name.key, subject->by_name.len);
		while ((subject = take_any(ps)) != NULL);
		return rc;
	}
	return 0;
}
