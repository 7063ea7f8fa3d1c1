#include "config/logic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/keys.h"
#include "logic/names.h"
#include "logic/stages.h"
#include "redis/stream_id.h"

#define ADD_PREFIX "add."
#define WHY_LEN    512

static const struct ini_entry *
entry(const struct config_source *src, size_t section, const char *key)
{
	return config_find_entry(src, section, config_key_find(CONFIG_ROUTE, key));
}

static bool
is_set(const char *text)
{
	return text != NULL && *text != '\0';
}

/* Parameters */

static int
on_param(void *ctx, const char *name, size_t len)
{
	struct route *rt = ctx;

	if (name != NULL)
		return route_add_param(&rt->logic.params, name, len);
	rt->logic.uses_any_param = true;
	return 0;
}

/* A feed depends on who follows as far as its logic asks. */
static int
on_claim(void *ctx, const char *name, size_t len)
{
	struct route *rt = ctx;
	char text[WHY_LEN];

	if (name == NULL || len >= sizeof(text) / 2)
		return route_add_param(&rt->logic.params, TEMPLATE_CLAIMS, strlen(TEMPLATE_CLAIMS));
	snprintf(text, sizeof(text), TEMPLATE_CLAIMS ".%.*s", (int)len, name);
	return route_add_param(&rt->logic.params, text, strlen(text));
}

static int
on_user(void *ctx)
{
	struct route *rt = ctx;

	return route_add_param(&rt->logic.params, TEMPLATE_USER, strlen(TEMPLATE_USER));
}

static int
find_params(struct route *rt, const char *text)
{
	static const struct names_ops ops = {
	    .on_param = on_param, .on_claim = on_claim, .on_user = on_user};

	return names_walk(text, strlen(text), &ops, rt);
}

/* What is asked of a request does not divide its feeds. */
static int
on_request_param(void *ctx, const char *name, size_t len)
{
	struct route *rt = ctx;

	return name != NULL ? route_add_param(&rt->logic.request_params, name, len) : 0;
}

static int
find_request_params(struct route *rt, const char *text)
{
	static const struct names_ops ops = {.on_param = on_request_param};

	return names_walk(text, strlen(text), &ops, rt);
}

/* Expressions */

static int
need_sandbox(struct stages *st)
{
	return st->sandbox != NULL ? 0 : sandbox_new(&st->sandbox);
}

static int
compile(const struct config_source *src, struct route *rt, size_t section, const char *key,
	const char *text, struct expression **out)
{
	struct stages *st = &rt->stream.stages;
	char why[WHY_LEN];
	int rc;

	if (!is_set(text))
		return 0;
	if ((rc = need_sandbox(st)) < 0)
		return rc;
	rc = expression_new(out, st->sandbox, text, why, sizeof(why));
	if (rc == -ENOMEM)
		return rc;
	if (rc == -EINVAL) {
		config_fault(src, entry(src, section, key), why);
		return 0;
	}
	if (strncmp(key, "publish_", strlen("publish_")) == 0 || strcmp(key, "allow") == 0)
		return find_request_params(rt, text);
	return find_params(rt, text);
}

/* Scripts */

/* Relative to the folder of the file that names it. For the caller to free. */
static char *
script_path(const struct config_source *src, const struct ini_entry *e)
{
	const char *file = faults_file_name(src->faults, e->file), *slash = strrchr(file, '/');
	char *path;

	if (*e->value == '/' || slash == NULL)
		return strdup(e->value);
	return asprintf(&path, "%.*s%s", (int)(slash + 1 - file), file, e->value) < 0 ? NULL : path;
}

/* The whole file, NUL-terminated, for the caller to free; NULL with errno. */
static char *
read_file(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = f != NULL ? malloc(SCRIPT_LEN_MAX + 2) : NULL;
	size_t len = 0;
	int problem = errno;

	if (text != NULL) {
		errno = 0;
		len = fread(text, 1, SCRIPT_LEN_MAX + 1, f);
		problem = ferror(f)                         ? errno
			  : len > SCRIPT_LEN_MAX            ? EFBIG
			  : memchr(text, '\0', len) != NULL ? EILSEQ
							    : 0;
		text[len] = '\0';
	}
	if (f != NULL)
		fclose(f);
	if (problem == 0)
		return text;
	free(text);
	errno = problem;
	return NULL;
}

