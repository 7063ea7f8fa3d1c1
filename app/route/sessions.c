#include "route/sessions.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/http.h>

#include "base/clock.h"
#include "base/logger.h"
#include "base/map.h"
#include "hub/fifo.h"
#include "logic/message.h"
#include "logic/reply.h"
#include "redis/command.h"

enum { RECENT_MS = 1000, TEXT_MAX = 1024 * 1024, KEY_MAX = 2048, WHY_LEN = 256 };

/* The session of one cookie: it is being asked for, or is known until it is forgotten. */
struct cookie_session {
	struct map_node by_cookie;
	struct fifo_node forget;
	struct list waiters;
	struct list of_stale; /* while these are told */
	struct sessions *sessions;
	bool is_asked;
	bool is_told;  /* to its waiters, at this moment */
	bool is_stale; /* it was asked for with settings that hold no longer; it is in no map */
	struct session_answer answer;
	struct identity id;
	char cookie[];
};

struct sessions {
	struct hub *hub;
	const struct auth_settings *settings;
	struct map by_cookie;
	struct fifo known;
	unsigned n_asked;
	bool is_closing, is_timer_open;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

static void
entry_free(struct cookie_session *e)
{
	fifo_del(&e->forget);
	if (!e->is_stale)
		map_del(&e->sessions->by_cookie, &e->by_cookie);
	identity_fini(&e->id);
	free(e);
}

static void
on_forget(struct fifo *fifo, struct fifo_node *node)
{
	(void)fifo;
	entry_free(LIST_ENTRY(node, struct cookie_session, forget));
}

static void
tell_all(struct cookie_session *e)
{
	e->is_told = true;
	/*
	 * A waiter that is told may remove others from this list, so the next one is looked up
	 * anew.
	 */
	while (!list_is_empty(&e->waiters)) {
		struct session_waiter *waiter =
		    LIST_ENTRY(e->waiters.next, struct session_waiter, of_entry);

		list_del(&waiter->of_entry);
		waiter->on_known(waiter, &e->answer);
	}
	e->is_told = false;
}

/* What Redis has of it */

/* A hash becomes an object of texts; a string is read by the format. NULL: it is neither. */
static struct json_object *
read_session(const struct session_format *format, const redisReply *reply)
{
	struct json_object *session = NULL;
	struct buf text;

	buf_init(&text, TEXT_MAX);
	if (reply->type == REDIS_REPLY_STRING && reply->len <= TEXT_MAX) {
		session = format->read(reply->str, reply->len);
	} else if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
		   reply_put(&text, reply, true) == 0 && buf_putc(&text, '\0') == 0) {
		session = json_tokener_parse(text.p);
	}
	buf_fini(&text);
	if (json_object_is_type(session, json_type_object))
		return session;
	json_object_put(session);
	return NULL;
}

static void
refuse(struct cookie_session *e, int status, const char *why)
{
	e->answer = (struct session_answer){.state = SESSION_NONE, .no = {status, why}};
}

/*
 * Writes the result of the expression into text; it is empty if the session names nobody, or the
 * expression fails.
 */
static void
evaluate_user(const struct auth_settings *settings, struct json_object *session, struct buf *text)
{
	struct template_scope scope = {.channel = "", .now = clock_unix()};
	static struct logger_pause pause;
	struct message msg;
	bool is_some = false;
	char why[WHY_LEN];

	message_init(&msg, "", 0, "{}", 2);
	(void)message_replace(&msg, json_object_get(session));
	scope.msg = &msg;
	if (expression_render(settings->session_user, &scope, text, &is_some, why, sizeof(why)) <
		0 &&
	    logger_may(&pause, clock_ms(), LOGGER_PERIOD_MS))
		logger_warn("[auth] session_user: %s", why);
	message_fini(&msg);
}

/*
 * Reads the user's name, with the mark that the configuration's wrapper of the expression puts
 * before it.
 */
