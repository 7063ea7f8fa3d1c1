#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auth/signed_link.h"
#include "auth/token.h"
#include "base/clock.h"
#include "base/logger.h"
#include "base/percent.h"
#include "base/strings.h"
#include "route/origin.h"
#include "route/serving.h"

enum {
	COOKIE_MAX = 256,
	LOG_LINES_PER_S = 10,
	REASONS_MAX = 64,
	NAME_LEN_MAX = 2048,
	WHY_LEN = 256
};

/* What one kind of credential comes to. */
enum finding {
	FOUND_NONE,  /* the request has none of this kind */
	FOUND_RIGHT, /* the site's identity is who asks */
	FOUND_WRONG, /* it has one that is wrong: no other is tried */
	FOUND_AWAY,  /* Redis does not say */
	FOUND_LATER  /* the answer comes when Redis has spoken */
};

/* A request that waits for its session, whole: the web server's bytes are gone by then. */
struct deferred {
	struct session_waiter waiter;
	struct list of_site;
	struct site *site;
	struct subscriber_holder holder;
	struct params params;
	char *body;
	size_t body_len;
};

/* What was told of one reason in this second. */
struct told {
	const char *why; /* a constant */
	uint64_t second;
	unsigned n;
};

static struct told *
find_told(const char *why)
{
	static struct told reasons[REASONS_MAX];
	size_t i;

	for (i = 0; i + 1 < REASONS_MAX && reasons[i].why != NULL && reasons[i].why != why; i++)
		;
	reasons[i].why = why;
	return &reasons[i];
}

/* One line of whoever is refused; a flood for one reason is told in few. */
static void
log_refusal(const struct site *site, int status, const char *what, const char *why)
{
	struct told *told = find_told(why);
	uint64_t now = clock_ms() / 1000;

	if (now != told->second) {
		if (told->n > LOG_LINES_PER_S)
			logger_info("%u more requests were refused: %s", told->n - LOG_LINES_PER_S,
				    why);
		told->second = now;
		told->n = 0;
	}
	if (told->n++ < LOG_LINES_PER_S)
		logger_info("[route %s] %d: %s%s%s", site->request.route->name, status, what,
			    *what != '\0' ? ": " : "", why);
}

static void
refuse(struct site *site, struct subscriber *sub, int status, const char *what, const char *why)
{
	char detail[WHY_LEN];

	log_refusal(site, status, what, why);
	if (*what == '\0')
		snprintf(detail, sizeof(detail), "%s", why);
	else
		snprintf(detail, sizeof(detail), "The %s is not accepted: %s.", what, why);
	site_refuse(site, sub, status, detail);
}

/* Cookies */

/*
 * One cookie's value (RFC 6265, 4.2.1). Servers join two headers by a comma. Returns 1 and value;
 * 0 if there is none; -1 if there are two that differ, or it is too long.
 */
static int
find_cookie(const struct request *req, const char *name, char value[COOKIE_MAX + 1], size_t max)
{
	const char *p = request_header(req, "Cookie");
	size_t name_len = strlen(name), len;
	int found = 0;

	for (; p != NULL && *p != '\0'; p += len + (p[len] != '\0')) {
		p += strspn(p, " \t");
		len = strcspn(p, ";,");
		if (strncmp(p, name, name_len) != 0 || p[name_len] != '=')
			continue;
		if (len - name_len - 1 > max ||
		    (found && (strlen(value) != len - name_len - 1 ||
			       memcmp(value, p + name_len + 1, len - name_len - 1) != 0)))
			return -1;
		memcpy(value, p + name_len + 1, len - name_len - 1);
		value[len - name_len - 1] = '\0';
		found = 1;
	}
	return found;
}

/* Tokens */

static bool
is_name(const void *ctx, const char *name)
{
	return strcmp(ctx, name) == 0;
}

/* A parameter; of a subscription of a mux connection also that of the connection. */
static const char *
query_token(const struct request *req, const char *name)
{
	static struct query outer;
	const char *token = request_raw_param(req, name);
	const char *route, *text;
	size_t len;

	if (token != NULL || (text = request_carrier(req, &route, &len)) == NULL ||
	    query_parse(&outer, text, is_name, name) < 0)
		return token;
	return query_get(&outer, name);
}

