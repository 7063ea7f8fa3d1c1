#include "config/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/config.h"
#include "config/auth_values.h"
#include "config/route_values.h"
#include "config/values.h"
#include "route/handlers.h"
#include "base/suggest.h"

/* NOLINTNEXTLINE(bugprone-sizeof-expression): a field may well be a pointer */
#define AT(type, field) .offset = offsetof(type, field), .size = sizeof(((type *)NULL)->field)
#define SERVER(field)   .section = CONFIG_SERVER, AT(struct config, server.field)
#define REDIS(field)    .section = CONFIG_REDIS, AT(struct config, redis.field)
#define AUTH(field)     .section = CONFIG_AUTH, AT(struct config, auth.field)
#define AUTH_WHOLE      .section = CONFIG_AUTH, .offset = offsetof(struct config, auth)
#define ROUTE(field)    .section = CONFIG_ROUTE, AT(struct route, field)
#define STREAM(field)   ROUTE(stream.field), .is_stream = true

#define PUBLISH(field)  ROUTE(publish.field), .is_stream = true
#define LOGIC(field)    ROUTE(logic.field), .is_stream = true

#define SECOND          ((uint64_t)1000)
#define HOUR            (3600 * SECOND)
#define KIB             ((uint64_t)1024)

#define ANY \
	(TEMPLATE_PARAMS | TEMPLATE_CHANNEL | TEMPLATE_NOW | TEMPLATE_FIELD | TEMPLATE_UNIQUE | \
	 TEMPLATE_TEXT)

