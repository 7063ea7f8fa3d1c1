#include "redis/command.h"

#include <errno.h>
#include <hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/closing.h"
#include "base/counters.h"
#include "base/list.h"
#include "redis/keys.h"
#include "redis/nodes.h"
#include "redis/resp.h"
#include "redis/tracking.h"

enum {
	ERRANDS_MAX = 100000,
	ERRAND_SIZE = 256 * 1024 * 1024,
	UNUSED_MS = 10000,
	AGAIN_MS = 50,     /* how often commands that wait are tried again */
	REDIRECTS_MAX = 8, /* redirects that are followed at once; after that a command waits */
	ANY_SLOT = -1,
};

/* The way to one server: the only one, or a node of the cluster. */
struct server_way {
	struct list of_command;
	struct command *command;
	struct node *node; /* NULL: no cluster */
	struct lane *lane;
	struct tracking *tracking; /* NULL: nobody needs it */
	uint64_t used_ms;
};

/*
 * A command in a cluster. It is kept until it is answered, so that it can be sent again to another
 * node.
 */
struct errand {
	struct list of_command; /* while it waits */
	struct command *command;
	command_fn fn;
	void *arg;
	const struct server_way *way; /* where it was sent */
	int slot;
	unsigned n_redirects;
	uint64_t until_ms;
	const struct node **tracked_by; /* NULL: the key is not tracked */
	bool is_tracked;
	size_t len;
	char bytes[];
};

struct command {
	uv_loop_t *loop;
	struct topology *topology;
	struct nodes *nodes; /* NULL: there is no cluster, and one way */
	struct lane *only;   /* then that of it */
	struct list ways;
	struct list waiting; /* errands */
	size_t n_errands;
	unsigned timeout_ms;
	bool is_freed;
	void (*up)(void *arg);
	void *up_arg;
	const struct command_tracker *tracker;
	void *tracker_ctx;
	struct nodes_watcher watcher;
	uv_timer_t again;
	struct closing closing;
};

#define WAY(n)    LIST_ENTRY(n, struct server_way, of_command)
#define ERRAND(n) LIST_ENTRY(n, struct errand, of_command)

static void try_waiting(struct command *cmd);

/* Ways */

static void
on_way_up(void *ctx)
{
	struct server_way *w = ctx;
	struct command *cmd = w->command;

	if (w->tracking != NULL)
		tracking_lane_up(w->tracking);
	if (cmd->up != NULL)
		cmd->up(cmd->up_arg);
	if (cmd->nodes != NULL)
		try_waiting(cmd);
}

static void
on_way_down(void *ctx)
{
	struct server_way *w = ctx;

	if (w->tracking != NULL)
		tracking_lane_down(w->tracking);
}

static const struct lane_ops lane_ops = {.on_up = on_way_up, .on_down = on_way_down};

static struct server_way *
way_new(struct command *cmd, struct node *node)
{
	struct topology *tp = node != NULL ? node->topology : cmd->topology;
	struct server_way *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->command = cmd;
	w->node = node;
	w->used_ms = uv_now(cmd->loop);
	if (lane_new(&w->lane, cmd->loop, tp, cmd->timeout_ms, &lane_ops, w) < 0) {
		free(w);
		return NULL;
	}
	list_add_tail(&cmd->ways, &w->of_command);
	return w;
}

static void
way_free(struct server_way *w)
{
	list_del(&w->of_command);
	tracking_free(w->tracking);
	w->tracking = NULL;
	lane_free(w->lane);
	free(w);
}

/* Returns NULL if memory is short, or no node is known. */
static struct server_way *
way_to(struct command *cmd, struct node *node)
{
	struct list *n;

	if (node == NULL)
		return NULL;
	for (n = cmd->ways.next; n != &cmd->ways; n = n->next) {
		if (WAY(n)->node == node)
			return WAY(n);
	}
	return way_new(cmd, node);
}

