#ifndef SLUICE_ROUTE_SERVING_H
#define SLUICE_ROUTE_SERVING_H

/*
 * serving - one request while it is served, and what a service may do with it. Services see this,
 * and neither the site nor its table of routes.
 */
#include <stdbool.h>
#include <stddef.h>

#include "auth/identity.h"
#include "http/answer.h"
#include "hub/hub.h"
#include "route/grants.h"
#include "route/pending.h"
#include "route/request.h"
#include "route/sessions.h"

enum { KEY_PARAMS_MAX = 64 };

struct service;

/* What is the same for all requests of a worker. */
struct serving_context {
	struct hub *hub;
	struct grants *grants;
	struct sessions *sessions;
	/* requests of which it is not known yet who asks, or whether he may */
	struct pending *pending;
	const struct auth_settings *auth; /* borrowed */
	char *const *trusted_proxies;     /* borrowed; NULL: none */
	struct answer *out;               /* for a request that had to wait */
	bool began_with_request; /* plain CGI: Redis has just been asked for a connection */
	/*
	 * Serves a request from the beginning: one that had to wait, or one that is part of a mux
	 * connection. kept: NULL if it did not wait.
	 */
	void (*serve)(struct serving_context *in, struct subscriber *sub, const struct params *vars,
		      const char *body, size_t len, const struct kept_answer *kept);
	/* The n-th of all routes; NULL past the last. */
	const struct route *(*nth_route)(const struct serving_context *in, size_t n);
};

struct serving {
	struct subscriber *sub;
	struct request *req;
	struct identity *who; /* who asks; empty until it is known */
	struct answer *out;
	const char *body;
	size_t body_len;
	const struct service *service; /* that it is for */
	struct kept_answer kept;       /* what is known of a request that had to wait; else zeros */
	bool was_kept;                 /* it is served again from the beginning */
	bool has_bad_token;
	struct serving_context *in;
};

/*
 * service - what a route does for a method: a constant table in a file of its own. The first
 * service that takes a request serves it.
 */
struct service {
	const char *name;
	bool is_stream;
	bool has_effect;  /* a page of another site must not be able to do it with this site's
			     cookies */
	bool tells_redis; /* it writes to Redis, so while Redis is away the request waits, for up to
			     open_wait */
	bool (*takes)(const struct request *req);
	const struct auth_list *(*auth)(const struct route *rt); /* who may */
	void (*serve)(struct serving *sv);
};

/* a POST that changes the subscriptions of a mux connection */
extern const struct service service_mux_post;
extern const struct service service_acking;  /* "POST ?ack=" to a queue */
extern const struct service service_posting; /* a message is published */
extern const struct service service_short;   /* a handler's short answer */
/* handler = wait: answers one event, or that none came in time */
extern const struct service service_waiting;
extern const struct service service_polling; /* the same for "?mode=poll" of any stream */
/* a stream whose entries are given to no other subscriber */
extern const struct service service_queue;
extern const struct service service_streaming;

/* service.c: service_find - the service that takes the request, whose route is known; NULL: none
 * does. */
const struct service *service_find(const struct request *req);

/*
 * serving_begin - begins an answer of this status and media type (NULL: it has no body), with the
 * route's CORS fields. serving_begin_stream: one that does not end. serving_send: sends it.
 * serving_make_head: only the head of a stream, for a subscriber that takes it along to a feed;
 * returns 0, or < 0 as answer_end().
 */
void serving_begin(struct serving *sv, int status, const char *type);
void serving_begin_stream(struct serving *sv);
void serving_send(struct serving *sv);
int serving_make_head(struct serving *sv);

/* serving_refuse - detail says which rule was broken, and nothing about the inside of the site. */
void serving_refuse(struct serving *sv, int status, const char *detail);
/*
 * serving_refuse_until - also says after how long asking again makes sense; 0: what is usual for
 * the status.
 */
void
serving_refuse_until(struct serving *sv, int status, const char *detail, unsigned retry_after_s);
/* serving_refuse_open - refuses with what feed_get() or feed_join() returned. */
void serving_refuse_open(struct serving *sv, int rc);

/* serving_request - the request as it is to be kept, with this patience; borrows of sv. */
struct pending_request serving_request(const struct serving *sv, struct patience patience);

/*
 * serving_await_redis - true: Redis cannot be reached now, and the request is kept and served
 * again. false: it can be reached, or the request has waited for open_wait.
 */
bool serving_await_redis(struct serving *sv);

/* serving_end_stream - sends a stream that ends at once; its client comes back after retry_ms. */
void serving_end_stream(struct serving *sv, enum end_reason reason, unsigned retry_ms);

/*
 * serving_take_grant - takes a place within the route's limits. Returns 0; else the request was
 * refused, or waits.
 */
int serving_take_grant(struct serving *sv, struct grant **grant);

/*
 * param.c: param_check - a value must keep its rule. param_check_path - each of the path must.
 * key.c: key_read - all that the request's route asks of it: the parameters of the path, those that
 * the handler asks for, and, in key with their end, those on which its feed depends. Return 0, or
 * the status having refused.
 */
int param_check(struct serving *sv, const char *name, const char *value);
int param_check_path(struct serving *sv);
int key_read(struct serving *sv, struct template_value key[KEY_PARAMS_MAX + 1]);

/*
 * authorising.c: who asks, and may he? authorising_check - by these credentials; true: go on, with
 * sv->who. Else it is answered, or will be served again from the beginning once Redis has spoken.
 */
bool authorising_check(struct serving *sv, const struct auth_list *list);

/* authorising_check_channels - does the token list what these lists of templates come to, where the
 * client has a say in it? lists ends with NULL; no list in it may be NULL. As authorising_check().
 */
bool authorising_check_channels(struct serving *sv, struct template *const *const lists[],
				const struct template_value *params);

/*
 * carrying.c: what a mux connection may carry. carrying_may - the route that is asked for, if this
 * request is part of one; carrying_may_read - may the page that opened it read the route, now that
 * it is known who asks? As authorising_check().
 */
bool carrying_may(struct serving *sv);
bool carrying_may_read(struct serving *sv);

/*
 * deferred.c: an answer that is given when Redis has answered. By then the request is gone, and
 * maybe the client and the route as well.
 */
struct deferred {
	struct answer *out;
	unsigned counted; /* the route's tally */
	struct subscriber_holder holder;
	struct buf cors; /* the answer's header fields */
};

int deferred_init(struct deferred *deferred, struct serving *sv); /* 0, -ENOMEM, -EMSGSIZE */
void deferred_expect(struct deferred *deferred, struct subscriber *sub);
/* deferred_begin - begins an answer of this media type in deferred->out; deferred_send sends it. */
void deferred_begin(struct deferred *deferred, int status, const char *type);
void deferred_send(struct deferred *deferred);
void deferred_refuse(struct deferred *deferred, int status, const char *why);
void deferred_fini(struct deferred *deferred);

#endif
