#include "route/grants.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/closing.h"
#include "base/logger.h"
#include "base/quota.h"
#include "base/strings.h"
#include "route/allow.h"
#include "route/right.h"
#include "base/random.h"

enum {
	TICK_MS = 500,
	KEYS_MAX = 4,
	SPREAD = 5,
	KICK_MAX = 512,
	PROBE_LOOK_MS = 50,
	PROBE_AGAIN_MS = 500 /* at the first write a proxy only learns that its client has gone; the
				second one fails */
};

struct grant {
	struct subscriber_watch watch;
	struct session_waiter waiter;
	struct list of_grants;
	struct grants *grants;
	struct subscriber *sub;
	const struct route *rt;  /* it outlives its streams */
	struct identity id;      /* without its claims */
	struct allow_case allow; /* for a session, which is judged again from time to time */
	uint64_t taken[KEYS_MAX];
	unsigned n_taken;
	uint64_t look_ms; /* when the session is looked at again; 0: never */
	char **words;     /* the words of allow_command, owned; NULL: none */
	struct right_question *question;
	bool is_looking;
	bool is_limited; /* it is open, and counted for a user or an address */
	bool is_probed;  /* it was probed once, and is probed again at probe_ms */
	uint64_t probe_ms;
};

struct grants {
	struct hub *hub;
	struct sessions *sessions;
	struct grant_settings settings;
	struct list open;
	uv_timer_t tick, look;
	uint64_t probed[QUOTA_PROBES];
	uint32_t probes_seen;
	unsigned n_limited, n_probed; /* of those that are open */
	struct closing closing;       /* of the timers */
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
	g->grants->n_probed -= g->is_probed;
	g->grants->n_limited -= g->is_limited;
	allow_fini(&g->allow);
	right_forget(g->question);
	if (g->words != NULL)
		strings_free(g->words);
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

/* Takes a place among all streams, and one among those of the route. */
static int
take_common(struct grant *g, const char **why)
{
	*why = "This server has as many streams open as it may.";
	if (!take(g, g->grants->settings.max_subscribers, "all", NULL, NULL))
		return HTTP_TOO_MANY_REQUESTS;
	*why = "This route has as many streams open as it may.";
	return take(g, g->rt->max_subscribers, "route", g->rt->name, NULL) ? 0
									   : HTTP_TOO_MANY_REQUESTS;
}

/* The clients of some streams may have gone, without the proxy in between having noticed. */
static int
take_or_probe(struct grant *g, uint64_t max, const char *kind, const char *whose)
{
	if (take(g, max, kind, g->rt->name, whose))
		return 0;
	quota_probe(quota_key(kind, g->rt->name, whose), GRANTS_PROBE_MS, clock_ms());
	return -EAGAIN;
}

static int
take_all(struct grant *g, const char *address, const char **why)
{
	int rc = take_common(g, why);

	if (rc != 0)
		return rc;
	*why = "This user has as many streams of this route open as one may.";
	if (g->id.user != NULL &&
	    (rc = take_or_probe(g, g->rt->max_per_user, "user", g->id.user)) != 0)
		return rc;
	*why = "This address has as many streams of this route open as one may.";
	return take_or_probe(g, g->rt->max_per_ip, "address", address);
}

/* Spreads the looks at sessions: those that began at one moment are not looked at all at once. */
static void
plan_look(struct grant *g)
{
	uint64_t ms = g->grants->settings.auth->reauth_ms;

	g->look_ms = 0;
	if ((g->id.session != NULL || g->words != NULL) && ms > 0)
		g->look_ms =
		    uv_now(g->grants->tick.loop) + ms - random_below((unsigned)(ms / SPREAD + 1));
}

static bool
is_needed(const struct grants *grants, const struct route *rt, const struct identity *id)
{
	return grants->settings.max_subscribers > 0 || rt->max_subscribers > 0 ||
	       rt->max_per_user > 0 || rt->max_per_ip > 0 || id->expires > 0 ||
	       id->session != NULL || rt->allow_command != NULL ||
	       grants->settings.auth->kick != NULL;
}

static void on_tick(uv_timer_t *timer);
static void on_look(uv_timer_t *timer);

/* Keeps what is needed to judge the user again later. */
static int
remember(struct grant *g, const struct request *req)
{
	const struct identity *id = req->identity;
	int rc;

	if ((rc = identity_copy(&g->id, id)) < 0)
		return rc;
	json_object_put(g->id.claims);
	g->id.claims = NULL;
	if (id->session != NULL && (rc = allow_keep(&g->allow, req, id)) < 0)
		return rc;
	if (req->route->allow_command != NULL &&
	    (g->words = right_words(req, hub_prefix(g->grants->hub))) == NULL)
		return -ENOMEM;
	return 0;
}

int
grants_take(struct grant **out, struct grants *grants, const struct request *req,
	    const char *address, const char **why)
{
	struct grant *g;
	int rc;

	*out = NULL;
	if (!is_needed(grants, req->route, req->identity))
		return 0;
	if ((g = calloc(1, sizeof(*g))) == NULL)
		return -ENOMEM;
	list_init(&g->of_grants);
	g->grants = grants;
	g->rt = req->route;
	if ((rc = remember(g, req)) < 0 || (rc = take_all(g, address, why)) != 0) {
		grant_free(g);
		return rc;
	}
	*out = g;
	return 0;
}

static void
start_timers(struct grant *g)
{
	struct grants *grants = g->grants;

	if (!uv_is_active((uv_handle_t *)&grants->tick))
		uv_timer_start(&grants->tick, on_tick, TICK_MS, TICK_MS);
	g->is_limited = g->rt->max_per_user > 0 || g->rt->max_per_ip > 0;
	if (!g->is_limited || grants->n_limited++ > 0)
		return;
	/* Probes that were asked for before it began do not concern it. */
	(void)quota_probed(grants->probed, &grants->probes_seen);
	uv_timer_start(&grants->look, on_look, PROBE_LOOK_MS, PROBE_LOOK_MS);
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
	start_timers(g);
	return 0;
}

void
grants_give_back(struct grant *g)
{
	if (g != NULL)
		grant_free(g);
}

/* Clients that have gone */

static bool
holds(const struct grant *g, const uint64_t *keys, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = 0; k < g->n_taken; k++) {
			if (g->taken[k] == keys[i])
				return true;
		}
	}
	return false;
}