static struct server_way *
any_way(struct command *cmd)
{
	struct list *n;

	for (n = cmd->ways.next; n != &cmd->ways; n = n->next) {
		if (lane_is_up(WAY(n)->lane))
			return WAY(n);
	}
	return NULL;
}

/* Tracking */

static void
on_key(void *ctx, const char *key, size_t len)
{
	struct server_way *w = ctx;

	if (w->command->tracker != NULL)
		w->command->tracker->on_key(w->command->tracker_ctx, key, len);
}

static void
on_tracking_ready(void *ctx)
{
	try_waiting(((struct server_way *)ctx)->command);
}

static void
on_tracking_lost(void *ctx)
{
	struct server_way *w = ctx;

	if (w->command->tracker != NULL)
		w->command->tracker->on_lost(w->command->tracker_ctx, w->node);
}

static const struct tracking_ops tracking_ops = {
    .on_key = on_key, .on_ready = on_tracking_ready, .on_lost = on_tracking_lost};

/* Is it known yet whether this node reports changes? */
static bool
knows_tracking(struct server_way *w)
{
	if (w->tracking == NULL && tracking_new(&w->tracking, w->command->loop, w->node->topology,
						w->lane, &tracking_ops, w) < 0)
		return false;
	return tracking_state(w->tracking) != TRACKING_OFF;
}

/* Errands */

static void
answer(struct errand *e, const redisReply *reply)
{
	command_fn fn = e->fn;
	void *arg = e->arg;

	e->command->n_errands--;
	if (e->tracked_by != NULL)
		*e->tracked_by = e->is_tracked && reply != NULL ? e->way->node : NULL;
	free(e);
	if (fn != NULL)
		fn(arg, reply); /* fn may free the command */
}

static void on_again(uv_timer_t *timer);

static void
wait_a_moment(struct errand *e)
{
	struct command *cmd = e->command;

	list_add_tail(&cmd->waiting, &e->of_command);
	if (!uv_is_active((uv_handle_t *)&cmd->again))
		uv_timer_start(&cmd->again, on_again, AGAIN_MS, AGAIN_MS);
}

static void on_reply(void *arg, const redisReply *reply);

/* Returns false if it cannot be sent there now. */
static bool
send_by(struct errand *e, struct server_way *w, bool is_asking)
{

	if (w == NULL || !lane_is_up(w->lane))
		return false;
	if (e->tracked_by != NULL && !is_asking && !knows_tracking(w))
		return false;
	e->way = w;
	w->used_ms = uv_now(e->command->loop);
	e->is_tracked =
	    e->tracked_by != NULL && !is_asking && tracking_state(w->tracking) == TRACKING_ON;
	/* Each of these counts only for the next command. */
	if ((e->is_tracked &&
	     lane_send(w->lane, NULL, NULL, RESP_WORDS("CLIENT", "CACHING", "YES")) < 0) ||
	    (is_asking && lane_send(w->lane, NULL, NULL, RESP_WORDS("ASKING")) < 0))
		return false;
	return lane_send_bytes(w->lane, on_reply, e, e->bytes, e->len) == 0;
}

static void
dispatch(struct errand *e)
{
	struct command *cmd = e->command;
	struct server_way *w = e->slot == ANY_SLOT
				   ? any_way(cmd)
				   : way_to(cmd, nodes_of_slot(cmd->nodes, (unsigned)e->slot));

	if (!send_by(e, w, false))
		wait_a_moment(e);
}

/* A command that is redirected again and again waits, and so does one that no node takes now. */
static void
redirect(struct errand *e, enum redirect_kind kind, struct redirect *to)
{
	struct command *cmd = e->command;

	counters_add(COUNTER_REDIRECTED, 1);
	if (kind == REDIRECT_WAIT) {
		nodes_doubt(cmd->nodes, true);
		wait_a_moment(e);
		return;
	}
	if (*to->to.host == '\0')
		memcpy(to->to.host, e->way->node->at.host, sizeof(to->to.host));
	if (kind == REDIRECT_MOVED)
		nodes_move(cmd->nodes, to->slot, &to->to);
	if (++e->n_redirects % REDIRECTS_MAX == 0 ||
	    (kind == REDIRECT_ASK && !send_by(e, way_to(cmd, nodes_at(cmd->nodes, &to->to)), true)))
		wait_a_moment(e);
	else if (kind == REDIRECT_MOVED)
		dispatch(e);
}