static void
name_user(struct cookie_session *e)
{
	const struct auth_settings *settings = e->sessions->settings;
	struct buf text;

	buf_init(&text, TEXT_MAX);
	evaluate_user(settings, e->id.claims, &text);
	if (text.len == 0 || (text.len == 1 && *text.p == '='))
		refuse(e, HTTP_UNAUTHORIZED, "it names no user");
	else if (*text.p != '=')
		refuse(e, HTTP_FORBIDDEN,
		       "what session_user gives is neither a text nor an integer");
	else if (memchr(text.p, '\0', text.len) != NULL)
		refuse(e, HTTP_FORBIDDEN, "its user's name holds a NUL");
	else
		e->id.user = strndup(text.p + 1, text.len - 1);
	buf_fini(&text);
}

/* Takes the session over, and finds who it is. */
static void
accept_session(struct cookie_session *e, struct json_object *session)
{
	e->answer = (struct session_answer){.state = SESSION_THERE, .id = &e->id};
	e->id = (struct identity){.claims = session, .is_by_cookie = true};
	e->id.session = strdup(e->cookie);
	if (e->sessions->settings->session_user != NULL)
		name_user(e);
	if (e->answer.state == SESSION_THERE && e->id.session != NULL &&
	    (e->id.user != NULL || e->sessions->settings->session_user == NULL))
		return;
	identity_fini(&e->id);
	if (e->answer.state == SESSION_THERE)
		e->answer = (struct session_answer){.state = SESSION_AWAY}; /* out of memory */
}

static void
understand(struct cookie_session *e, const redisReply *reply)
{
	const struct session_format *format = e->sessions->settings->session_format;
	struct json_object *session = read_session(format, reply);

	if (session != NULL)
		accept_session(e, session);
	else
		refuse(e, HTTP_UNAUTHORIZED,
		       reply->type == REDIS_REPLY_NIL ||
			       (reply->type == REDIS_REPLY_ARRAY && reply->elements == 0)
			   ? "there is no such session"
			   : format->unread);
}

/* The cookie is the whole session, so Redis is not asked. */
static void
understand_cookie(struct cookie_session *e)
{
	const struct auth_settings *settings = e->sessions->settings;
	const struct session_format *format = settings->session_format;
	struct json_object *session = NULL;
	const char *why = "";
	struct buf text;
	int rc;

	e->answer = (struct session_answer){.state = SESSION_AWAY};
	buf_init(&text, TEXT_MAX);
	rc = format->open(
	    &settings->session_secrets,
	    &(struct session_cookie){settings->session_cookie, e->cookie, clock_unix()}, &text,
	    &why);
	if (rc == -EINVAL) {
		refuse(e, HTTP_UNAUTHORIZED, why);
	} else if (rc == 0 && buf_putc(&text, '\0') == 0) {
		session = format->read(text.p, text.len - 1);
		if (json_object_is_type(session, json_type_object)) {
			accept_session(e, session);
		} else {
			json_object_put(session);
			refuse(e, HTTP_UNAUTHORIZED, format->unread);
		}
	}
	buf_fini(&text);
}

static void
finish(struct cookie_session *e)
{
	e->is_asked = false;
	tell_all(e);
	if (e->answer.state == SESSION_AWAY || e->is_stale || e->sessions->is_closing)
		entry_free(e);
	else
		fifo_add(&e->sessions->known, &e->forget);
}

static bool ask(struct cookie_session *e, const char *command, command_fn fn);

static void free_if_closed(struct sessions *sessions);

/* Redis gave no answer, or nobody asks any more. */
static bool
is_no_answer(const struct cookie_session *e, const redisReply *reply)
{
	return reply == NULL || e->is_stale || e->sessions->is_closing;
}

