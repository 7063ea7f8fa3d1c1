#ifndef SLUICE_ROUTE_SERVING_H
#define SLUICE_ROUTE_SERVING_H

/*
 * What the files that serve a request know of each other, and nobody else: the site, and how a
 * request is refused or answered. One request is served at a time, so its parts are the site's.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "http/answer.h"
#include "hub/hub.h"
#include "route/grants.h"
#include "route/pending.h"
#include "route/request.h"
#include "route/sessions.h"
#include "route/site.h"

enum { KEY_PARAMS_MAX = 64, HEAD_MAX = 16 * 1024 };

struct site {
	struct hub *hub;
	char *base;
	struct route **routes;
	size_t n_routes;
	size_t n_closing;         /* removed, but their feeds are not gone yet */
	struct request request;   /* the one that is being served */
	struct identity identity; /* and who asks */
	bool has_bad_token;
	struct kept_answer kept;          /* of a request that had to wait; zeros */
	const struct auth_settings *auth; /* borrowed */
	char *const *trusted_proxies;     /* borrowed; NULL: none */
	struct sessions *sessions;
	struct grants *grants;
	struct pending *pending; /* requests of which it cannot be decided yet who may */
	unsigned n_parts;        /* of those three, that are not closed */
	struct answer out;       /* to the request that is being served, or to one that waited */
	void (*on_closed)(void *arg);
	void *closed_arg;
};

/* site_begin - an answer of this status and media type (NULL: it has no body), with what the route
 * says of other origins. site_begin_stream: one that goes on. */
void site_begin(struct site *site, int status, const char *type);
void site_begin_stream(struct site *site);

/* site_send - the answer that stands in site->out is whole. */
void site_send(struct site *site, struct subscriber *sub);

/* site_refuse - detail names the rule, and nothing of ours. */
void site_refuse(struct site *site, struct subscriber *sub, int status, const char *detail);
/* And it is worth asking again after so long; 0: as the status has it. */
void site_refuse_until(struct site *site, struct subscriber *sub, int status, const char *detail,
		       unsigned retry_after_s);

/* site_answers_short - is the request answered by the handler's answer()? */
bool site_answers_short(const struct site *site);

/* site_answer_end - a stream that ends at once: its client comes back after retry_ms. */
void site_answer_end(struct site *site, struct subscriber *sub, enum end_reason reason,
		     unsigned retry_ms);

/* site_refuse_open - what feed_get() or feed_join() returned. */
void site_refuse_open(struct site *site, struct subscriber *sub, int rc);

/* site_check_param - a value must keep its rule. Returns 0, or the status having refused. */
int
site_check_param(struct site *site, struct subscriber *sub, const char *name, const char *value);

/* site_read_key - up to KEY_PARAMS_MAX parameters and their end, on which the route's feed depends.
 * As site_check_param(). */
int site_read_key(struct site *site, struct subscriber *sub, struct template_value *key);

/*
 * authorising.c: who asks, and may he? authorising_check - by these credentials; true: go on, with
 * the site's identity. Else it is answered, or will be served again from the beginning once Redis
 * has spoken.
 */
bool authorising_check(struct site *site, struct subscriber *sub, const struct auth_list *list,
		       const char *body, size_t len);

/* authorising_check_channels - does the token list what these lists of templates come to, where the
 * client has a say in it? lists ends with NULL; no list in it may be NULL. As authorising_check().
 */
bool authorising_check_channels(struct site *site, struct subscriber *sub,
				struct template *const *const lists[],
				const struct template_value *params);
/*
 * authorising_wait_for_place - a limit was reached, and those who have the places are probed: true:
 * the request, a GET, waits; false: it has waited long enough.
 */
bool authorising_wait_for_place(struct site *site, struct subscriber *sub);

int authorising_init(struct site *site, uv_loop_t *loop); /* 0, -ENOMEM */

/*
 * later.c: an answer that comes when Redis has spoken. The request is gone by then, and maybe the
 * client, the route, too.
 */
struct later {
	struct site *site;
	unsigned counted; /* the route's tally */
	struct subscriber_holder holder;
	struct buf cors; /* the answer's header fields */
};

int later_init(struct later *later, struct site *site); /* 0, -ENOMEM, -EMSGSIZE */
void later_expect(struct later *later, struct subscriber *sub);
/* later_begin - an answer of this media type in site->out; later_send: it is whole. */
void later_begin(struct later *later, int status, const char *type);
void later_send(struct later *later);
void later_refuse(struct later *later, int status, const char *why);
void later_fini(struct later *later);

/* posting.c: a POST, answered when Redis has it. */
void posting_serve(struct site *site, struct subscriber *sub, const char *body, size_t len);

/* acking.c: "POST ?ack=" to a queue. */
void acking_serve(struct site *site, struct subscriber *sub);

/* mux.c: a POST to a connection that carries many routes. */
void mux_serve_post(struct site *site, struct subscriber *sub, const char *body, size_t len);

/* site_wants_one - is it a stream's path, of which one message is asked for? */
bool site_wants_one(const struct request *req);

/*
 * carrying.c: what a mux connection may carry. carrying_may - the route that is asked for, if this
 * request is part of one; carrying_may_read - may the page that opened it read the route, now that
 * it is known who asks? As authorising_check().
 */
bool carrying_may(struct site *site, struct subscriber *sub);
bool carrying_may_read(struct site *site, struct subscriber *sub);

/* waiting.c: a GET that is answered with one event. */
void waiting_serve(struct site *site, struct subscriber *sub);

#endif
