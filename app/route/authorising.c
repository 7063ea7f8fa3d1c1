/*
 * authorising.c - who asks, and may he do so?
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/credential.h"
#include "base/clock.h"
#include "base/logger.h"
#include "base/strings.h"
#include "hub/announce.h"
#include "route/allow.h"
#include "route/origin.h"
#include "route/serving.h"

enum {
	LOG_LINES_PER_S = 10,
	REASONS_MAX = 64,
	NAME_LEN_MAX = 2048,
	WHY_LEN = 256,
	DECIDE_AGAIN_MS = 50
};

/* A request as the credentials see it. */
struct asking {
	struct asked asked;
	const struct request *req;
	/* memory for the query of the mux connection that the request is part of */
	struct query *outer;
};

/* How often a reason was logged in this second. */
struct logged_reason {
	const char *why; /* a constant */
	uint64_t second;
	unsigned n;
};

static struct logged_reason *
find_told(const char *why)
{
	static struct logged_reason reasons[REASONS_MAX];
	size_t i;

	for (i = 0; i + 1 < REASONS_MAX && reasons[i].why != NULL && reasons[i].why != why; i++)
		;
	reasons[i].why = why;
	return &reasons[i];
}

/* One line for each refused request. If one reason comes very often, few lines are written. */
static void
log_refusal(const struct serving *sv, int status, const char *what, const char *why)
{
	struct logged_reason *told = find_told(why);
	uint64_t now = clock_ms() / 1000;

	if (now != told->second) {
		if (told->n > LOG_LINES_PER_S)
			logger_info("%u more requests were refused: %s", told->n - LOG_LINES_PER_S,
				    why);
		told->second = now;
		told->n = 0;
	}
	if (told->n++ < LOG_LINES_PER_S)
		logger_info("[route %s] %d: %s%s%s", sv->req->route->name, status, what,
			    *what != '\0' ? ": " : "", why);
}

static void
refuse(struct serving *sv, int status, const char *what, const char *why)
{
	char detail[WHY_LEN];

	log_refusal(sv, status, what, why);
	if (*what == '\0')
		snprintf(detail, sizeof(detail), "%s", why);
	else
		snprintf(detail, sizeof(detail), "The %s is not accepted: %s.", what, why);
	serving_refuse(sv, status, detail);
}

/* What a credential may see */

static const struct asking *
asking_of(const struct asked *a)
{
	return (const struct asking *)(const void *)a;
}

static const struct request *
request_of(const struct asked *a)
{
	return asking_of(a)->req;
}

static const char *
asked_variable(const struct asked *a, const char *name)
{
	return params_get(request_of(a)->vars, name);
}

static bool
is_name(const void *ctx, const char *name)
{
	return strcmp(ctx, name) == 0;
}

/* A subscription of a mux connection has the parameters of the connection, too. */
static const char *
asked_query(const struct asked *a, const char *name)
{
	const struct asking *as = asking_of(a);
	const char *value = query_get(&as->req->query, name), *route, *text;
	size_t len;

	if (value != NULL || (text = request_carrier(as->req, &route, &len)) == NULL ||
	    query_parse(as->outer, text, is_name, name) < 0)
		return value;
	return query_get(as->outer, name);
}

static bool
asked_keeps_rule(const struct asked *a, const char *name, const char *value)
{
	return route_param_ok(request_of(a)->route, name, value);
}

static const char *
asked_named(const struct asked *a, size_t n)
{
	return route_named_param(request_of(a)->route, n);
}

/* What cannot be decided now */

/* Until when the request waits for its session. */
static struct patience
patience_of(const struct serving *sv)
{
	struct patience patience = sv->kept.patience;

	if (patience.decide_ms == 0)
		patience.decide_ms = clock_ms() + sv->req->route->stream.open_wait_ms;
	return patience;
}

/* Has the request been kept, and is its time over? */
static bool
has_waited(const struct serving *sv, const struct patience *patience)
{
	return sv->kept.patience.decide_ms > 0 && clock_ms() >= patience->decide_ms;
}