static void
on_hash(void *arg, const redisReply *reply)
{
	struct cookie_session *e = arg;
	struct sessions *sessions = e->sessions;

	sessions->n_asked--;
	if (is_no_answer(e, reply))
		e->answer = (struct session_answer){.state = SESSION_AWAY};
	else if (reply->type == REDIS_REPLY_ERROR)
		refuse(e, HTTP_UNAUTHORIZED,
		       "its key in Redis is of another type than a text or a hash");
	else
		understand(e, reply);
	finish(e);
	free_if_closed(sessions);
}

static void
log_error(const redisReply *reply)
{
	static struct logger_pause pause;

	if (reply != NULL && logger_may(&pause, clock_ms(), LOGGER_PERIOD_MS))
		logger_warn("[auth] session_key: Redis refuses it: %s", reply->str);
}

static bool
is_of_another_type(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "WRONGTYPE", 9) == 0;
}

static void
on_string(void *arg, const redisReply *reply)
{
	struct cookie_session *e = arg;
	struct sessions *sessions = e->sessions;

	sessions->n_asked--;
	e->answer = (struct session_answer){.state = SESSION_AWAY};
	if (!is_no_answer(e, reply)) {
		if (is_of_another_type(reply) && !sessions->settings->session_format->is_hash)
			refuse(e, HTTP_UNAUTHORIZED,
			       "its key in Redis is of another type than a text");
		else if (is_of_another_type(reply) && ask(e, "HGETALL", on_hash))
			return;
		else if (reply->type == REDIS_REPLY_ERROR)
			log_error(reply);
		else
			understand(e, reply);
	}
	finish(e);
	free_if_closed(sessions);
}

static bool
ask(struct cookie_session *e, const char *command, command_fn fn)
{
	struct sessions *sessions = e->sessions;
	const struct template_value params[] = {{"cookie", e->cookie}, {NULL, NULL}};
	const struct template_scope scope = {.params = params, .channel = ""};
	struct buf key;
	bool is_sent = false;

	buf_init(&key, KEY_MAX);
	/* A stream that is about to end may still ask after a reload has removed session_key. */
	if (sessions->settings->session_key != NULL && hub_command(sessions->hub) != NULL &&
	    buf_puts(&key, hub_prefix(sessions->hub)) == 0 &&
	    template_expand(sessions->settings->session_key, &scope, &key) == 0 &&
	    buf_putc(&key, '\0') == 0) {
		is_sent = command_send(hub_command(sessions->hub), fn, e,
				       RESP_WORDS(command, key.p)) == 0;
	}
	buf_fini(&key);
	sessions->n_asked += is_sent;
	return is_sent;
}

/* Asks Redis; false: it cannot be asked now. */
static bool
begin(struct cookie_session *e)
{
	if (!e->sessions->settings->session_format->is_whole)
		return e->is_asked = ask(e, "GET", on_string);
	understand_cookie(e);
	if (e->answer.state == SESSION_AWAY)
		return false;
	fifo_add(&e->sessions->known, &e->forget);
	return true;
}

static struct cookie_session *
get(struct sessions *sessions, const char *cookie)
{
	struct map_node *node = map_find(&sessions->by_cookie, cookie, strlen(cookie));
	struct cookie_session *e;

	if (node != NULL)
		return MAP_ENTRY(node, struct cookie_session, by_cookie);
	if ((e = calloc(1, sizeof(*e) + strlen(cookie) + 1)) == NULL)
		return NULL;
	memcpy(e->cookie, cookie, strlen(cookie));
	e->sessions = sessions;
	list_init(&e->waiters);
	list_init(&e->of_stale);
	fifo_node_init(&e->forget);
	if (map_add(&sessions->by_cookie, &e->by_cookie, e->cookie, strlen(e->cookie)) < 0) {
		free(e);
		return NULL;
	}
	if (begin(e))
		return e;
	entry_free(e);
	return NULL;
}

/*
 * What is known is forgotten, and Redis is asked anew; but an answer that is being told has just
 * come. A cookie that is the whole session says the same each time. NULL: it cannot be asked now.
 */