static void
on_reply(void *arg, const redisReply *reply)
{
	struct errand *e = arg;
	enum redirect_kind kind = REDIRECT_NONE;
	struct redirect to;

	if (reply != NULL && !e->command->is_freed && uv_now(e->command->loop) < e->until_ms)
		kind = redirect_read(&to, reply);
	if (kind == REDIRECT_NONE)
		answer(e, reply);
	else
		redirect(e, kind, &to);
}

/*
 * Tries only those that wait now: a callback may send new commands, and what cannot be sent waits
 * again.
 */
static void
try_waiting(struct command *cmd)
{
	struct list now;

	list_init(&now);
	list_splice_tail(&now, &cmd->waiting);
	while (!list_is_empty(&now)) {
		struct errand *e = ERRAND(now.next);

		list_del(&e->of_command);
		dispatch(e);
	}
}

/* Returns a command whose time is over, or NULL. The oldest need not be the first. */
static struct errand *
find_overdue(const struct command *cmd)
{
	uint64_t now = uv_now(cmd->loop);
	struct list *n;

	for (n = cmd->waiting.next; n != &cmd->waiting; n = n->next) {
		if (now >= ERRAND(n)->until_ms)
			return ERRAND(n);
	}
	return NULL;
}

/*
 * Drops the ways to nodes without slots when they have not been used for a while; a node to which a
 * slot is just being moved has none yet. Returns whether there are such ways.
 */
static bool
drop_ways(struct command *cmd)
{
	struct list *n, *tmp;
	bool is_needed = false;

	LIST_FOREACH (n, tmp, &cmd->ways) {
		struct server_way *w = WAY(n);

		if (w->node->n_slots > 0)
			continue;
		if (lane_is_idle(w->lane) && uv_now(cmd->loop) - w->used_ms >= UNUSED_MS)
			way_free(w);
		else
			is_needed = true;
	}
	return is_needed;
}

static void
on_again(uv_timer_t *timer)
{
	struct command *cmd = timer->data;
	struct errand *e;
	bool is_needed = drop_ways(cmd);

	try_waiting(cmd);
	if (list_is_empty(&cmd->waiting) && !is_needed)
		uv_timer_stop(timer);
	while (!cmd->is_freed && (e = find_overdue(cmd)) != NULL) {
		list_del(&e->of_command);
		answer(e, NULL);
	}
}

static void
on_change(struct nodes_watcher *watcher)
{
	struct command *cmd = LIST_ENTRY(watcher, struct command, watcher);
	struct node *node;

	for (node = nodes_first(cmd->nodes); node != NULL; node = nodes_next(cmd->nodes, node))
		way_to(cmd, node);
	if (!uv_is_active((uv_handle_t *)&cmd->again))
		uv_timer_start(&cmd->again, on_again, 0, AGAIN_MS);
}

/* The slot of its first key. */
static int
slot_for(struct resp_words words)
{
	int i = keys_first(words.n, words.v);

	if (i == 0)
		return ANY_SLOT;
	return (int)slot_of(words.v[i], resp_word_len(words, i));
}

static int
begin_errand(struct command *cmd, command_fn fn, void *arg, const struct node **tracked_by,
	     struct resp_words words)
{
	struct errand *e;
	struct buf b;