/* "Bearer" in whatever case (RFC 9110, 11.1). What another scheme says is somebody else's. */
static const char *
bearer(const struct request *req)
{
	const char *header = request_header(req, "Authorization");

	return header != NULL && strncasecmp(header, "Bearer ", 7) == 0 ? header + 7 : NULL;
}

/* The one place in which the request has a token, first the header's. */
static enum finding
find_token(struct site *site, char *cookie, const char **token, bool *is_by_cookie,
	   const char **why)
{
	const struct request *req = &site->request;
	int found = 0;

	*is_by_cookie = false;
	if ((*token = bearer(req)) != NULL)
		return FOUND_RIGHT;
	if (site->auth->jwt_cookie != NULL)
		found = find_cookie(req, site->auth->jwt_cookie, cookie, TOKEN_LEN_MAX);
	*why = "there are two cookies, or it is too long";
	if (found < 0)
		return FOUND_WRONG;
	*is_by_cookie = found > 0;
	*token = found > 0                       ? cookie
		 : site->auth->jwt_query != NULL ? query_token(req, site->auth->jwt_query)
						 : NULL;
	return *token != NULL ? FOUND_RIGHT : FOUND_NONE;
}

static enum finding
by_token(struct site *site, int *status, const char **why)
{
	char cookie[TOKEN_LEN_MAX + 1];
	const char *text = NULL;
	enum finding found;
	struct token token;
	bool is_by_cookie;
	int rc;

	found = find_token(site, cookie, &text, &is_by_cookie, why);
	if (found != FOUND_RIGHT)
		return found;
	rc = token_read(&token, &site->auth->jwt, text, strlen(text), clock_unix(), why);
	if (rc < 0) {
		site->has_bad_token = rc != -EPERM;
		*status = rc == -EPERM ? HTTP_FORBIDDEN : HTTP_UNAUTHORIZED;
		return FOUND_WRONG;
	}
	site->identity =
	    (struct identity){.user = strdup(token.user),
			      .claims = json_object_get(token.claims),
			      .expires = token.expires > 0 ? token.expires + TOKEN_GRACE_S : 0,
			      .is_token = true,
			      .is_by_cookie = is_by_cookie};
	token_fini(&token);
	*why = "out of memory";
	return site->identity.user != NULL ? FOUND_RIGHT : FOUND_WRONG;
}

/* Links, and what the web server says */

/* May this parameter stand behind a signature, though nobody has signed it? */
static bool
may_be_added(const struct request *req, const struct auth_settings *auth, const char *name)
{
	static const char *const free_ones[] = {"last_event_id", "lastEventId", "lastEventID",
						"Last-Event-ID", "mode",        "timeout",
						"after",         "ack",         "connection"};
	static const char *const ours[] = {"signature", "expires", "user", "may", "s"};
	size_t n_free = req->method == METHOD_POST ? 9 : 7;
	const char *named;

	for (size_t i = 0; i < n_free; i++) {
		if (strcmp(free_ones[i], name) == 0)
			return true;
	}
	for (size_t i = 0; i < sizeof(free_ones) / sizeof(free_ones[0]); i++) {
		if (strcmp(free_ones[i], name) == 0)
			return false;
	}
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (strcmp(ours[i], name) == 0)
			return false;
	}
	for (size_t n = 0; (named = route_named_param(req->route, n)) != NULL; n++) {
		if (strcmp(named + (*named == '?'), name) == 0)
			return false;
	}
	return auth->jwt_query == NULL || strcmp(auth->jwt_query, name) != 0;
}

/* "&a=1&b=2": what a client has added. */
static bool
may_all_be_added(const struct request *req, const struct auth_settings *auth, const char *p)
{
	char name[QUERY_LEN_MAX + 1];

	while (*p == '&') {
		size_t len = strcspn(++p, "&"), name_len = strcspn(p, "=&");

		if (name_len > QUERY_LEN_MAX || percent_decode(name, p, name_len, ' ') < 0 ||
		    (*name != '\0' && !may_be_added(req, auth, name)))
			return false;
		p += len;
	}
	return true;
}

