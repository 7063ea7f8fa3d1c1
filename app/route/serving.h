#ifndef SLUICE_ROUTE_SERVING_H
#define SLUICE_ROUTE_SERVING_H

/*
 * serving - one request while it is served, and what a service may do with it. Services get this,
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
	struct pending *pending;          /* requests of which it cannot be decided yet who may */
	const struct auth_settings *auth; /* borrowed */
	char *const *trusted_proxies;     /* borrowed; NULL: none */
	struct answer *out;               /* for one that had to wait */
	/* A request of our own, or one that had to wait, from the beginning. kept: NULL if it did
	 * not wait. */
	void (*serve)(struct serving_context *in, struct subscriber *sub, const struct params *vars,
		      const char *body, size_t len, const struct kept_answer *kept);
	/* The n-th of all routes; NULL past the last. */
	const struct route *(*nth_route)(const struct serving_context *in, size_t n);
};

struct serving {
	struct subscriber *sub;
	struct request *req;
	struct identity *who; /* asks; nobody until it is known */
	struct answer *out;
	const char *body;
	size_t body_len;
	const struct service *service; /* that it is for */
	struct kept_answer kept;       /* of one that had to wait; zeros */
	bool was_kept;                 /* it is served again from the beginning */
	bool has_bad_token;
	struct serving_context *in;
};

/*
 * service - what a route does with a method: one constant table in one file each. The first that
 * takes a request serves it.
 */
struct service {
	const char *name;
	bool is_stream;
	bool has_effect;  /* what a page of another site must not do with this site's cookies */
	bool tells_redis; /* so while Redis is away the request waits, for up to open_wait */
	bool (*takes)(const struct request *req);
	const struct auth_list *(*auth)(const struct route *rt); /* who may */
	void (*serve)(struct serving *sv);
};

extern const struct service service_mux_post; /* subscriptions of a connection are changed */
extern const struct service service_acking;   /* "POST ?ack=" to a queue */
extern const struct service service_posting;  /* a message is published */
extern const struct service service_short;    /* a handler's short answer */
extern const struct service service_waiting;  /* handler = wait: one event, or none in time */
extern const struct service service_polling;  /* and "?mode=poll" of any stream */
extern const struct service service_queue;    /* a stream whose entries nobody else is given */
extern const struct service service_streaming;

/* service_find - the one that takes the request, whose route is known; NULL: none does. */
const struct service *service_find(const struct request *req);

/*
 * serving_begin - an answer of this status and media type (NULL: it has no body), with what the
 * route says of other origins. serving_begin_stream: one that goes on. serving_send: it is whole.
 */
void serving_begin(struct serving *sv, int status, const char *type);
void serving_begin_stream(struct serving *sv);
void serving_send(struct serving *sv);

/* serving_refuse - detail names the rule, and nothing of ours. */
void serving_refuse(struct serving *sv, int status, const char *detail);
/* And it is worth asking again after so long; 0: as the status has it. */
void
serving_refuse_until(struct serving *sv, int status, const char *detail, unsigned retry_after_s);
/* serving_refuse_open - what feed_get() or feed_join() returned. */
void serving_refuse_open(struct serving *sv, int rc);

/*
 * serving_await_redis - true: Redis cannot be told now, and the request is kept and served again.
 * false: it can, or the request has waited for open_wait.
 */
bool serving_await_redis(struct serving *sv);

/* serving_end_stream - a stream that ends at once: its client comes back after retry_ms. */
void serving_end_stream(struct serving *sv, enum end_reason reason, unsigned retry_ms);

/* serving_take_grant - a place within the route's limits. Returns 0; else it was refused, or put
 * off. */
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
 * later.c: an answer that comes when Redis has spoken. The request is gone by then, and maybe the
 * client, the route, too.
 */
struct later {
	struct answer *out;
	unsigned counted; /* the route's tally */
	struct subscriber_holder holder;
	struct buf cors; /* the answer's header fields */
};

int later_init(struct later *later, struct serving *sv); /* 0, -ENOMEM, -EMSGSIZE */
void later_expect(struct later *later, struct subscriber *sub);
/* later_begin - an answer of this media type in later->out; later_send: it is whole. */
void later_begin(struct later *later, int status, const char *type);
void later_send(struct later *later);
void later_refuse(struct later *later, int status, const char *why);
void later_fini(struct later *later);

#endif