	if (cmd->is_freed)
		return -ENOTCONN;
	if (cmd->n_errands >= ERRANDS_MAX)
		return -EAGAIN;
	buf_init(&b, ERRAND_SIZE);
	if (resp_put_command(&b, words) < 0 || (e = malloc(sizeof(*e) + b.len)) == NULL) {
		buf_fini(&b);
		return -ENOMEM;
	}
	*e = (struct errand){.command = cmd,
			     .fn = fn,
			     .arg = arg,
			     .slot = slot_for(words),
			     .until_ms = uv_now(cmd->loop) + cmd->timeout_ms,
			     .tracked_by = tracked_by,
			     .len = b.len};
	list_init(&e->of_command);
	memcpy(e->bytes, b.p, b.len);
	buf_fini(&b);
	cmd->n_errands++;
	dispatch(e);
	return 0;
}

int
command_send(struct command *cmd, command_fn fn, void *arg, struct resp_words words)
{
	if (cmd->nodes == NULL)
		return lane_send(cmd->only, fn, arg, words);
	return begin_errand(cmd, fn, arg, NULL, words);
}

unsigned
command_send_each(struct command *cmd, command_fn fn, void *arg, struct resp_words words)
{
	unsigned n_sent = 0;
	struct list *n;

	for (n = cmd->ways.next; n != &cmd->ways; n = n->next)
		n_sent += lane_send(WAY(n)->lane, fn, arg, words) == 0;
	return n_sent;
}

int
command_read(struct command *cmd, command_fn fn, void *arg, const struct node **node,
	     struct resp_words words)
{
	if (cmd->nodes == NULL)
		return lane_send(cmd->only, fn, arg, words);
	return begin_errand(cmd, fn, arg, node, words);
}

void
command_track(struct command *cmd, const struct command_tracker *tracker, void *ctx)
{
	cmd->tracker = tracker;
	cmd->tracker_ctx = ctx;
}

void
command_untrack(struct command *cmd, const void *ctx)
{
	if (cmd->tracker_ctx == ctx)
		command_track(cmd, NULL, NULL);
}

void
command_on_up(struct command *cmd, void (*fn)(void *arg), void *arg)
{
	cmd->up = fn;
	cmd->up_arg = arg;
}

bool
command_is_up(const struct command *cmd)
{
	struct list *n;

	for (n = cmd->ways.next; n != &cmd->ways; n = n->next) {
		if (lane_is_up(WAY(n)->lane))
			return true;
	}
	return false;
}

int
command_new(struct command **out, uv_loop_t *loop, struct topology *tp, unsigned timeout_ms)
{
	struct command *cmd = calloc(1, sizeof(*cmd));
	struct server_way *only = NULL;

	if (cmd == NULL)
		return -ENOMEM;
	cmd->loop = loop;
	cmd->topology = tp;
	cmd->nodes = topology_nodes(tp);
	cmd->timeout_ms = timeout_ms;
	list_init(&cmd->ways);
	list_init(&cmd->waiting);
	if (cmd->nodes == NULL && (only = way_new(cmd, NULL)) == NULL) {
		free(cmd);
		return -ENOMEM;
	}
	uv_timer_init(loop, &cmd->again);
	cmd->again.data = cmd;
	if (only != NULL) {
		cmd->only = only->lane;
	} else {
		cmd->watcher.on_change = on_change;
		nodes_watch(cmd->nodes, &cmd->watcher);
		on_change(&cmd->watcher);
	}
	*out = cmd;
	return 0;
}

static void
on_closed(struct closing *closing)
{
	free(LIST_ENTRY(closing, struct command, closing));
}

void
command_free(struct command *cmd)
{
	struct list *n, *tmp;

	if (cmd == NULL)
		return;
	cmd->is_freed = true;
	if (cmd->nodes != NULL)
		nodes_unwatch(&cmd->watcher);
	LIST_FOREACH (n, tmp, &cmd->ways)
		way_free(WAY(n));
	while (!list_is_empty(&cmd->waiting)) {
		struct errand *e = ERRAND(cmd->waiting.next);

		list_del(&e->of_command);
		answer(e, NULL);
	}
	closing_begin(&cmd->closing, on_closed);
	closing_add(&cmd->closing, (uv_handle_t *)&cmd->again);
}