static enum finding
take_link(struct site *site, const struct auth_list *list, struct signed_link *link, int *status,
	  const char **why)
{
	const struct request *req = &site->request;

	*why = "what follows the signature is for the site to sign";
	if (!may_all_be_added(req, site->auth, link->behind))
		return FOUND_WRONG;
	if (list == &req->route->publish.auth && !link->may_publish) {
		*status = HTTP_FORBIDDEN;
		*why = "it is signed to read; who publishes needs may=publish in what is signed";
		return FOUND_WRONG;
	}
	site->identity = (struct identity){.user = link->user, .expires = link->expires};
	link->user = NULL;
	return FOUND_RIGHT;
}

static enum finding
by_link(struct site *site, const struct auth_list *list, int *status, const char **why)
{
	const char *uri = params_get(site->request.vars, "REQUEST_URI");
	struct signed_link link = {0};
	enum finding found;
	int rc = -ENOENT;

	if (uri != NULL && *uri != '/' && strstr(uri, "://") != NULL)
		uri = strchr(strstr(uri, "://") + 3, '/');
	if (uri != NULL)
		rc = signed_link_check(&link, uri, &site->auth->link_keys, clock_unix(), why);
	found = rc == 0         ? take_link(site, list, &link, status, why)
		: rc == -ENOENT ? FOUND_NONE
				: FOUND_WRONG;
	signed_link_fini(&link);
	return found;
}

/* Some servers pass on a name that nobody checked; then they name no way of checking. */
static enum finding
by_web_server(struct site *site)
{
	const char *user = params_get(site->request.vars, "REMOTE_USER");

	if (user == NULL || params_get(site->request.vars, "AUTH_TYPE") == NULL)
		return FOUND_NONE;
	site->identity.user = strdup(user);
	/* Browsers send a password or a certificate by themselves, too. What is no browser's says
	 * no Origin; a browser says it with each POST. */
	site->identity.is_by_cookie =
	    site->request.method != METHOD_POST || request_header(&site->request, "Origin") != NULL;
	return site->identity.user != NULL ? FOUND_RIGHT : FOUND_WRONG;
}

/* Sessions */

static void
deferred_free(struct deferred *d)
{
	list_del(&d->of_site);
	strings_free(d->params.envp);
	free(d->body);
	free(d);
}

static void
on_session(struct session_waiter *waiter, enum session_state state, const struct identity *id)
{
	struct deferred *d = LIST_ENTRY(waiter, struct deferred, waiter);
	struct site *site = d->site;
	struct subscriber *sub = subscriber_let_go(&d->holder);

	if (sub != NULL) {
		site->session = (struct known_session){.is_known = true, .state = state, .id = id};
		site_serve(site, sub, &d->params, d->body, d->body_len);
		site->session.is_known = false;
		if (sub->feed == NULL && subscriber_has_bytes(sub))
			sub->ops->send(sub);
	}
	deferred_free(d);
}

static struct deferred *
defer(struct site *site, const char *body, size_t len)
{
	struct deferred *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	list_init(&d->of_site);
	d->site = site;
	if ((d->params.envp = strings_copy(site->request.vars->envp)) == NULL ||
	    (d->body = malloc(len + 1)) == NULL) {
		deferred_free(d);
		return NULL;
	}
	if (len > 0)
		memcpy(d->body, body, len);
	d->body_len = len;
	d->waiter.on_known = on_session;
	list_add_tail(&site->deferred, &d->of_site);
	return d;
}

void
authorising_forget(struct site *site)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &site->deferred) {
		struct deferred *d = LIST_ENTRY(node, struct deferred, of_site);

		sessions_forget_waiter(&d->waiter);
		deferred_free(d);
	}
}

