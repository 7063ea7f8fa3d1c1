#include "route/sessions.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "auth/php_session.h"
#include "base/clock.h"
#include "base/logger.h"
#include "base/map.h"
#include "hub/fifo.h"
#include "logic/message.h"
#include "logic/reply.h"
#include "redis/command.h"

enum { KNOWN_MS = 1000, TEXT_MAX = 1024 * 1024, KEY_MAX = 2048, WHY_LEN = 256 };

/* One cookie's session: asked for, or known until it is forgotten. */
struct entry {
	struct map_node by_cookie;
	struct fifo_node forget;
	struct list waiters;
	struct sessions *sessions;
	bool is_asked;
	enum session_state state;
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
entry_free(struct entry *e)
{
	fifo_del(&e->forget);
	map_del(&e->sessions->by_cookie, &e->by_cookie);
	identity_fini(&e->id);
	free(e);
}

static void
on_forget(struct fifo *fifo, struct fifo_node *node)
{
	(void)fifo;
	entry_free(LIST_ENTRY(node, struct entry, forget));
}

static void
tell_all(struct entry *e)
{
	/* Who is told may be the end of others that wait. */
	while (!list_is_empty(&e->waiters)) {
		struct session_waiter *waiter =
		    LIST_ENTRY(e->waiters.next, struct session_waiter, of_entry);

		list_del(&waiter->of_entry);
		waiter->on_known(waiter, e->state, e->state == SESSION_THERE ? &e->id : NULL);
	}
}

/* What Redis has of it */

/* A hash as an object of texts; a string as JSON, or as PHP keeps it. NULL: neither. */
static struct json_object *
read_session(const redisReply *reply)
{
	struct json_object *session = NULL;
	struct message msg;
	struct buf text;

	buf_init(&text, TEXT_MAX);
	if (reply->type == REDIS_REPLY_STRING && reply->len <= TEXT_MAX) {
		message_init(&msg, "", 0, reply->str, reply->len);
		session = json_object_get(message_json(&msg));
		message_fini(&msg);
		if (session == NULL)
			session = php_session_parse(reply->str, reply->len);
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

/* The user's name: what the expression makes of the session. NULL: none, or out of memory. */
static char *
name_user(const struct auth_settings *settings, struct json_object *session)
{
	struct template_scope scope = {.channel = "", .now = clock_unix()};
	char why[WHY_LEN], *user = NULL;
	static struct logger_pause pause;
	struct message msg;
	struct buf text;
	bool is_some = false;

	message_init(&msg, "", 0, "{}", 2);
	(void)message_replace(&msg, json_object_get(session));
	scope.msg = &msg;
	buf_init(&text, TEXT_MAX);
	if (expression_render(settings->session_user, &scope, &text, &is_some, why, sizeof(why)) <
		0 &&
	    logger_may(&pause, clock_ms(), 60000))
		logger_warn("[auth] session_user: %s", why);
	if (is_some && text.len > 0 && memchr(text.p, '\0', text.len) == NULL)
		user = strndup(text.p, text.len);
	buf_fini(&text);
	message_fini(&msg);
	return user;
}

static void
understand(struct entry *e, const redisReply *reply)
{
	const struct auth_settings *settings = e->sessions->settings;
	struct json_object *session = read_session(reply);

	e->state = SESSION_NONE;
	if (session == NULL)
		return;
	e->id = (struct identity){.claims = session, .is_by_cookie = true};
	e->id.session = strdup(e->cookie);
	if (settings->session_user != NULL)
		e->id.user = name_user(settings, session);
	if (e->id.session != NULL && (e->id.user != NULL || settings->session_user == NULL))
		e->state = SESSION_THERE;
	else
		identity_fini(&e->id);
}

static void
finish(struct entry *e)
{
	e->is_asked = false;
	tell_all(e);
	if (e->state == SESSION_AWAY || e->sessions->is_closing)
		entry_free(e);
	else
		fifo_add(&e->sessions->known, &e->forget);
}

static bool ask(struct entry *e, const char *command, command_fn fn);

static void free_if_closed(struct sessions *sessions);

static void
on_hash(void *arg, const redisReply *reply)
{
	struct entry *e = arg;
	struct sessions *sessions = e->sessions;

	sessions->n_asked--;
	if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
		e->state = reply == NULL ? SESSION_AWAY : SESSION_NONE;
	else
		understand(e, reply);
	finish(e);
	free_if_closed(sessions);
}

static void
log_error(const redisReply *reply)
{
	static struct logger_pause pause;

	if (reply != NULL && logger_may(&pause, clock_ms(), 60000))
		logger_warn("Redis does not give a session: %s", reply->str);
}

static void
on_string(void *arg, const redisReply *reply)
{
	struct entry *e = arg;
	struct sessions *sessions = e->sessions;

	sessions->n_asked--;
	if (reply != NULL && reply->type == REDIS_REPLY_ERROR &&
	    strncmp(reply->str, "WRONGTYPE", 9) == 0) {
		if (!sessions->is_closing && ask(e, "HGETALL", on_hash))
			return;
		e->state = SESSION_AWAY;
	} else if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
		log_error(reply);
		e->state = SESSION_AWAY;
	} else if (sessions->is_closing) {
		e->state = SESSION_AWAY;
	} else {
		understand(e, reply);
	}
	finish(e);
	free_if_closed(sessions);
}

static bool
ask(struct entry *e, const char *command, command_fn fn)
{
	struct sessions *sessions = e->sessions;
	const struct template_value params[] = {{"cookie", e->cookie}, {NULL, NULL}};
	const struct template_scope scope = {.params = params, .channel = ""};
	struct buf key;
	bool is_sent = false;

	buf_init(&key, KEY_MAX);
	/* A stream that is ending may still ask after a reload has taken sessions away. */
	if (sessions->settings->session_key != NULL && hub_command(sessions->hub) != NULL &&
	    buf_puts(&key, hub_prefix(sessions->hub)) == 0 &&
	    template_expand(sessions->settings->session_key, &scope, &key) == 0 &&
	    buf_putc(&key, '\0') == 0) {
		const char *argv[] = {command, key.p};

		is_sent = command_send(hub_command(sessions->hub), fn, e, 2, argv, NULL) == 0;
	}
	buf_fini(&key);
	sessions->n_asked += is_sent;
	return is_sent;
}

static struct entry *
get(struct sessions *sessions, const char *cookie)
{
	struct map_node *node = map_find(&sessions->by_cookie, cookie, strlen(cookie));
	struct entry *e;

	if (node != NULL)
		return MAP_ENTRY(node, struct entry, by_cookie);
	if ((e = calloc(1, sizeof(*e) + strlen(cookie) + 1)) == NULL)
		return NULL;
	memcpy(e->cookie, cookie, strlen(cookie));
	e->sessions = sessions;
	list_init(&e->waiters);
	fifo_node_init(&e->forget);
	if (map_add(&sessions->by_cookie, &e->by_cookie, e->cookie, strlen(e->cookie)) < 0) {
		free(e);
		return NULL;
	}
	if (!(e->is_asked = ask(e, "GET", on_string))) {
		entry_free(e);
		return NULL;
	}
	return e;
}

enum session_state
sessions_ask(struct sessions *sessions, const char *cookie, struct session_waiter *waiter,
	     const struct identity **id)
{
	struct entry *e = get(sessions, cookie);

	list_init(&waiter->of_entry);
	if (e == NULL)
		return SESSION_AWAY;
	*id = &e->id;
	if (!e->is_asked)
		return e->state;
	list_add_tail(&e->waiters, &waiter->of_entry);
	return SESSION_ASKED;
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
	fifo_init(&sessions->known, loop, KNOWN_MS, on_forget);
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
		struct entry *e = MAP_ENTRY(node, struct entry, by_cookie);

		next = map_next(&sessions->by_cookie, node);
		if (!e->is_asked && list_is_empty(&e->waiters))
			entry_free(e);
	}
}

void
sessions_set(struct sessions *sessions, const struct auth_settings *settings)
{
	sessions->settings = settings;
	forget_known(sessions);
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
