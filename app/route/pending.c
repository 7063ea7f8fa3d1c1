#include "route/pending.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "fcgi/params.h"

enum {
	TICK_MS = 25,
	/*
	 * The most bytes of bodies that are kept at a time. While Redis is away, a flood of POSTs
	 * costs a worker no more than this; what comes beyond is answered at once.
	 */
	BODIES_MAX = 16 << 20,
};

struct kept {
	struct session_waiter waiter;
	struct subscriber_holder holder;
	/* in the list of those that wait for a session, or for the next tick */
	struct list of_pending;
	struct pending *pending;
	struct params params;
	struct patience patience;
	uint64_t again_ms;               /* when it is served again */
	struct right_question *question; /* NULL: it waits for no command */
	struct known_right right;
	char *cookie; /* NULL: it waits for no session */
	char *body;
	size_t body_len;
};

struct pending {
	struct serving_context *in;
	pending_fn serve;
	struct list asked, retried;
	uv_timer_t tick;
	size_t n_body_bytes; /* of all that are kept */
	void (*on_closed)(void *arg);
	void *closed_arg;
};

static void
kept_free(struct kept *k)
{
	list_del(&k->of_pending);
	k->pending->n_body_bytes -= k->body_len;
	if (k->params.envp != NULL)
		strings_free(k->params.envp);
	free(k->cookie);
	free(k->body);
	free(k);
}

/* The client has gone. */
static void
on_left(struct subscriber_holder *holder)
{
	struct kept *k = LIST_ENTRY(holder, struct kept, holder);

	sessions_forget_waiter(&k->waiter);
	right_forget(k->question);
	kept_free(k);
}

static struct kept *
keep(struct pending *pending, const struct pending_request *rq, const char *cookie)
{
	size_t len = rq->body_len;
	struct kept *k;

	if (len > BODIES_MAX - pending->n_body_bytes || (k = calloc(1, sizeof(*k))) == NULL)
		return NULL;
	list_init(&k->of_pending);
	list_init(&k->waiter.of_entry);
	k->pending = pending;
	k->holder.left = on_left;
	if ((k->params.envp = strings_copy(rq->params->envp)) == NULL ||
	    (k->body = malloc(len + 1)) == NULL ||
	    (cookie != NULL && (k->cookie = strdup(cookie)) == NULL)) {
		kept_free(k);
		return NULL;
	}
	if (len > 0)
		memcpy(k->body, rq->body, len);
	k->body_len = len;
	k->patience = rq->patience;
	pending->n_body_bytes += len;
	return k;
}

static void
serve(struct kept *k, const struct session_answer *answer)
{
	struct subscriber *sub = subscriber_let_go(&k->holder);
	size_t body_len = k->body_len;

	list_del(&k->of_pending);
	/* It is counted no longer, because it may be kept anew. */
	k->pending->n_body_bytes -= body_len;
	k->body_len = 0;
	if (sub != NULL) {
		const struct kept_answer kept = {k->cookie, answer, k->patience, k->right};

		k->pending->serve(k->pending->in, sub, &k->params, k->body, body_len, &kept);
		if (!subscriber_is_stream(sub) && subscriber_has_bytes(sub))
			sub->ops->send(sub);
	}
	kept_free(k);
}

static void
on_tick(uv_timer_t *timer)
{
	struct pending *pending = timer->data;
	struct list now;

	/* A request that still cannot be decided is kept anew, for a later tick. */
	list_init(&now);
	list_splice_tail(&now, &pending->retried);
	while (!list_is_empty(&now)) {
		struct kept *k = LIST_ENTRY(now.next, struct kept, of_pending);

		if (uv_now(timer->loop) < k->again_ms)
			list_move_tail(&pending->retried, &k->of_pending);
		else
			serve(k, NULL);
	}
	if (list_is_empty(&pending->retried))
		uv_timer_stop(timer);
}