/* clang-format off: one key, one paragraph */
static const struct config_key keys[] = {
    {SERVER(listen), .name = "listen", .set = config_set_listen,
     .help = "where web servers connect: unix:PATH, HOST:PORT or inherit"},
    {SERVER(socket_mode), .name = "socket_mode", .set = config_set_mode, .fallback = "0660",
     .help = "the mode of a Unix socket, octal"},
    {SERVER(socket_user), .name = "socket_user", .set = config_set_owner,
     .help = "the owner of a Unix socket: a name or a number"},
    {SERVER(socket_group), .name = "socket_group", .set = config_set_owner_group,
     .help = "the group of a Unix socket"},
    {SERVER(base), .name = "base", .set = config_set_base, .fallback = "", .or_empty = true,
     .help = "a path prefix that is taken off first"},
    {SERVER(workers), .name = "workers", .set = config_set_workers, .fallback = "auto", .min = 1,
     .max = 256, .help = "how many processes serve; auto: one per processor core"},
    {SERVER(user), .name = "user", .set = config_set_user,
     .help = "whom to become once the socket is open"},
    {SERVER(group), .name = "group", .set = config_set_group, .help = "the group to become"},
    {SERVER(drain_ms), .name = "drain", .set = config_set_duration, .fallback = "10s", .min = 1,
     .max = HOUR, .or_zero = true, .help = "over how long the subscribers are ended at TERM"},
    {SERVER(watchdog_ms), .name = "watchdog", .set = config_set_duration, .fallback = "5s",
     .min = SECOND, .max = HOUR, .or_zero = true,
     .help = "a worker that hangs for so long is replaced; 0: never"},
    {SERVER(max_memory), .name = "max_memory", .set = config_set_size, .fallback = "0",
     .min = 16 * KIB * KIB, .max = (uint64_t)1 << 40, .or_zero = true,
     .help = "of a worker; beyond it the slowest clients are ended first; 0: no limit"},
    {SERVER(quarantine), .name = "quarantine", .set = config_set_text,
     .help = "the stream for messages at which two workers have died"},
    {SERVER(log), .name = "log", .set = config_set_log, .fallback = "stderr",
     .help = "stderr, syslog or a file"},
    {SERVER(log_level), .name = "log_level", .set = config_set_word, .fallback = "info",
     .words = logger_levels, .help = "the least that is logged"},
    {SERVER(log_format), .name = "log_format", .set = config_set_word, .fallback = "text",
     .words = logger_formats, .help = "how a line is written"},
    {SERVER(max_subscribers), .name = "max_subscribers", .set = config_set_number, .fallback = "0",
     .min = 0, .max = UINT32_MAX, .help = "the most open streams of all routes; 0: no limit"},
    {SERVER(trusted_proxies), .name = "trusted_proxies", .set = config_set_proxies,
     .help = "addresses and networks whose X-Forwarded-For is believed"},
    {.section = CONFIG_SERVER, .name = "include", .help = "more files to read: DIR/*.ini"},
    {.section = CONFIG_SERVER,
     .name = "modules",
     .help = "handlers that were compiled apart: shared objects"},

    {.section = CONFIG_REDIS,
     .offset = offsetof(struct config, redis),
     .name = "url",
     .set = config_set_urls,
     .fallback = "redis://127.0.0.1:6379",
     .help = "one server or several, tried in turn"},
    {REDIS(password_file), .name = "password_file", .set = config_set_password_file,
     .help = "holds the password of every url that has none"},
    {REDIS(prefix), .name = "prefix", .set = config_set_text, .fallback = "", .or_empty = true,
     .help = "put before every channel and pattern"},
    {REDIS(connect_timeout_ms), .name = "connect_timeout", .set = config_set_duration,
     .fallback = "2s", .min = 10, .max = 60 * SECOND,
     .help = "how long one server may take to let us in"},
    {REDIS(sentinel_master), .name = "sentinel_master", .set = config_set_text,
     .help = "url names sentinels, and this is what they call the primary"},
    {REDIS(sentinel_password_file), .name = "sentinel_password_file",
     .set = config_set_password_file, .help = "holds the password of the sentinels"},
    {REDIS(is_cluster), .name = "cluster", .set = config_set_yes_no, .fallback = "no",
     .help = "url names nodes of a cluster: each key is asked for where it is"},
    {REDIS(is_sharded), .name = "sharded", .set = config_set_yes_no, .fallback = "no",
     .help = "channels are the cluster's sharded ones: SSUBSCRIBE, SPUBLISH"},
    {REDIS(tls.ca), .name = "tls_ca", .set = config_set_readable_file,
     .help = "the certificates that a rediss:// server's must lead to; none: the system's"},
    {REDIS(tls.cert), .name = "tls_cert", .set = config_set_readable_file,
     .help = "our certificate, for a server that asks for one"},
    {REDIS(tls.key), .name = "tls_key", .set = config_set_readable_file,
     .help = "its key; none: it stands in tls_cert, too"},
    {REDIS(tls.server_name), .name = "tls_server_name", .set = config_set_text,
     .help = "the name that the server's certificate bears; none: the host of url"},

    {AUTH_WHOLE, .name = "jwt_key_file", .set = config_set_jwt_key_file,
     .help = "the secret of HMAC, or a PEM public key, that verifies tokens"},
    {AUTH_WHOLE, .name = "jwt_key", .set = config_set_jwt_key,
     .help = "the secret itself; a file keeps it better"},
    {AUTH(jwt.algorithms), .name = "jwt_algorithms", .set = config_set_algorithms,
     .help = "those that a token may use; by default the one that fits the key"},
    {AUTH(jwt.issuer), .name = "jwt_issuer", .set = config_set_text, .help = "what iss must be"},
    {AUTH(jwt.audience), .name = "jwt_audience", .set = config_set_text,
     .help = "what aud must name"},
    {AUTH(jwt.user_claim), .name = "jwt_user", .set = config_set_text, .fallback = "sub",
     .help = "the claim that names the user"},
    {AUTH(jwt_cookie), .name = "jwt_cookie", .set = config_set_cookie_name,
     .help = "the cookie that may hold a token"},
    {AUTH(jwt_query), .name = "jwt_query", .set = config_set_token_parameter,
     .help = "the parameter that may hold a token"},
    {AUTH(jwt_channels), .name = "jwt_channels", .set = config_set_text,
     .help = "the claim that lists the channels that a client may name"},
    {AUTH(session_cookie), .name = "session_cookie", .set = config_set_cookie_name,
     .help = "the cookie that names a session"},
    {AUTH(session_key), .name = "session_key", .set = config_set_session_key,
     .allow = TEMPLATE_PARAMS, .help = "the key in Redis of {cookie}'s session"},
    {AUTH(session_format), .name = "session_format", .set = config_set_session_format,
     .fallback = "auto",
     .help = "how the site writes its sessions: auto, express, django, flask, laravel"},
    {AUTH_WHOLE, .name = "session_secret_file", .set = config_set_session_secret_file,
     .help = "the site's secret, which its sessions are signed with"},
    {AUTH_WHOLE, .name = "session_user", .set = config_set_session_user,
     .help = "expression: the user's name, of the session"},
    {AUTH(reauth_ms), .name = "reauth", .set = config_set_duration, .fallback = "60s", .min = 1000,
     .max = 24 * HOUR, .or_zero = true, .help = "how often a session is looked at again"},
    {AUTH_WHOLE, .name = "signed_key_file", .set = config_set_link_key_file,
     .help = "the secret that signs links"},
    {AUTH_WHOLE, .name = "signed_key", .set = config_set_link_key,
     .help = "the secret itself; a file keeps it better"},
    {AUTH(kick), .name = "kick", .set = config_set_text,
     .help = "the channel whose messages end streams: user:ID, session:ID, route:NAME"},

    {ROUTE(path), .name = "path", .set = config_set_path,
     .help = "literal segments and {parameters}"},
    {ROUTE(handler), .name = "handler", .set = config_set_handler, .fallback = "relay",
     .help = "what serves the route"},
    {ROUTE(subjects[SUBJECT_CHANNEL]), .name = "channels", .set = config_set_templates,
     .allow = TEMPLATE_PARAMS, .is_stream = true, .help = "Redis channels to follow"},
    {ROUTE(subjects[SUBJECT_PATTERN]), .name = "patterns", .set = config_set_templates,
     .allow = TEMPLATE_PARAMS, .is_stream = true, .help = "Redis patterns to follow"},
    {ROUTE(subjects[SUBJECT_STREAM]), .name = "streams", .set = config_set_streams,
     .allow = TEMPLATE_PARAMS, .is_stream = true,
     .help = "Redis streams to follow, which can be resumed"},
    {ROUTE(subjects[SUBJECT_KEYSPACE]), .name = "keyspace", .set = config_set_templates,
     .allow = TEMPLATE_PARAMS, .is_stream = true,
     .help = "Redis keys, or patterns of keys, whose changes are told"},
    {STREAM(keyspace_value), .name = "keyspace_value", .set = config_set_yes_no, .fallback = "no",
     .help = "tell what a key holds with what became of it"},
    {STREAM(record), .name = "record", .set = config_set_number, .fallback = "0", .min = 0,
     .max = 1000000, .help = "of each channel about so many messages are kept, to be resumed"},
    {STREAM(snapshot), .name = "snapshot", .set = config_set_command, .allow = TEMPLATE_PARAMS,
     .help = "a Redis command: its answer is a new subscriber's first event"},
    {STREAM(snapshot_missing), .name = "snapshot_missing", .set = config_set_data,
     .allow = TEMPLATE_PARAMS | TEMPLATE_NOW, .help = "its data if there is no such key"},
    {STREAM(snapshot_from), .name = "snapshot_from", .set = config_set_template,
     .allow = TEMPLATE_PARAMS | TEMPLATE_FIELD | TEMPLATE_TEXT,
     .help = "of the snapshot: the id behind which the stream begins"},
    {STREAM(start), .name = "start", .set = config_set_start, .fallback = "$",
     .help = "where one without a Last-Event-ID begins in the streams: $, 0 or last:N"},
    {STREAM(history), .name = "history", .set = config_set_number, .fallback = "1000", .min = 1,
     .max = 100000, .help = "the most entries that one replay sends"},
    {.section = CONFIG_ROUTE,
     .name = "param.NAME",
     .help = "what a parameter's whole value must match"},
    {STREAM(interval_ms), .name = "interval", .set = config_set_duration, .fallback = "1s",
     .min = 10, .max = 24 * HOUR, .help = "how often a handler such as poll does its work"},
    {LOGIC(filter), .name = "filter", .set = config_set_text,
     .help = "expression: a message for which it is not true is not sent"},
    {LOGIC(transform), .name = "transform", .set = config_set_text,
     .help = "expression: its result is the data"},
    {LOGIC(script), .name = "script", .set = config_set_text,
     .help = "a Lua file that returns function(channel, message, event)"},
    {STREAM(stages.shape.fields), .name = "fields", .set = config_set_names,
     .help = "of the message's fields only these are kept"},
    {.section = CONFIG_ROUTE,
     .name = "add.NAME",
     .allow = ANY,
     .is_stream = true,
     .help = "a field that is added to the message"},
    {LOGIC(until), .name = "until", .set = config_set_text,
     .help = "expression: the first message for which it is true is the last"},
    {STREAM(event), .name = "event", .set = config_set_event, .allow = ANY,
     .help = "the name of each event"},
    {STREAM(id), .name = "id", .set = config_set_id, .allow = ANY, .help = "the id of each event"},
    {STREAM(pace.rate), .name = "rate", .set = config_set_limit,
     .help = "at most so many events in so long"},
    {STREAM(pace.rate_mode), .name = "rate_mode", .set = config_set_word, .fallback = "drop",
     .words = rate_mode_names, .help = "what becomes of an event beyond the rate"},
    {STREAM(pace.rate_by), .name = "rate_by", .set = config_set_template, .allow = ANY,
     .help = "each of its values has a rate of its own"},
    {STREAM(pace.batch), .name = "batch", .set = config_set_limit,
     .help = "send so many events as one, or what there is after so long"},
    {STREAM(heartbeat_ms), .name = "heartbeat", .set = config_set_duration, .fallback = "15s",
     .min = 10, .max = HOUR, .or_zero = true, .help = "sent after so long without an event"},
    {STREAM(heartbeat_event), .name = "heartbeat_event", .set = config_set_event_name,
     .fallback = "keep-alive", .or_empty = true, .help = "the heartbeat's name; empty: a comment"},
    {STREAM(heartbeat_data), .name = "heartbeat_data", .set = config_set_data, .fallback = "{{}}",
     .allow = TEMPLATE_PARAMS | TEMPLATE_NOW, .or_empty = true, .help = "the heartbeat's data"},
    {STREAM(lifetime_ms), .name = "lifetime", .set = config_set_duration, .fallback = "0",
     .min = 10, .max = 8760 * HOUR, .or_zero = true, .help = "end a subscriber after so long"},
    {STREAM(idle_ms), .name = "idle", .set = config_set_duration, .fallback = "0", .min = 10,
     .max = 8760 * HOUR, .or_zero = true,
     .help = "end a subscriber after so long without a message"},
    {STREAM(abandoned_ms), .name = "abandoned", .set = config_set_duration, .fallback = "0",
     .min = 10, .max = 8760 * HOUR, .or_zero = true,
     .help = "end all for good after so long without a message of the feed"},
    {STREAM(abandoned_data), .name = "abandoned_data", .set = config_set_data,
     .allow = TEMPLATE_PARAMS | TEMPLATE_NOW, .help = "the event that is sent before that end"},
    {STREAM(max_events), .name = "max_events", .set = config_set_number, .fallback = "0", .min = 0,
     .max = UINT32_MAX, .help = "end a subscriber for good after so many events"},
    {STREAM(retry_ms), .name = "retry", .set = config_set_duration, .fallback = "3s", .min = 10,
     .max = HOUR, .help = "how long a browser waits before it reconnects"},
    {STREAM(open_wait_ms), .name = "open_wait", .set = config_set_duration, .fallback = "2s",
     .min = 1, .max = 60 * SECOND, .or_zero = true,
     .help = "how long the head waits for Redis's confirmation"},
    {STREAM(announce), .name = "announce", .set = config_set_yes_no, .fallback = "yes",
     .help = "send stream-open, stream-reset, stream-end and stream-done"},
    {STREAM(queue), .name = "queue", .set = config_set_size, .fallback = "256k", .min = KIB,
     .max = 1024 * KIB * KIB, .help = "bytes that may wait for a slow client"},
    {STREAM(overflow), .name = "overflow", .set = config_set_word, .fallback = "disconnect",
     .words = overflow_names, .help = "what becomes of a slower one"},
    {PUBLISH(channel), .name = "publish", .set = config_set_template, .allow = TEMPLATE_PARAMS,
     .help = "the channel to which a POST is published"},
    {PUBLISH(stream), .name = "publish_stream", .set = config_set_template,
     .allow = TEMPLATE_PARAMS, .help = "the stream to which a POST is added"},
    {PUBLISH(auth), .name = "publish_auth", .set = config_set_auth_list, .or_empty = true,
     .help = "who may, as auth; it must be named"},
    {PUBLISH(filter_text), .name = "publish_filter", .set = config_set_text,
     .help = "expression: a message for which it is not true is refused"},
    {PUBLISH(transform_text), .name = "publish_transform", .set = config_set_text,
     .help = "expression: its result is what is published"},
    {PUBLISH(max), .name = "publish_max", .set = config_set_size, .fallback = "64k", .min = 1,
     .max = KIB * KIB, .help = "the longest body"},
    {PUBLISH(rate), .name = "publish_rate", .set = config_set_limit,
     .help = "at most so many in so long"},
    {PUBLISH(maxlen), .name = "publish_maxlen", .set = config_set_number, .fallback = "0", .min = 0,
     .max = UINT32_MAX, .help = "about how many entries the stream keeps; 0: all"},
    {ROUTE(auth), .name = "auth", .set = config_set_auth_list, .fallback = "none", .or_empty = true,
     .help = "which credentials count, in the order in which they are tried"},
    {ROUTE(allow_text), .name = "allow", .set = config_set_text,
     .help = "expression of user, claims and params that must be true"},
    {ROUTE(allow_command), .name = "allow_command", .set = config_set_command,
     .allow = TEMPLATE_PARAMS, .help = "a Redis command whose answer must be true"},
    {ROUTE(max_subscribers), .name = "max_subscribers", .set = config_set_number, .fallback = "0",
     .min = 0, .max = UINT32_MAX, .is_stream = true,
     .help = "the most open streams of the route; 0: no limit"},
    {ROUTE(max_per_user), .name = "max_per_user", .set = config_set_number, .fallback = "0",
     .min = 0, .max = UINT32_MAX, .is_stream = true, .help = "and of one user"},
    {ROUTE(max_per_ip), .name = "max_per_ip", .set = config_set_number, .fallback = "0", .min = 0,
     .max = UINT32_MAX, .is_stream = true, .help = "and of one address"},
    {ROUTE(cors_origins), .name = "cors_origins", .set = config_set_origins,
     .help = "other sites whose pages may read the route"},
    {ROUTE(cors_credentials), .name = "cors_credentials", .set = config_set_yes_no,
     .fallback = "no", .help = "whether they may do so with cookies"},
};
/* clang-format on */

