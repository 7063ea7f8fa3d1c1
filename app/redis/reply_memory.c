#include "redis/reply_memory.h"

#include <hiredis.h>
#include <stdlib.h>
#include <string.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1 /* as GCC says it */
#endif
#endif

/*
 * Most replies fit into one piece, which is kept: then no reply needs an allocation. With the
 * sanitizer each element has a piece of its own, so that reading beyond one, or too late, is found.
 */
enum {
#ifdef __SANITIZE_ADDRESS__
	PIECE_SIZE = 1,
#else
	PIECE_SIZE = 8 * 1024,
#endif
	/* hiredis would make an array of any length that is announced */
	ELEMENTS_MAX = 1024 * 1024,
	DEPTH_MAX = 128, /* and since 1.0 of any depth, through which we go by recursion */
};

struct reply_piece {
	struct reply_piece *next;
	size_t size;
	_Alignas(max_align_t) char bytes[];
};

static size_t
aligned(size_t size)
{
	return (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
}

void
reply_memory_init(struct reply_memory *m)
{
	*m = (struct reply_memory){0};
}

/* Gives back the memory of a large reply; the first piece is kept for the next one. */
void
reply_memory_empty(struct reply_memory *m)
{
	struct reply_piece *piece, *kept = NULL;

	while ((piece = m->pieces) != NULL) {
		m->pieces = piece->next;
		if (kept == NULL && piece->size == PIECE_SIZE)
			kept = piece;
		else
			free(piece);
	}
	if (kept != NULL)
		kept->next = NULL;
	m->pieces = kept;
	m->used = m->n_elements = 0;
}

void
reply_memory_fini(struct reply_memory *m)
{
	reply_memory_empty(m);
	free(m->pieces);
	m->pieces = NULL;
}

static int
add_piece(struct reply_memory *m, size_t size)
{
	struct reply_piece *piece;

	if (size < PIECE_SIZE)
		size = PIECE_SIZE;
	if ((piece = malloc(sizeof(*piece) + size)) == NULL)
		return -1;
	piece->size = size;
	piece->next = m->pieces;
	m->pieces = piece;
	m->used = 0;
	return 0;
}

static void *
take(struct reply_memory *m, size_t size)
{
	void *taken;

	size = aligned(size);
	if ((m->pieces == NULL || m->pieces->size - m->used < size) && add_piece(m, size) < 0)
		return NULL;
	taken = m->pieces->bytes + m->used;
	m->used += size;
	return taken;
}

/* What hiredis calls */

static redisReply *
make(const redisReadTask *task, int type, size_t n_more)
{
	redisReply *reply = take(task->privdata, sizeof(*reply) + n_more), *parent;

	if (reply == NULL)
		return NULL;
	memset(reply, 0, sizeof(*reply));
	reply->type = type;
	if (task->parent != NULL) {
		parent = task->parent->obj;
		parent->element[task->idx] = reply;
	}
	return reply;
}

/* A string stands behind its reply. */
static void *
make_text(const redisReadTask *task, char *text, size_t len)
{
	redisReply *reply = make(task, task->type, len + 1);

	if (reply == NULL)
		return NULL;
	reply->str = (char *)(reply + 1);
	memcpy(reply->str, text, len);
	reply->str[len] = '\0';
	reply->len = len;
	return reply;
}

#if HIREDIS_MAJOR >= 1
#define N_ELEMENTS size_t
#else
#define N_ELEMENTS int
#endif

static bool
is_too_deep(const redisReadTask *task)
{
	int depth = 0;

	while ((task = task->parent) != NULL && depth < DEPTH_MAX)
		depth++;
	return depth == DEPTH_MAX;
}

static void *
make_array(const redisReadTask *task, N_ELEMENTS n)
{
	struct reply_memory *m = task->privdata;
	redisReply *reply;

	m->n_elements += (size_t)n;
	if (reply_memory_has_too_many(m) || is_too_deep(task) ||
	    (reply = make(task, task->type, (size_t)n * sizeof(redisReply *))) == NULL)
		return NULL;
	reply->elements = (size_t)n;
	if (n > 0) {
		reply->element = (redisReply **)(reply + 1);
		memset(reply->element, 0, (size_t)n * sizeof(redisReply *));
	}
	return reply;
}

static void *
make_integer(const redisReadTask *task, long long value)
{
	redisReply *reply = make(task, REDIS_REPLY_INTEGER, 0);

	if (reply != NULL)
		reply->integer = value;
	return reply;
}

static void *
make_nil(const redisReadTask *task)
{
	return make(task, REDIS_REPLY_NIL, 0);
}

#if HIREDIS_MAJOR >= 1
/*
 * A type of RESP3, for which nobody has asked: code that gets one finds a type that it does not
 * know.
 */
static void *
make_double(const redisReadTask *task, double value, char *text, size_t len)
{
	(void)value;
	return make_text(task, text, len);
}

static void *
make_bool(const redisReadTask *task, int value)
{
	redisReply *reply = make_integer(task, value);

	if (reply != NULL)
		reply->type = REDIS_REPLY_BOOL;
	return reply;
}
#endif

static void
free_nothing(void *reply)
{
	(void)reply;
}

void
reply_memory_serve(struct reply_memory *m, struct redisReader *reader)
{
	static redisReplyObjectFunctions makers = {
		.createString = make_text,
		.createArray = make_array,
		.createInteger = make_integer,
		.createNil = make_nil,
#if HIREDIS_MAJOR >= 1
		.createDouble = make_double,
		.createBool = make_bool,
#endif
		.freeObject = free_nothing
	};

	reply_memory_empty(m);
	reader->fn = &makers;
	reader->privdata = m;
}

bool
reply_memory_has_too_many(const struct reply_memory *m)
{
	return m->n_elements > ELEMENTS_MAX;
}
