#ifndef SLUICE_ROUTE_ROUTE_H
#define SLUICE_ROUTE_ROUTE_H

/*
 * route - one [route NAME] section, compiled: its path, where its messages come from, and what is
 * done with them. The configuration fills it in; site.h serves it.
 */
#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sluice/handler.h>

#include "auth/credential.h"
#include "auth/settings.h"
#include "hub/feed.h"
#include "logic/template.h"
#include "redis/subject.h"
#include "route/path.h"

struct serving_context;
struct table;

struct param_rule {
	char *name;
	char *text;    /* as configured, without the anchors */
	regex_t regex; /* POSIX extended, anchored to the whole value, REG_NOSUB */
};

enum { CREDENTIALS_MAX = 8 };

/* The kinds of credentials that are accepted, in the order in which they are tried. */
struct auth_list {
	const struct credential *v[CREDENTIALS_MAX];
	size_t n;
};

/* Who may POST to the route's path, and what becomes of the message. */
struct publish {
	struct template *channel, *stream; /* one of them is set; neither: nobody may POST */
	struct auth_list auth;
	char *filter_text, *transform_text;
	struct expression *filter, *transform; /* in stream.stages.sandbox */
	size_t max;                            /* bytes of a body */
	uint64_t maxlen;                       /* how many entries the stream keeps; 0: all */
	struct pace_limit rate;
};

struct route {
	char *name;
	struct path *path;
	const struct handler *handler;
	bool is_of_subjects; /* the handler opens what the templates name, and nothing else */
	struct template **subjects[N_SUBJECT_KINDS]; /* each ends with NULL, or is NULL */
	struct param_rule *rules;                    /* for parameters with a rule of their own */
	size_t n_rules;
	struct feed_settings stream; /* its templates and strings belong to the route */
	struct {
		char *filter, *transform, *until; /* as configured; NULL: none */
		char *script;                     /* the file's path, as configured */
		char **params; /* parameters that they name, ends with NULL; or NULL */
		/* And parameters that allow and publish_… name. No feed depends on these. */
		char **request_params;
		bool uses_any_param; /* what they name is not known, so it may be any parameter */
	} logic;
	struct publish publish;
	struct auth_list auth;           /* of who follows */
	char *allow_text;                /* NULL: who is known may */
	struct template **allow_command; /* its words, ends with NULL; NULL: none */
	struct expression *allow;        /* in stream.stages.sandbox */
	uint64_t max_subscribers, max_per_user, max_per_ip; /* 0: no limit */
	char **cors_origins; /* NULL-terminated; "*" alone: any; NULL: none */
	bool cors_credentials;
	const char **key; /* by route_set_key(); the names are borrowed from the templates */
	/* of [auth]; zeros: the route accepts no credentials */
	unsigned char auth_digest[AUTH_DIGEST];
	char *source; /* each key with its effective value, one a line: routes with equal text are
			 equal */
	struct feed_class feeds;    /* the table initialises it */
	bool is_serving;            /* feeds is initialised */
	unsigned counted;           /* its tally (base/counters) */
	struct serving_context *in; /* of who serves it */
	struct table *table;
};

/* route_auth - who may follow it; for the table of services. */
const struct auth_list *route_auth(const struct route *rt);

/* route_methods - the methods that its path answers, for Allow. */
const char *route_methods(const struct route *rt);
bool route_can_publish(const struct route *rt);
bool route_can_follow(const struct route *rt); /* has anything for a GET */
bool route_can_resume(const struct route *rt); /* some of what it follows can be read again */

/*
 * route_can_be_carried - may a mux connection carry it? It must stream and be no mux itself; and a
 * queue must not count an entry as taken when it was only written.
 */
bool route_can_be_carried(const struct route *rt);
/* route_carries - does this mux route name rt in its routes? */
bool route_carries(const struct route *mux, const struct route *rt);

/*
 * route_records - how many of the channel's messages are kept, if other routes keep n of them. The
 * route that keeps most of them decides; 0: no route records the channel.
 */
unsigned route_records(const struct route *rt, const char *channel, unsigned n);

/* route_free - takes NULL and half-built routes; feeds must not be in use any more. */
void route_free(struct route *rt);

/* route_find_rule - the route's own rule for the parameter; NULL: that of param_default.h holds. */
const struct param_rule *route_find_rule(const struct route *rt, const char *name);

/* route_param_ok - does the value keep the rule that holds for this parameter? */
bool route_param_ok(const struct route *rt, const char *name, const char *value);

/*
 * route_is_same - would the two do the same? They must have the same name, settings and text of the
 * script, and the same [auth], if they accept credentials.
 */
bool route_is_same(const struct route *a, const struct route *b);

/* route_add_param - adds a name to the list. Returns 0, -ENOMEM. */
int route_add_param(char ***list, const char *name, size_t len);

/* route_takes - does it accept the credential, for following or for publishing? */
bool route_takes(const struct route *rt, const struct credential *cr);

/* route_knows_users - does any of its credentials tell who asks? */
bool route_knows_users(const struct route *rt);

/* route_rule_text - the rule that holds for the parameter, as one would write it. */
const char *route_rule_text(const struct route *rt, const char *name);

/*
 * route_named_param - the n-th parameter that the path, a template or an expression names, with
 * repetitions; NULL past the last.
 */
const char *route_named_param(const struct route *rt, size_t n);

/*
 * route_set_key - finds the parameters that the route's feeds depend on, when all its fields are
 * set. These are the parameters that its templates and expressions name; if the handler is another
 * than relay, or a script does not show which it uses, all parameters of its path. Returns 0,
 * -ENOMEM.
 */
int route_set_key(struct route *rt);

/* route_key_param - the n-th parameter of the key, each once; NULL past the last. */
const char *route_key_param(const struct route *rt, size_t n);

#endif