enum { N_KEYS = sizeof(keys) / sizeof(keys[0]) };

/* Keys that handlers add. The list grows when a module has brought handlers. */
static struct config_key *of_handlers;
static size_t n_of_handlers, n_handlers_known;

static int
add_of_handler(const struct handler *h)
{
	const struct handler_key *key;
	struct config_key *v;

	for (key = h->keys; key != NULL && key->name != NULL; key++) {
		v = reallocarray(of_handlers, n_of_handlers + 1, sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		of_handlers = v;
		v[n_of_handlers++] = (struct config_key){.name = key->name,
							 .fallback = key->fallback,
							 .min = key->min,
							 .max = key->max,
							 .help = key->help,
							 .section = CONFIG_ROUTE,
							 .handler = h};
	}
	return 0;
}

static void
know_handlers(void)
{
	const struct handler *h;

	while ((h = handlers_nth(n_handlers_known)) != NULL && add_of_handler(h) == 0)
		n_handlers_known++;
}

const struct config_key *
config_key_nth(size_t n)
{
	know_handlers();
	if (n < N_KEYS)
		return &keys[n];
	return n - N_KEYS < n_of_handlers ? &of_handlers[n - N_KEYS] : NULL;
}

const char *
config_section_name(enum config_section section)
{
	static const char *const names[] = {
	    [CONFIG_SERVER] = "server",
	    [CONFIG_REDIS] = "redis",
	    [CONFIG_AUTH] = "auth",
	    [CONFIG_ROUTE] = "route",
	};

	return names[section];
}

/* Keys whose part behind the dot is chosen by the user. */
static const char *const families[] = {"param.NAME", "add.NAME"};

enum { N_FAMILIES = sizeof(families) / sizeof(families[0]) };

/* How long "param." is. */
static size_t
prefix_len(const char *family)
{
	return strcspn(family, ".") + 1;
}

static const char *
family_of(const char *name)
{
	for (size_t i = 0; i < N_FAMILIES; i++) {
		if (strncasecmp(name, families[i], prefix_len(families[i])) == 0)
			return families[i];
	}
	return NULL;
}

const struct config_key *
config_key_find(enum config_section section, const char *name)
{
	const struct config_key *key;

	if (section == CONFIG_ROUTE && family_of(name) != NULL)
		name = family_of(name);
	for (size_t n = 0; (key = config_key_nth(n)) != NULL; n++) {
		if (key->section == section && strcasecmp(key->name, name) == 0)
			return key;
	}
	return NULL;
}

/* In "parm.id" only the first part can be misspelt. */
static const char *
suggest_family(const char *name, char *text, size_t text_len)
{
	const char *dot = strchr(name, '.');
	char word[64];

	for (size_t i = 0; dot != NULL && i < N_FAMILIES; i++) {
		snprintf(text, text_len, "%.*s", (int)(dot - name), name);
		snprintf(word, sizeof(word), "%.*s", (int)prefix_len(families[i]) - 1, families[i]);
		if (suggest_distance(text, word) <= strlen(word) / 2) {
			snprintf(text, text_len, "%s%s", word, dot);
			return text;
		}
	}
	return NULL;
}

const char *
config_key_suggest(enum config_section section, const char *name, char *text, size_t text_len)
{
	const struct config_key *key;
	struct suggest s;

	if (section == CONFIG_ROUTE && suggest_family(name, text, text_len) != NULL)
		return text;
	suggest_init(&s, name);
	for (size_t n = 0; (key = config_key_nth(n)) != NULL; n++) {
		if (key->section == section && family_of(key->name) == NULL)
			suggest_try(&s, key->name);
	}
	if (suggest_best(&s) == NULL)
		return NULL;
	snprintf(text, text_len, "%s", suggest_best(&s));
	return text;
}