static struct cookie_session *
renew(struct cookie_session *e)
{
	if (e->is_asked || e->is_told || e->sessions->settings->session_format->is_whole)
		return e;
	fifo_del(&e->forget);
	identity_fini(&e->id);
	e->answer = (struct session_answer){.state = SESSION_AWAY};
	if (begin(e))
		return e;
	entry_free(e);
	return NULL;
}

struct session_answer
sessions_ask(struct sessions *sessions, const char *cookie, enum session_age age,
	     struct session_waiter *waiter)
{
	bool is_known = map_find(&sessions->by_cookie, cookie, strlen(cookie)) != NULL;
	struct cookie_session *e = get(sessions, cookie);

	if (is_known && age == SESSION_ANEW)
		e = renew(e);
	list_init(&waiter->of_entry);
	if (e == NULL)
		return (struct session_answer){.state = SESSION_AWAY};
	if (!e->is_asked)
		return e->answer;
	list_add_tail(&e->waiters, &waiter->of_entry);
	return (struct session_answer){.state = SESSION_ASKED};
}

void
sessions_forget_waiter(struct session_waiter *waiter)
{
	list_del(&waiter->of_entry);
}

int
sessions_new(struct sessions **out, struct hub *hub, uv_loop_t *loop)
{
	struct sessions *sessions = calloc(1, sizeof(*sessions));

	if (sessions == NULL)
		return -ENOMEM;
	sessions->hub = hub;
	map_init(&sessions->by_cookie);
	fifo_init(&sessions->known, loop, RECENT_MS, on_forget);
	sessions->known.timer.data = sessions;
	sessions->is_timer_open = true;
	*out = sessions;
	return 0;
}

static void
forget_known(struct sessions *sessions)
{
	struct map_node *node, *next;

	for (node = map_first(&sessions->by_cookie); node != NULL; node = next) {
		struct cookie_session *e = MAP_ENTRY(node, struct cookie_session, by_cookie);

		next = map_next(&sessions->by_cookie, node);
		if (!e->is_asked && list_is_empty(&e->waiters))
			entry_free(e);
	}
}

/*
 * Stale entries are collected first and told afterwards. A waiter may ask again at once, and that
 * adds to the map that is walked here.
 */
static void
forget_asked(struct sessions *sessions)
{
	struct list stale, *node, *tmp;
	struct map_node *at, *next;

	list_init(&stale);
	for (at = map_first(&sessions->by_cookie); at != NULL; at = next) {
		struct cookie_session *e = MAP_ENTRY(at, struct cookie_session, by_cookie);

		next = map_next(&sessions->by_cookie, at);
		map_del(&sessions->by_cookie, at);
		e->is_stale = true;
		e->answer = (struct session_answer){.state = SESSION_AWAY};
		list_add_tail(&stale, &e->of_stale);
	}
	LIST_FOREACH (node, tmp, &stale) {
		struct cookie_session *e = LIST_ENTRY(node, struct cookie_session, of_stale);

		list_del(&e->of_stale);
		tell_all(e);
	}
}

void
sessions_set(struct sessions *sessions, const struct auth_settings *settings)
{
	sessions->settings = settings;
	forget_known(sessions);
	forget_asked(sessions);
}

static void
free_if_closed(struct sessions *sessions)
{
	void (*on_closed)(void *arg) = sessions->on_closed;
	void *arg = sessions->closed_arg;

	if (!sessions->is_closing || sessions->n_asked > 0 || sessions->is_timer_open)
		return;
	map_fini(&sessions->by_cookie);
	free(sessions);
	on_closed(arg);
}

static void
on_handle_closed(uv_handle_t *handle)
{
	struct sessions *sessions = handle->data;

	sessions->is_timer_open = false;
	free_if_closed(sessions);
}

void
sessions_close(struct sessions *sessions, void (*on_closed)(void *arg), void *arg)
{
	sessions->is_closing = true;
	sessions->on_closed = on_closed;
	sessions->closed_arg = arg;
	forget_known(sessions);
	fifo_close(&sessions->known, on_handle_closed);
}