static int
load_script(struct route *rt, const char *path, const char *text, char *why)
{
	struct stages *st = &rt->stream.stages;
	const char *slash = strrchr(path, '/');
	int rc;

	if ((rc = need_sandbox(st)) < 0)
		return rc;
	return script_new(&st->script, st->sandbox, slash != NULL ? slash + 1 : path, text, why,
			  WHY_LEN);
}

static int
compile_script(const struct config_source *src, struct route *rt, size_t section)
{
	const struct ini_entry *e = entry(src, section, "script");
	char why[WHY_LEN], *path, *text;
	int rc;

	if (!is_set(rt->logic.script) || e == NULL)
		return 0;
	if ((path = script_path(src, e)) == NULL)
		return -ENOMEM;
	if ((text = read_file(path)) != NULL) {
		if ((rc = load_script(rt, path, text, why)) == 0)
			rc = find_params(rt, text);
	} else {
		rc = errno == ENOMEM ? -ENOMEM : -EINVAL;
		snprintf(why, sizeof(why), "%s: %s", path,
			 errno == EILSEQ ? "it holds a NUL" : strerror(errno));
	}
	if (rc == -EINVAL) {
		config_fault(src, e, why);
		rc = 0;
	}
	free(path);
	free(text);
	return rc;
}

/* Added fields */

static bool
is_add(const struct ini_entry *e)
{
	return strncasecmp(e->key, ADD_PREFIX, strlen(ADD_PREFIX)) == 0;
}

/* An entry of the section, or of [defaults] where the section has none of the name. */
static bool
adds_here(const struct config_source *src, size_t section, const struct ini_entry *e)
{
	if (!is_add(e))
		return false;
	return e->section == section ||
	       (e->section == src->defaults && ini_find(src->ini, section, e->key) == NULL);
}

static int
add_field(struct shape *sh, const struct ini_entry *e, char *why)
{
	const struct config_key *key = config_key_find(CONFIG_ROUTE, e->key);
	struct shape_add *v = reallocarray(sh->adds, sh->n_adds + 1, sizeof(*v));
	struct shape_add add = {0};
	int rc;

	if (v == NULL)
		return -ENOMEM;
	sh->adds = v;
	if (e->key[strlen(ADD_PREFIX)] == '\0') {
		snprintf(why, WHY_LEN, "a name is missing: " ADD_PREFIX "server_time = {now}");
		return -EINVAL;
	}
	if ((rc = template_compile(&add.value, e->value, key->allow, why, WHY_LEN)) < 0)
		return rc;
	if ((add.name = strdup(e->key + strlen(ADD_PREFIX))) == NULL) {
		template_free(add.value);
		return -ENOMEM;
	}
	v[sh->n_adds++] = add;
	return 0;
}

static int
add_fields(const struct config_source *src, struct route *rt, size_t section)
{
	char why[WHY_LEN];

	for (size_t i = 0; i < src->ini->n_entries; i++) {
		const struct ini_entry *e = &src->ini->entries[i];
		int rc;

		if (!adds_here(src, section, e))
			continue;
		rc = add_field(&rt->stream.stages.shape, e, why);
		if (rc == -EINVAL)
			config_fault(src, e, why);
		else if (rc < 0)
			return rc;
	}
	return 0;
}

int
config_logic_put_adds(const struct config_source *src, size_t section, struct buf *b)
{
	int rc = 0;

	for (size_t i = 0; i < src->ini->n_entries && rc == 0; i++) {
		const struct ini_entry *e = &src->ini->entries[i];

		if (adds_here(src, section, e))
			rc = config_put_value(b, e->key, e->value);
	}
	return rc;
}