static enum finding
take_session(struct site *site, enum session_state state, const struct identity *id,
	     const char **why)
{
	*why = "there is no such session";
	if (state != SESSION_THERE)
		return state == SESSION_AWAY ? FOUND_AWAY : FOUND_WRONG;
	return identity_copy(&site->identity, id) == 0 ? FOUND_RIGHT : FOUND_AWAY;
}

/* The cookie keeps its rule (else *status is 403) before it becomes part of a key. */
static enum finding
by_session(struct site *site, struct subscriber *sub, const char *body, size_t len, int *status,
	   const char **why)
{
	const struct identity *id = NULL;
	char cookie[COOKIE_MAX + 1] = "";
	enum session_state state;
	struct deferred *d;
	int found = find_cookie(&site->request, site->auth->session_cookie, cookie, COOKIE_MAX);

	*why = "there are two cookies, or it is empty or too long";
	if (found == 0)
		return FOUND_NONE;
	if (found < 0 || *cookie == '\0')
		return FOUND_WRONG;
	*why = "the cookie breaks its rule";
	if (!route_param_ok(site->request.route, "cookie", cookie)) {
		*status = HTTP_FORBIDDEN;
		return FOUND_WRONG;
	}
	if (site->session.is_known)
		return take_session(site, site->session.state, site->session.id, why);
	if ((d = defer(site, body, len)) == NULL)
		return FOUND_AWAY;
	state = sessions_ask(site->sessions, cookie, &d->waiter, &id);
	if (state == SESSION_ASKED) {
		subscriber_hold(sub, &d->holder);
		return FOUND_LATER;
	}
	deferred_free(d);
	return take_session(site, state, id, why);
}

/* All kinds */

/*
 * What cannot be decided now is nobody's fault: an EventSource that is told 5xx would never come
 * back, so a stream begins and ends.
 */
static void
answer_away(struct site *site, struct subscriber *sub, const char *why)
{
	const struct request *req = &site->request;

	if (req->method == METHOD_POST || req->route->handler->is_wait ||
	    req->route->handler->answer != NULL) {
		refuse(site, sub, HTTP_UNAVAILABLE, "", why);
		return;
	}
	log_refusal(site, HTTP_OK, "the client is to come back", why);
	site_answer_end(site, sub, END_AUTH, req->route->stream.retry_ms);
}

static const char *const kind_names[AUTH_KINDS] = {"", "token", "session", "link", "user"};

static enum finding
try(struct site *site, struct subscriber *sub, const struct auth_list *list, enum auth_kind kind,
    const char *body, size_t len, int *status, const char **why)
{
	switch (kind) {
	case AUTH_JWT:
		return by_token(site, status, why);
	case AUTH_SESSION:
		return by_session(site, sub, body, len, status, why);
	case AUTH_SIGNED:
		return by_link(site, list, status, why);
	case AUTH_REMOTE_USER:
		return by_web_server(site);
	default:
		return FOUND_RIGHT;
	}
}

/* Who it is, by the first kind that is there. */
static bool
find_identity(struct site *site, struct subscriber *sub, const struct auth_list *list,
	      const char *body, size_t len)
{
	for (size_t i = 0; i < list->n; i++) {
		const char *why = "";
		int status = HTTP_UNAUTHORIZED;

		switch (try(site, sub, list, list->v[i], body, len, &status, &why)) {
		case FOUND_NONE:
			continue;
		case FOUND_RIGHT:
			return true;
		case FOUND_WRONG:
			refuse(site, sub, status, kind_names[list->v[i]], why);
			return false;
		case FOUND_AWAY:
			answer_away(site, sub, "Redis is away: it cannot be decided who asks.");
			return false;
		case FOUND_LATER:
			return false;
		}
	}
	refuse(site, sub, HTTP_UNAUTHORIZED, "", "This path asks for a credential.");
	return false;
}

/* Names and values of who asks, and of all parameters that the route names, for Lua. */
static bool
is_allowed(struct site *site)
{
	const struct request *req = &site->request;
	struct template_value params[KEY_PARAMS_MAX + 3];
	struct template_scope scope = {.params = params, .channel = "", .now = clock_unix()};
	static struct logger_pause pause;
	char why[WHY_LEN];
	bool is_true = false;

	if (req->route->allow == NULL)
		return true;
	request_read_params(req, params, KEY_PARAMS_MAX + 2);
	if (expression_is_true(req->route->allow, &scope, &is_true, why, sizeof(why)) < 0 &&
	    logger_may(&pause, clock_ms(), 60000))
		logger_warn("[route %s] allow: %s", req->route->name, why);
	return is_true;
}