/*
 * It is not the client's fault. An EventSource that is answered 5xx would never come back, so it
 * gets a stream that ends at once.
 */
static void
answer_away(struct serving *sv, const char *why)
{
	if (!sv->service->is_stream) {
		refuse(sv, HTTP_UNAVAILABLE, "", why);
		return;
	}
	log_refusal(sv, HTTP_OK, "the client is to come back", why);
	serving_end_stream(sv, END_AUTH, announce_retry_ms(&sv->req->route->stream));
}

/* The request waits, for open_wait in all; then it is answered. */
static void
wait_or_answer(struct serving *sv, const char *why)
{
	struct pending_request rq = serving_request(sv, patience_of(sv));

	if (clock_ms() >= rq.patience.decide_ms ||
	    pending_retry(sv->in->pending, &rq, DECIDE_AGAIN_MS) < 0)
		answer_away(sv, why);
}

/* Who asks */

/*
 * Looks up the session: Redis has just said it to this request, or it is known, or it is asked for
 * now.
 */
static struct session_answer
look_up(struct serving *sv, const char *cookie)
{
	const struct kept_answer *kept = &sv->kept;
	struct pending_request rq = serving_request(sv, patience_of(sv));

	if (kept->answer != NULL && kept->cookie != NULL && strcmp(kept->cookie, cookie) == 0)
		return *kept->answer;
	/* It waits once only, because Redis may refuse each time. */
	if (has_waited(sv, &rq.patience))
		return (struct session_answer){.state = SESSION_AWAY};
	return pending_ask(sv->in->pending, &rq, sv->in->sessions, cookie);
}

/*
 * Asks one kind of credential who it is. FOUND_LATER: the request is kept until Redis has answered.
 */
static enum finding
try(struct serving *sv, const struct credential *cr, struct asking *as, struct refusal *no)
{
	struct session_answer answer;
	enum finding found;

	identity_fini(sv->who);
	found = cr->find(sv->in->auth, &as->asked, sv->who, no);
	if (found != FOUND_LATER)
		return found;
	answer = look_up(sv, sv->who->session);
	if (answer.state == SESSION_ASKED)
		return FOUND_LATER;
	identity_fini(sv->who);
	as->asked.session = &answer;
	found = cr->find(sv->in->auth, &as->asked, sv->who, no);
	as->asked.session = NULL;
	return found;
}

/*
 * The first kind of credential that the request has decides, and no other is tried: a valid cookie
 * does not make up for an invalid token.
 */
static bool
find_identity(struct serving *sv, const struct auth_list *list)
{
	const struct request *req = sv->req;
	struct query outer;
	struct asking as = {.asked = {.variable = asked_variable,
				      .query = asked_query,
				      .keeps_rule = asked_keeps_rule,
				      .named = asked_named,
				      .is_post = req->method == METHOD_POST,
				      .is_publishing = list == &req->route->publish.auth,
				      .now = clock_unix()},
			    .req = req,
			    .outer = &outer};
	struct refusal no = {HTTP_UNAUTHORIZED, ""};

	for (size_t i = 0; i < list->n; i++) {
		const struct credential *cr = list->v[i];

		switch (try(sv, cr, &as, &no)) {
		case FOUND_NONE:
			continue;
		case FOUND_RIGHT:
			return true;
		case FOUND_WRONG:
			sv->has_bad_token = cr == &credential_jwt;
			refuse(sv, no.status, cr->shown, no.why);
			return false;
		case FOUND_AWAY:
			wait_or_answer(sv, "Redis is away: it cannot be decided who asks.");
			return false;
		case FOUND_LATER:
			return false;
		}
	}
	refuse(sv, HTTP_UNAUTHORIZED, "", "This path asks for a credential.");
	return false;
}

/* May he? */