/* What does not go together */

/* A key of the route's own that has no use, or stands against another. */
static void
refuse(const struct config_source *src, size_t section, const char *key, const char *why)
{
	const struct ini_entry *e = ini_find(src->ini, section, key);

	if (e == NULL)
		e = entry(src, section, key);
	if (e != NULL && *e->value != '\0')
		config_fault(src, e, why);
}

static void
refuse_adds(const struct config_source *src, size_t section, const char *why)
{
	for (size_t i = 0; i < src->ini->n_entries; i++) {
		if (adds_here(src, section, &src->ini->entries[i]))
			config_fault(src, &src->ini->entries[i], why);
	}
}

static void
check_data(const struct config_source *src, const struct route *rt, size_t section)
{
	const char *maker = is_set(rt->logic.script) ? "script makes the data, so this has no use"
			    : is_set(rt->logic.transform)
				? "transform makes the data, so this has no "
				  "use"
				: NULL;

	if (maker == NULL)
		return;
	if (is_set(rt->logic.script))
		refuse(src, section, "transform", maker);
	refuse(src, section, "fields", maker);
	refuse_adds(src, section, maker);
}

static void
check_pace(const struct config_source *src, const struct route *rt, size_t section)
{
	if (rt->stream.pace.rate.n > 0)
		return;
	if (ini_find(src->ini, section, "rate_by") != NULL)
		refuse(src, section, "rate_by", "there is no rate that it could divide");
	if (ini_find(src->ini, section, "rate_mode") != NULL)
		refuse(src, section, "rate_mode", "there is no rate to which it could apply");
}

static void
check_poll(const struct config_source *src, const struct route *rt, size_t section)
{
	if (rt->handler == NULL)
		return;
	if (strcmp(rt->handler->name, "relay") == 0) {
		if (ini_find(src->ini, section, "command") != NULL)
			refuse(src, section, "command",
			       "relay asks Redis nothing; handler = poll does");
		if (ini_find(src->ini, section, "interval") != NULL)
			refuse(src, section, "interval",
			       "relay asks Redis nothing; handler = poll does");
	}
	if (!rt->handler->is_wait && ini_find(src->ini, section, "timeout") != NULL)
		refuse(src, section, "timeout", "only handler = wait has one");
	if (!rt->handler->is_wait && ini_find(src->ini, section, "timeout_max") != NULL)
		refuse(src, section, "timeout_max", "only handler = wait has one");
	if (strcmp(rt->handler->name, "poll") == 0 && rt->stream.command == NULL &&
	    !is_set(rt->logic.script))
		config_fault_section(src, section,
				     "has neither command nor script to poll: command = GET key");
}

/* What a POST may do is said by the route, never by leaving it out. */
static int
build_publish(const struct config_source *src, struct route *rt, size_t section)
{
	struct publish *pub = &rt->publish;
	int rc;

	if (pub->channel != NULL && pub->stream != NULL)
		refuse(src, section, "publish_stream",
		       "publish writes to a channel already: one of them");
	if (route_can_publish(rt) && entry(src, section, "publish_auth") == NULL)
		refuse(src, section, pub->stream != NULL ? "publish_stream" : "publish",
		       "who may publish? publish_auth = none lets everybody who reaches the path");
	if ((rc = compile(src, rt, section, "publish_filter", pub->filter_text, &pub->filter)) < 0)
		return rc;
	return compile(src, rt, section, "publish_transform", pub->transform_text, &pub->transform);
}

static size_t
length(struct template *const *list)
{
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	return n;
}

static void
check_record(const struct config_source *src, const struct route *rt, size_t section)
{
	size_t n = length(rt->channels);

	if (rt->stream.record == 0)
		return;
	if (n == 0 || rt->patterns != NULL || rt->streams != NULL)
		refuse(src, section, "record",
		       "channels are recorded, and they alone: a pattern has no log, and "
		       "a stream is one");
	else if (n > STREAM_CURSOR_MAX)
		refuse(src, section, "record",
		       "more than 6 channels: a client's Last-Event-ID holds no more");
}

