#ifndef TESTS_FAKE_SOURCES_H
#define TESTS_FAKE_SOURCES_H

/*
 * fake_sources - what stands below a kind of source, pretended: what is followed (hub/subjects),
 * what stands in streams already (redis/past), and what is asked of Redis (redis/command). The
 * functions of these three are defined here in place of the real ones: the test says what comes,
 * and sees what was asked as text. The hub and its feeds are real.
 */
#include <hiredis/hiredis.h>

#include "fake_client.h"
#include "hub/feed_within.h"
#include "hub/silence.h"
#include "redis/command.h"
#include "redis/past.h"
#include "redis/topology.h"
#include "source/kinds.h"

/* What was asked, in order: "look r:log|read r:log 1-0 5-0 x16|XREADGROUP ...|". */
static char asked[16384];

__attribute__((format(printf, 1, 2))) static inline void
note_asked(const char *fmt, ...)
{
	size_t len = strlen(asked);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(asked + len, sizeof(asked) - len, fmt, ap);
	va_end(ap);
}

/* It was all that was asked since the last time. */
static inline void
assert_asked(const char *text)
{
	if (strcmp(asked, text) != 0)
		fail_msg("asked \"%s\", not \"%s\"", asked, text);
	asked[0] = '\0';
}

/* Something that begins so was asked, whatever stands around it. */
static inline void
assert_asked_for(const char *text)
{
	if (strstr(asked, text) == NULL)
		fail_msg("asked \"%s\", without \"%s\"", asked, text);
	asked[0] = '\0';
}

static inline redisReply *
parse(const char *resp)
{
	redisReader *reader = redisReaderCreate();
	void *reply = NULL;

	assert_non_null(reader);
	assert_int_equal(redisReaderFeed(reader, resp, strlen(resp)), REDIS_OK);
	assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
	assert_non_null(reply);
	redisReaderFree(reader);
	return reply;
}

/* hub/subjects.h: each subscription has a subject of its own. */

struct subjects {
	char unused;
};

struct subject {
	bool is_confirmed;
	struct stream_id place;
	char name[64];
};

static struct subjects fake_subjects;
static struct subscription *followed[16]; /* NULL: free */

int
subjects_new(struct subjects **out, uv_loop_t *loop, struct topology *tp, struct turn *turn)
{
	(void)loop;
	(void)tp;
	(void)turn;
	*out = &fake_subjects;
	return 0;
}

void
subjects_free(struct subjects *sj)
{
	(void)sj;
}

int
subjects_set_redis(struct subjects *sj, struct topology *tp)
{
	(void)sj;
	(void)tp;
	return 0;
}

void
subjects_set_command(struct subjects *sj, struct command *command)
{
	(void)sj;
	(void)command;
}

bool
subjects_are_up(const struct subjects *sj)
{
	return sj != NULL;
}

const struct redis_settings *
subjects_redis(const struct subjects *sj)
{
	static const struct redis_settings one_server;

	(void)sj;
	return &one_server;
}

const char *
subjects_prefix(const struct subjects *sj)
{
	(void)sj;
	return "";
}

/* What is followed from now on is confirmed already, at this place. */
static bool is_confirmed_before;
static struct stream_id place_before;

int
subjects_follow(struct subjects *sj, struct subscription *sn, enum subject_kind kind,
		const char *name)
{
	struct subject *subject = calloc(1, sizeof(*subject));
	size_t i = 0;

	(void)sj;
	assert_non_null(subject);
	while (followed[i] != NULL)
		i++;
	subject->is_confirmed = is_confirmed_before;
	subject->place = place_before;
	snprintf(subject->name, sizeof(subject->name), "%s", name);
	sn->subject = subject;
	sn->kind = (unsigned char)kind;
	followed[i] = sn;
	return 0;
}

void
subjects_leave(struct subjects *sj, struct subscription *sn)
{
	size_t i = 0;

	(void)sj;
	if (sn->subject == NULL)
		return;
	while (followed[i] != sn)
		i++;
	followed[i] = NULL;
	free(sn->subject);
	sn->subject = NULL;
}

enum subject_kind
subscription_kind(const struct subscription *sn)
{
	return sn->kind;
}