/* What a page of another site must not do with this site's cookies. */
static bool
has_effect(const struct request *req)
{
	return req->method == METHOD_POST || req->route->handler->is_wait ||
	       req->route->handler->is_queue;
}

static void
refuse_user(struct site *site, struct subscriber *sub)
{
	char detail[WHY_LEN + 1024];

	log_refusal(site, HTTP_FORBIDDEN, "", "The user's name breaks its rule.");
	snprintf(detail, sizeof(detail), "The user's name must match %s.",
		 route_rule_text(site->request.route, "user"));
	site_refuse(site, sub, HTTP_FORBIDDEN, detail);
}

bool
authorising_check(struct site *site, struct subscriber *sub, const struct auth_list *list,
		  const char *body, size_t len)
{
	const struct identity *id = &site->identity;

	if (!find_identity(site, sub, list, body, len))
		return false;
	if (id->user != NULL && !route_param_ok(site->request.route, "user", id->user)) {
		refuse_user(site, sub);
		return false;
	}
	if (id->is_by_cookie && has_effect(&site->request) && !origin_is_ours(&site->request)) {
		refuse(site, sub, HTTP_FORBIDDEN, "",
		       "What a browser sends by itself counts here only for pages of this site or "
		       "of cors_origins.");
		return false;
	}
	if (is_allowed(site))
		return true;
	if (sandbox_is_paused(site->request.route->stream.stages.sandbox)) {
		answer_away(site, sub,
			    "The route's expressions pause: it cannot be decided who may.");
		return false;
	}
	refuse(site, sub, HTTP_FORBIDDEN, "", "This route is not for who asks.");
	return false;
}

/* Channels that a token lists */

static bool
has_client_param(const struct template *t)
{
	const char *name;

	for (size_t n = 0; (name = template_param(t, n)) != NULL; n++) {
		if (!identity_is_name(name))
			return true;
	}
	return false;
}

static bool
is_listed(struct json_object *list, const char *name)
{
	size_t i,
	    n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

	if (json_object_is_type(list, json_type_string))
		return fnmatch(json_object_get_string(list), name, 0) == 0;
	for (i = 0; i < n; i++) {
		struct json_object *one = json_object_array_get_idx(list, i);

		if (json_object_is_type(one, json_type_string) &&
		    fnmatch(json_object_get_string(one), name, 0) == 0)
			return true;
	}
	return false;
}

static bool
may_use(struct json_object *list, const struct template *t, const struct template_value *params)
{
	const struct template_scope scope = {.params = params, .channel = ""};
	struct buf name;
	bool may;

	if (!has_client_param(t))
		return true;
	buf_init(&name, NAME_LEN_MAX);
	may = template_expand(t, &scope, &name) == 0 && buf_putc(&name, '\0') == 0 &&
	      is_listed(list, name.p);
	buf_fini(&name);
	return may;
}

static bool
may_use_all(struct json_object *list, struct template *const *t,
	    const struct template_value *params)
{
	for (; t != NULL && *t != NULL; t++) {
		if (!may_use(list, *t, params))
			return false;
	}
	return true;
}

bool
authorising_check_channels(struct site *site, struct subscriber *sub,
			   struct template *const *const lists[],
			   const struct template_value *params)
{
	struct json_object *listed = NULL;

	if (!site->identity.is_token || site->auth->jwt_channels == NULL)
		return true;
	json_object_object_get_ex(site->identity.claims, site->auth->jwt_channels, &listed);
	for (; *lists != NULL; lists++) {
		if (!may_use_all(listed, *lists, params)) {
			refuse(site, sub, HTTP_FORBIDDEN, "",
			       "The token does not list this channel.");
			return false;
		}
	}
	return true;
}