static void
probe(struct grant *g, bool is_first, uint64_t now)
{
	g->grants->n_probed -= g->is_probed;
	g->is_probed = is_first;
	g->grants->n_probed += g->is_probed;
	g->probe_ms = now + PROBE_AGAIN_MS;
	subscriber_probe(g->sub);
}

/* Somebody waits for a place, in this worker or another. */
static void
on_look(uv_timer_t *timer)
{
	struct grants *grants = timer->data;
	unsigned n = quota_probed(grants->probed, &grants->probes_seen);
	uint64_t now = uv_now(timer->loop);
	struct list *node, *tmp;

	if (grants->n_limited == 0)
		uv_timer_stop(timer);
	if (n == 0 && grants->n_probed == 0)
		return;
	LIST_FOREACH (node, tmp, &grants->open) {
		struct grant *g = LIST_ENTRY(node, struct grant, of_grants);

		if (n > 0 && holds(g, grants->probed, n))
			probe(g, true, now);
		else if (g->is_probed && now >= g->probe_ms)
			probe(g, false, now);
	}
}

/* Credentials that hold no longer */

static void
on_right(void *arg, enum allowed allowed)
{
	struct grant *g = arg;

	g->question = NULL;
	if (allowed == FORBIDDEN)
		subscriber_end(g->sub, END_AUTH);
}

/* The stream stays open while Redis gives no answer. */
static void
look_at_right(struct grant *g)
{
	if (g->words != NULL && g->question == NULL)
		g->question = right_ask(g->grants->hub, g->words, on_right, g);
}

static void
judge(struct grant *g, const struct session_answer *answer)
{
	plan_look(g);
	if (answer->state == SESSION_NONE ||
	    (answer->state == SESSION_THERE && allow_again(&g->allow, answer->id) == FORBIDDEN))
		subscriber_end(g->sub, END_AUTH);
	else
		look_at_right(g);
}

static void
on_looked(struct session_waiter *waiter, const struct session_answer *answer)
{
	struct grant *g = LIST_ENTRY(waiter, struct grant, waiter);

	g->is_looking = false;
	judge(g, answer);
}

static void
look(struct grant *g)
{
	struct session_answer answer;

	if (g->id.session == NULL) {
		plan_look(g);
		look_at_right(g);
		return;
	}
	g->waiter.on_known = on_looked;
	answer = sessions_ask(g->grants->sessions, g->id.session, SESSION_ANEW, &g->waiter);
	g->is_looking = answer.state == SESSION_ASKED;
	if (!g->is_looking)
		judge(g, &answer);
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
	return strncmp(kick, "route:", 6) == 0 && strcmp(g->rt->name, kick + 6) == 0;
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
	/* A client that comes back is asked for its session anew. */
	sessions_set(grants->sessions, grants->settings.auth);
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
	uv_timer_init(loop, &grants->look);
	grants->tick.data = grants->look.data = grants;
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
on_timers_closed(struct closing *closing)
{
	struct grants *grants = LIST_ENTRY(closing, struct grants, closing);
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
	closing_begin(&grants->closing, on_timers_closed);
	closing_add(&grants->closing, (uv_handle_t *)&grants->tick);
	closing_add(&grants->closing, (uv_handle_t *)&grants->look);
}