const char *
subscription_key(const struct subscription *sn)
{
	return sn->subject->name;
}

const char *
subscription_name(const struct subscription *sn)
{
	return sn->subject->name;
}

bool
subscription_is_confirmed(const struct subscription *sn)
{
	return sn->subject->is_confirmed;
}

const struct stream_id *
subscription_place(const struct subscription *sn)
{
	return &sn->subject->place;
}

static inline struct stream_id
id_of(const char *text)
{
	struct stream_id id;

	assert_true(stream_id_parse(&id, text, strlen(text)));
	return id;
}

static inline struct subscription *
find_followed(const char *name)
{
	for (size_t i = 0; i < 16; i++) {
		if (followed[i] != NULL && strcmp(followed[i]->subject->name, name) == 0)
			return followed[i];
	}
	fail_msg("%s is not followed", name);
	return NULL;
}

/* at: where a stream is followed from; NULL: it is none. */
static inline void
confirm(const char *name, const char *at)
{
	struct subscription *sn = find_followed(name);

	if (at != NULL)
		sn->subject->place = id_of(at);
	sn->subject->is_confirmed = true;
	sn->ops->on_confirmed(sn);
}

static inline void
lose_all(void)
{
	size_t i;

	for (i = 0; i < 16; i++) {
		if (followed[i] != NULL)
			followed[i]->subject->is_confirmed = false;
	}
	for (i = 0; i < 16; i++) {
		if (followed[i] != NULL)
			followed[i]->ops->on_lost(followed[i]);
	}
}

/* id NULL: it has none. */
static inline void
publish(const char *name, const char *data, const char *id)
{
	struct subscription *sn = find_followed(name);
	struct stream_id at = id != NULL ? id_of(id) : (struct stream_id){0};
	struct message msg;

	message_init(&msg, name, strlen(name), data, strlen(data));
	if (id != NULL && sn->kind == SUBJECT_STREAM) {
		msg.id = id;
		msg.id_len = strlen(id);
	}
	sn->ops->on_message(sn, &msg, id != NULL ? &at : NULL);
	message_fini(&msg);
}

static inline void
change(const char *name, enum stream_change what, const char *at)
{
	struct subscription *sn = find_followed(name);

	sn->subject->place = id_of(at);
	sn->ops->on_change(sn, what);
}

/* redis/past.h */

struct past {
	struct list pending;
};

static struct past fake_past;

int
past_new(struct past **out, uv_loop_t *loop)
{
	(void)loop;
	list_init(&fake_past.pending);
	*out = &fake_past;
	return 0;
}

void
past_set_command(struct past *past, struct command *command)
{
	(void)past;
	(void)command;
}

void
past_free(struct past *past)
{
	assert_true(past == NULL || list_is_empty(&past->pending));
}

unsigned
past_count(size_t entry_size)
{
	return entry_size > 0 ? 16 : 0;
}

static inline void
expect_answer(struct past *past, struct past_reading *reading)
{
	list_init(&reading->of_question);
	list_add_tail(&past->pending, &reading->of_question);
}

int
past_read(struct past *past, struct past_reading *reading, const char *key,
	  const struct past_range *range)
{
	char from[STREAM_ID_TEXT], to[STREAM_ID_TEXT];

	stream_id_print(from, &range->from);
	stream_id_print(to, &range->to);
	note_asked("%s %s %s %s x%u|", range->order == PAST_OLDEST_FIRST ? "read" : "back", key,
		   from, to, range->count);
	expect_answer(past, reading);
	return 0;
}

int
past_look(struct past *past, struct past_reading *reading, const char *key)
{
	note_asked("look %s|", key);
	expect_answer(past, reading);
	return 0;
}

void
past_cancel(struct past_reading *reading)
{
	if (reading->of_question.next != NULL)
		list_del(&reading->of_question);
}

/* The first that was asked is answered. resp NULL: it is not. */
static inline void
answer_past(const char *resp, bool is_whole)
{
	struct past_answer answer = {.is_whole = is_whole};
	struct past_reading *reading;
	redisReply *reply = NULL;

	assert_false(list_is_empty(&fake_past.pending));
	reading = LIST_ENTRY(fake_past.pending.next, struct past_reading, of_question);
	list_del(&reading->of_question);
	if (resp != NULL)
		answer.reply = reply = parse(resp);
	reading->on_answer(reading, &answer);
	if (reply != NULL)
		freeReplyObject(reply);
}