static void
retry(struct kept *k, unsigned ms)
{
	struct pending *pending = k->pending;

	k->again_ms = uv_now(pending->tick.loop) + ms;
	list_move_tail(&pending->retried, &k->of_pending);
	if (!uv_is_active((uv_handle_t *)&pending->tick))
		uv_timer_start(&pending->tick, on_tick, TICK_MS, TICK_MS);
}

static void
on_known(struct session_waiter *waiter, const struct session_answer *answer)
{
	struct kept *k = LIST_ENTRY(waiter, struct kept, waiter);

	if (answer->state == SESSION_AWAY)
		retry(k, TICK_MS);
	else
		serve(k, answer);
}

struct session_answer
pending_ask(struct pending *pending, const struct pending_request *rq, struct sessions *sessions,
	    const char *cookie)
{
	struct session_answer answer = {.state = SESSION_AWAY};
	struct kept *k = keep(pending, rq, cookie);

	if (k == NULL)
		return answer;
	k->waiter.on_known = on_known;
	answer = sessions_ask(sessions, cookie, rq->age, &k->waiter);
	if (answer.state == SESSION_ASKED) {
		list_add_tail(&pending->asked, &k->of_pending);
		subscriber_hold(rq->sub, &k->holder);
	} else {
		kept_free(k);
	}
	return answer;
}

static void
on_right(void *arg, enum allowed allowed)
{
	struct kept *k = arg;

	k->question = NULL;
	k->right.is_known = allowed != UNDECIDED;
	k->right.allowed = allowed;
	if (allowed == UNDECIDED)
		retry(k, TICK_MS);
	else
		serve(k, NULL);
}

int
pending_ask_right(struct pending *pending, const struct pending_request *rq, struct hub *hub,
		  char *const *words)
{
	struct kept *k = keep(pending, rq, NULL);

	if (k == NULL)
		return -ENOMEM;
	right_digest(k->right.digest, words);
	if ((k->question = right_ask(hub, words, on_right, k)) == NULL) {
		kept_free(k);
		return -ENOTCONN;
	}
	list_add_tail(&pending->asked, &k->of_pending);
	subscriber_hold(rq->sub, &k->holder);
	return 0;
}

int
pending_retry(struct pending *pending, const struct pending_request *rq, unsigned ms)
{
	struct kept *k = keep(pending, rq, NULL);

	if (k == NULL)
		return -ENOMEM;
	subscriber_hold(rq->sub, &k->holder);
	retry(k, ms);
	return 0;
}

int
pending_new(struct pending **out, uv_loop_t *loop, struct serving_context *in, pending_fn serve_fn)
{
	struct pending *pending = calloc(1, sizeof(*pending));

	if (pending == NULL)
		return -ENOMEM;
	pending->in = in;
	pending->serve = serve_fn;
	list_init(&pending->asked);
	list_init(&pending->retried);
	uv_timer_init(loop, &pending->tick);
	pending->tick.data = pending;
	*out = pending;
	return 0;
}

static void
forget(struct list *kept)
{
	while (!list_is_empty(kept)) {
		struct kept *k = LIST_ENTRY(kept->next, struct kept, of_pending);

		(void)subscriber_let_go(&k->holder);
		sessions_forget_waiter(&k->waiter);
		right_forget(k->question);
		kept_free(k);
	}
}

static void
on_timer_closed(uv_handle_t *handle)
{
	struct pending *pending = handle->data;
	void (*on_closed)(void *arg) = pending->on_closed;
	void *arg = pending->closed_arg;

	free(pending);
	on_closed(arg);
}

void
pending_close(struct pending *pending, void (*on_closed)(void *arg), void *arg)
{
	forget(&pending->asked);
	forget(&pending->retried);
	pending->on_closed = on_closed;
	pending->closed_arg = arg;
	uv_close((uv_handle_t *)&pending->tick, on_timer_closed);
}