static void
refuse_user(struct serving *sv)
{
	char detail[WHY_LEN + 1024];

	log_refusal(sv, HTTP_FORBIDDEN, "", "The user's name breaks its rule.");
	snprintf(detail, sizeof(detail), "The user's name must match %s.",
		 route_rule_text(sv->req->route, "user"));
	serving_refuse(sv, HTTP_FORBIDDEN, detail);
}

/* The parameters of allow_command must be there and keep their rules. */
static bool
check_params_of_right(struct serving *sv)
{
	const char *name;

	for (struct template *const *t = sv->req->route->allow_command; *t != NULL; t++) {
		for (size_t n = 0; (name = template_param(*t, n)) != NULL; n++) {
			if (param_check(sv, name, request_raw_param(sv->req, name)) != 0)
				return false;
		}
	}
	return true;
}

/*
 * If Redis has answered the same command while this request waited, that counts; else the request
 * waits now.
 */
static bool
has_right(struct serving *sv, char *const *words)
{
	static const char away[] = "Redis does not say whether this route is for who asks.";
	const struct known_right *right = &sv->kept.right;
	struct pending_request rq = serving_request(sv, patience_of(sv));
	unsigned char digest[RIGHT_DIGEST];

	right_digest(digest, words);
	if (right->is_known && memcmp(right->digest, digest, RIGHT_DIGEST) == 0) {
		if (right->allowed == ALLOWED)
			return true;
		refuse(sv, HTTP_FORBIDDEN, "", "This route is not for who asks.");
		return false;
	}
	if (has_waited(sv, &rq.patience))
		answer_away(sv, away);
	else if (pending_ask_right(sv->in->pending, &rq, sv->in->hub, words) < 0)
		wait_or_answer(sv, away);
	return false;
}

static bool
check_right(struct serving *sv)
{
	char **words;
	bool has;

	if (sv->req->route->allow_command == NULL)
		return true;
	if (!check_params_of_right(sv))
		return false;
	if ((words = right_words(sv->req, hub_prefix(sv->in->hub))) == NULL) {
		answer_away(sv, "There is no memory to ask whether this route is for who asks.");
		return false;
	}
	has = has_right(sv, words);
	strings_free(words);
	return has;
}

/*
 * First it asks who it is, then whether a page of another site made the browser ask, then whether
 * this user may. What asks Redis (allow_command) comes last, so that a request that is refused
 * anyway costs Redis no work.
 */
bool
authorising_check(struct serving *sv, const struct auth_list *list)
{
	const struct identity *id = sv->who;
	struct template_value params[KEY_PARAMS_MAX + 3];

	if (!find_identity(sv, list))
		return false;
	if (id->user != NULL && !route_param_ok(sv->req->route, "user", id->user)) {
		refuse_user(sv);
		return false;
	}
	if (id->is_by_cookie && sv->service->has_effect && !origin_is_ours(sv->req)) {
		refuse(sv, HTTP_FORBIDDEN, "",
		       "What a browser sends by itself counts here only for pages of this site or "
		       "of cors_origins.");
		return false;
	}
	if (sv->req->route->allow == NULL)
		return check_right(sv);
	request_read_params(sv->req, params, KEY_PARAMS_MAX + 2);
	switch (allow_judge(sv->req->route, params)) {
	case ALLOWED:
		return check_right(sv);
	case FORBIDDEN:
		refuse(sv, HTTP_FORBIDDEN, "", "This route is not for who asks.");
		return false;
	case UNDECIDED:
		wait_or_answer(sv, "The route's expressions pause: it cannot be decided who may.");
	}
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
authorising_check_channels(struct serving *sv, struct template *const *const lists[],
			   const struct template_value *params)
{
	struct json_object *listed = NULL;

	if (!sv->who->is_token || sv->in->auth->jwt_channels == NULL)
		return true;
	json_object_object_get_ex(sv->who->claims, sv->in->auth->jwt_channels, &listed);
	for (; *lists != NULL; lists++) {
		if (!may_use_all(listed, *lists, params)) {
			refuse(sv, HTTP_FORBIDDEN, "", "The token does not list this channel.");
			return false;
		}
	}
	return true;
}