__attribute__((format(printf, 2, 3))) static inline void
add_text(char resp[8192], const char *fmt, ...)
{
	size_t len = strlen(resp);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(resp + len, 8192 - len, fmt, ap);
	va_end(ap);
}

/* Its data is its id. */
static inline void
add_entry(char resp[8192], const char *id)
{
	add_text(resp, "*2\r\n$%zu\r\n%s\r\n*2\r\n$4\r\ndata\r\n$%zu\r\n%s\r\n", strlen(id), id,
		 strlen(id), id);
}

/* XINFO STREAM of a stream of so many, whose first and newest entries these are. */
static inline void
answer_info(const char *first, const char *newest, unsigned length)
{
	char resp[8192] = "";

	add_text(resp,
		 "*10\r\n$6\r\nlength\r\n:%u\r\n$17\r\nlast-generated-id\r\n$%zu\r\n%s\r\n"
		 "$13\r\nentries-added\r\n:%u\r\n$11\r\nfirst-entry\r\n",
		 length, strlen(newest), newest, length);
	add_entry(resp, first);
	add_text(resp, "$10\r\nlast-entry\r\n");
	add_entry(resp, newest);
	answer_past(resp, true);
}

/* Entries in this order: "1-0 2-0". */
static inline void
answer_entries(const char *ids, bool is_whole)
{
	char resp[8192] = "", entries[8192] = "", copy[512], *id, *rest = NULL;
	unsigned n = 0;

	snprintf(copy, sizeof(copy), "%s", ids);
	for (id = strtok_r(copy, " ", &rest); id != NULL; id = strtok_r(NULL, " ", &rest), n++)
		add_entry(entries, id);
	add_text(resp, "*%u\r\n%s", n, entries);
	answer_past(resp, is_whole);
}

/* redis/command.h */

struct question {
	command_fn fn; /* NULL: it has its answer */
	void *arg;
	char text[300];
};

struct command {
	struct question v[64];
	size_t n;
};

static struct command fake_command;

int
command_new(struct command **out, uv_loop_t *loop, struct topology *tp, unsigned timeout_ms)
{
	(void)loop;
	(void)tp;
	(void)timeout_ms;
	*out = &fake_command;
	return 0;
}

void
command_free(struct command *cmd)
{
	(void)cmd;
}

bool
command_is_up(const struct command *cmd)
{
	return cmd != NULL;
}

void
command_on_up(struct command *cmd, void (*fn)(void *arg), void *arg)
{
	(void)cmd;
	(void)fn;
	(void)arg;
}

/* Of a script only its first ten bytes are noted. */
int
command_send(struct command *cmd, command_fn fn, void *arg, struct resp_words words)
{
	struct question *q = &cmd->v[cmd->n];

	assert_true(cmd->n < 64);
	*q = (struct question){fn, arg, ""};
	cmd->n++;
	for (int i = 0; i < words.n; i++) {
		size_t len = resp_word_len(words, i), at = strlen(q->text);

		if (i == 1 && strcmp(words.v[0], "EVAL") == 0)
			len = 10;
		snprintf(q->text + at, sizeof(q->text) - at, "%s%.*s", i > 0 ? " " : "", (int)len,
			 words.v[i]);
	}
	note_asked("%s|", q->text);
	return 0;
}

/* The first question of which this is a part is answered. resp NULL: it is not. */
static inline bool
answer_if_asked(const char *part, const char *resp)
{
	for (size_t i = 0; i < fake_command.n; i++) {
		struct question q = fake_command.v[i];
		redisReply *reply;

		if (q.fn == NULL || strstr(q.text, part) == NULL)
			continue;
		fake_command.v[i].fn = NULL;
		reply = resp != NULL ? parse(resp) : NULL;
		q.fn(q.arg, reply);
		if (reply != NULL)
			freeReplyObject(reply);
		return true;
	}
	return false;
}

