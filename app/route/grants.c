#include "route/grants.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/logger.h"
#include "base/quota.h"
#include "base/random.h"

enum { TICK_MS = 500, KEYS_MAX = 4, SPREAD = 5, KICK_MAX = 512 };

struct grant {
	struct subscriber_watch watch;
	struct session_waiter waiter;
	struct list of_grants;
	struct grants *grants;
	struct subscriber *sub;
	const char *route; /* its name; the route outlives its streams */
	struct identity id;
	uint64_t taken[KEYS_MAX];
	unsigned n_taken;
	uint64_t look_ms; /* when its session is looked at again; 0: never */
	bool is_looking;
};

struct grants {
	struct hub *hub;
	struct sessions *sessions;
	struct grant_settings settings;
	struct list open;
	uv_timer_t tick;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

static void
grant_free(struct grant *g)
{
	if (g->is_looking)
		sessions_forget_waiter(&g->waiter);
	while (g->n_taken > 0)
		quota_give(g->taken[--g->n_taken]);
	list_del(&g->of_grants);
	identity_fini(&g->id);
	free(g);
}

static void
on_left(struct subscriber_watch *watch)
{
	grant_free(LIST_ENTRY(watch, struct grant, watch));
}

/* Limits */

static bool
take(struct grant *g, uint64_t max, const char *kind, const char *a, const char *b)
{
	uint64_t key;

	if (max == 0)
		return true;
	key = quota_key(kind, a, b);
	if (!quota_take(key, max))
		return false;
	g->taken[g->n_taken++] = key;
	return true;
}

static int
take_all(struct grant *g, const struct route *rt, const char *address, const char **why)
{
	*why = "This server has as many streams open as it may.";
	if (!take(g, g->grants->settings.max_subscribers, "all", NULL, NULL))
		return HTTP_TOO_MANY_REQUESTS;
	*why = "This route has as many streams open as it may.";
	if (!take(g, rt->max_subscribers, "route", rt->name, NULL))
		return HTTP_TOO_MANY_REQUESTS;
	*why = "This user has as many streams of this route open as one may.";
	if (g->id.user != NULL && !take(g, rt->max_per_user, "user", rt->name, g->id.user))
		return HTTP_TOO_MANY_REQUESTS;
	*why = "This address has as many streams of this route open as one may.";
	return take(g, rt->max_per_ip, "address", rt->name, address) ? 0 : HTTP_TOO_MANY_REQUESTS;
}

/* A session's next look, spread: those of one moment need not be looked at in one. */
static void
plan_look(struct grant *g)
{
	uint64_t ms = g->grants->settings.auth->reauth_ms;

	g->look_ms = 0;
	if (g->id.session != NULL && ms > 0)
		g->look_ms =
		    uv_now(g->grants->tick.loop) + ms - random_below((unsigned)(ms / SPREAD + 1));
}

static bool
is_needed(const struct grants *grants, const struct route *rt, const struct identity *id)
{
	return grants->settings.max_subscribers > 0 || rt->max_subscribers > 0 ||
	       rt->max_per_user > 0 || rt->max_per_ip > 0 || id->expires > 0 ||
	       id->session != NULL || grants->settings.auth->kick != NULL;
}

static void on_tick(uv_timer_t *timer);

int
grants_take(struct grant **out, struct grants *grants, const struct route *rt,
	    const struct identity *id, const char *address, const char **why)
{
	struct grant *g;
	int rc;

	*out = NULL;
	if (!is_needed(grants, rt, id))
		return 0;
	if ((g = calloc(1, sizeof(*g))) == NULL)
		return -ENOMEM;
	list_init(&g->of_grants);
	g->grants = grants;
	g->route = rt->name;
	if ((rc = identity_copy(&g->id, id)) < 0 || (rc = take_all(g, rt, address, why)) != 0) {
		grant_free(g);
		return rc;
	}
	json_object_put(g->id.claims);
	g->id.claims = NULL;
	*out = g;
	return 0;
}

int
grants_keep(struct grant *g, struct subscriber *sub)
{
	struct grants *grants = g->grants;
	int rc;

	g->watch.left = on_left;
	if ((rc = subscriber_watch(sub, &g->watch)) < 0) {
		grant_free(g);
		return rc;
	}
	g->sub = sub;
	plan_look(g);
	list_add_tail(&grants->open, &g->of_grants);
	if (!uv_is_active((uv_handle_t *)&grants->tick))
		uv_timer_start(&grants->tick, on_tick, TICK_MS, TICK_MS);
	return 0;
}

void
grants_give_back(struct grant *g)
{
	if (g != NULL)
		grant_free(g);
}

/* Credentials that hold no longer */

static void
judge(struct grant *g, enum session_state state, const struct identity *id)
{
	bool is_same = state == SESSION_THERE && (id->user == NULL) == (g->id.user == NULL) &&
		       (id->user == NULL || strcmp(id->user, g->id.user) == 0);

	plan_look(g);
	if (state != SESSION_AWAY && !is_same)
		subscriber_end(g->sub, END_AUTH);
}

static void
on_looked(struct session_waiter *waiter, enum session_state state, const struct identity *id)
{
	struct grant *g = LIST_ENTRY(waiter, struct grant, waiter);

	g->is_looking = false;
	judge(g, state, id);
}

static void
look(struct grant *g)
{
	const struct identity *id = NULL;
	enum session_state state;

	g->waiter.on_known = on_looked;
	state = sessions_ask(g->grants->sessions, g->id.session, &g->waiter, &id);
	g->is_looking = state == SESSION_ASKED;
	if (!g->is_looking)
		judge(g, state, id);
}

static void
on_tick(uv_timer_t *timer)
{
	struct grants *grants = timer->data;
	struct list *node, *tmp;
	int64_t now = clock_unix();

	LIST_FOREACH (node, tmp, &grants->open) {
		struct grant *g = LIST_ENTRY(node, struct grant, of_grants);

		if (g->id.expires > 0 && now >= g->id.expires)
			subscriber_end(g->sub, END_AUTH);
		else if (g->look_ms > 0 && !g->is_looking && uv_now(timer->loop) >= g->look_ms)
			look(g);
	}
	if (list_is_empty(&grants->open))
		uv_timer_stop(timer);
}

/* "user:ID", "session:ID", "route:NAME" */
static bool
is_meant(const struct grant *g, const char *kick)
{
	if (strncmp(kick, "user:", 5) == 0)
		return g->id.user != NULL && strcmp(g->id.user, kick + 5) == 0;
	if (strncmp(kick, "session:", 8) == 0)
		return g->id.session != NULL && strcmp(g->id.session, kick + 8) == 0;
	return strncmp(kick, "route:", 6) == 0 && strcmp(g->route, kick + 6) == 0;
}

static void
on_kick(void *arg, const char *data, size_t len)
{
	struct grants *grants = arg;
	struct list *node, *tmp;
	char kick[KICK_MAX];
	unsigned n = 0;

	if (len >= sizeof(kick) || memchr(data, '\0', len) != NULL)
		return;
	memcpy(kick, data, len);
	kick[len] = '\0';
	sessions_set(grants->sessions,
		     grants->settings.auth); /* who comes back is looked at anew */
	LIST_FOREACH (node, tmp, &grants->open) {
		struct grant *g = LIST_ENTRY(node, struct grant, of_grants);

		if (is_meant(g, kick)) {
			subscriber_end(g->sub, END_AUTH);
			n++;
		}
	}
	if (n > 0)
		logger_info("%u streams were ended by a message to %s", n,
			    grants->settings.auth->kick);
}

int
grants_new(struct grants **out, struct hub *hub, uv_loop_t *loop, struct sessions *sessions)
{
	struct grants *grants = calloc(1, sizeof(*grants));

	if (grants == NULL)
		return -ENOMEM;
	grants->hub = hub;
	grants->sessions = sessions;
	list_init(&grants->open);
	uv_timer_init(loop, &grants->tick);
	grants->tick.data = grants;
	*out = grants;
	return 0;
}

void
grants_set(struct grants *grants, const struct grant_settings *settings)
{
	grants->settings = *settings;
	if (hub_notice(grants->hub, settings->auth->kick, on_kick, grants) < 0)
		logger_error("out of memory: [auth] kick does not work");
}

static void
on_timer_closed(uv_handle_t *handle)
{
	struct grants *grants = handle->data;
	void (*on_closed)(void *arg) = grants->on_closed;
	void *arg = grants->closed_arg;

	free(grants);
	on_closed(arg);
}

void
grants_close(struct grants *grants, void (*on_closed)(void *arg), void *arg)
{
	struct list *node, *tmp;

	(void)hub_notice(grants->hub, NULL, NULL, NULL);
	LIST_FOREACH (node, tmp, &grants->open) {
		struct grant *g = LIST_ENTRY(node, struct grant, of_grants);

		subscriber_unwatch(g->sub, &g->watch);
		grant_free(g);
	}
	grants->on_closed = on_closed;
	grants->closed_arg = arg;
	uv_close((uv_handle_t *)&grants->tick, on_timer_closed);
}