/* What a queue gives to one subscriber it gives to no other, and at once. */
static void
check_queue(const struct config_source *src, const struct route *rt, size_t section)
{
	static const char *const queue_keys[] = {"group",    "ack",         "claim_after",
						 "prefetch", "dead_letter", "max_deliveries"};
	static const char *const others[] = {"channels", "patterns", "record", "snapshot",
					     "rate",     "batch",    "id"};

	if (rt->handler == NULL)
		return;
	if (!rt->handler->is_queue) {
		for (size_t i = 0; i < sizeof(queue_keys) / sizeof(queue_keys[0]); i++) {
			if (ini_find(src->ini, section, queue_keys[i]) != NULL)
				refuse(src, section, queue_keys[i], "only handler = queue has one");
		}
		return;
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		const struct ini_entry *e = entry(src, section, others[i]);

		if (e != NULL && strcmp(e->value, "0") != 0)
			refuse(
			    src, section, others[i],
			    "handler = queue gives the entries of one stream, each by itself and "
			    "with its own ID");
	}
	if (length(rt->streams) != 1)
		config_fault_section(src, section, "needs one stream: streams = jobs");
	if (rt->stream.group == NULL)
		config_fault_section(src, section, "needs a consumer group: group = workers");
	if (rt->stream.dead_letter == NULL && ini_find(src->ini, section, "max_deliveries") != NULL)
		refuse(src, section, "max_deliveries",
		       "there is no dead_letter stream for what was delivered so often");
}

/* handler = presence */
static void
check_state(const struct config_source *src, const struct route *rt, size_t section)
{
	static const char *const others[] = {"patterns", "streams", "record",
					     "snapshot", "rate",    "batch"};

	if (rt->handler == NULL || !rt->handler->tells_state) {
		if (rt->handler != NULL && ini_find(src->ini, section, "lease") != NULL)
			refuse(src, section, "lease", "only handler = presence has one");
		return;
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		const struct ini_entry *e = entry(src, section, others[i]);

		if (e != NULL && strcmp(e->value, "0") != 0)
			refuse(src, section, others[i],
			       "handler = presence follows one channel, which it uses itself");
	}
	if (length(rt->channels) != 1)
		config_fault_section(src, section, "needs one channel: channels = here:{room}");
}

int
config_logic_build(const struct config_source *src, struct route *rt, size_t section)
{
	struct stages *st = &rt->stream.stages;
	int rc;

	if ((rc = compile(src, rt, section, "allow", rt->allow_text, &rt->allow)) < 0)
		return rc;
	if (rt->handler != NULL && rt->handler->answer != NULL) {
		for (size_t i = 0; i < src->ini->n_entries; i++) {
			const struct ini_entry *e = &src->ini->entries[i];

			if (e->section == section && is_add(e))
				config_fault(src, e,
					     "the handler gives a short answer: it has no "
					     "messages");
		}
		return 0;
	}
	st->route = rt->name;
	if (rt->handler != NULL && rt->handler->is_queue && entry(src, section, "start") == NULL)
		rt->stream.start.is_beginning = true; /* a new group's work is all there is */
	if ((rc = compile(src, rt, section, "filter", rt->logic.filter, &st->filter)) < 0 ||
	    (rc = compile(src, rt, section, "transform", rt->logic.transform, &st->transform)) <
		0 ||
	    (rc = compile(src, rt, section, "until", rt->logic.until, &st->until)) < 0 ||
	    (rc = compile_script(src, rt, section)) < 0 || (rc = add_fields(src, rt, section)) < 0)
		return rc;
	if ((rc = build_publish(src, rt, section)) < 0)
		return rc;
	check_record(src, rt, section);
	check_data(src, rt, section);
	check_pace(src, rt, section);
	check_queue(src, rt, section);
	check_state(src, rt, section);
	check_poll(src, rt, section);
	return 0;
}