static inline void
answer_command(const char *part, const char *resp)
{
	if (!answer_if_asked(part, resp))
		fail_msg("nobody asks %s", part);
}

static inline void
answer_all_commands(void)
{
	while (answer_if_asked("", NULL))
		;
}

/* The stage: one hub, one class of feeds, some clients. A turn of the loop takes a millisecond. */

struct stage {
	uv_loop_t loop;
	struct feed_settings settings;
	struct hub *hub;
	struct feed_class class;
	struct client clients[4];
};

static inline int
set_stage(void **state)
{
	static char comment[] = "";
	struct stage *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -1;
	memset(&fake_command, 0, sizeof(fake_command));
	is_confirmed_before = false;
	place_before = (struct stream_id){0};
	asked[0] = '\0';
	uv_loop_init(&s->loop);
	s->settings = (struct feed_settings){.heartbeat_event = comment,
					     .open_wait_ms = 60000,
					     .history = 100,
					     .queue = 100000,
					     .announce = true};
	if (hub_new(&s->hub, &s->loop, NULL) < 0)
		return -1;
	hub_set_command(s->hub, &fake_command);
	*state = s;
	return 0;
}

/* The settings hold from here on. */
static inline void
begin(struct stage *s, const struct handler *handler)
{
	feed_class_init(&s->class, s->hub, handler, &s->settings,
			feed_kind_of(handler, &s->settings));
}

static inline void
on_class_closed(struct feed_class *fc)
{
	hub_free(fc->hub);
}

/* Nothing is left: of memory sanitizers see that, of what is followed the stage. */
static inline int
strike_stage(void **state)
{
	struct stage *s = *state;
	size_t i;

	for (i = 0; i < 4; i++) {
		if (s->clients[i].sub.ops != NULL)
			subscriber_close(&s->clients[i].sub);
	}
	feed_class_close(&s->class, END_DRAIN, on_class_closed);
	uv_run(&s->loop, UV_RUN_NOWAIT);
	answer_all_commands();
	uv_run(&s->loop, UV_RUN_DEFAULT);
	for (i = 0; i < 16; i++)
		assert_null(followed[i]);
	assert_int_equal(uv_loop_close(&s->loop), 0);
	free(s);
	return 0;
}

static inline void
turn(struct stage *s)
{
	now_ms++;
	uv_run(&s->loop, UV_RUN_NOWAIT);
}

static inline void
pass_ms(struct stage *s, unsigned ms)
{
	for (now_ms += ms - 1; ms > 0; ms = 0)
		turn(s);
	turn(s);
}

static inline struct feed *
get_feed(struct stage *s)
{
	static const struct template_value no_params[] = {{NULL, NULL}};
	struct feed *fd;

	assert_int_equal(feed_get(&fd, &s->class, &wire_event_stream, no_params, NULL), 0);
	return fd;
}

static inline struct client *
join(struct stage *s, size_t n, const char *last_event_id)
{
	struct client *c = &s->clients[n];

	c->room = sizeof(c->got);
	subscriber_init(&c->sub, &client_ops);
	assert_int_equal(feed_join(get_feed(s), &c->sub, "\r\n", 2, last_event_id), 0);
	turn(s);
	return c;
}

/* What it got since the last time: of each event the name, or else the data; of stream- ones both.
 */
static inline void
assert_got(struct stage *s, size_t n, const char *want)
{
	struct client *c = &s->clients[n];
	char seen[4096] = "", *line, *rest = NULL, type[256] = "";

	turn(s);
	assert_true(c->len < sizeof(c->got));
	c->got[c->len] = '\0';
	for (line = strtok_r(c->got, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, "event: ", 7) == 0)
			snprintf(type, sizeof(type), "%s ", line + 7);
		if (strncmp(line, "data: ", 6) != 0)
			continue;
		snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s%s|", type, line + 6);
		type[0] = '\0';
	}
	c->len = 0;
	c->room = sizeof(c->got);
	if (strcmp(seen, want) != 0)
		fail_msg("got \"%s\", not \"%s\"", seen, want);
}

#define STAGED(test) cmocka_unit_test_setup_teardown(test, set_stage, strike_stage)

#endif
