/*
 * fuzz_names.c - any bytes as a Lua text, in memory that ends where they end.
 *
 * What is told are names of the text, in order, each in its line; and a comment put before it
 * changes nothing but the lines.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "logic/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COMMENT "--[=[ ]] ' \n]=] -- \"\r\n"

struct seen {
	const char *text, *end, *last;
	unsigned last_line, max_line;
	size_t n_free, n_params, sum; /* sum of the places, to compare two walks */
};

static void
check_name(const char *name, size_t len)
{
	static const char letters[] =
	    "_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t i;

	assert(len > 0 && strchr("0123456789", *name) == NULL);
	for (i = 0; i < len; i++)
		assert(memchr(letters, name[i], sizeof(letters) - 1) != NULL);
}

static int
on_free(void *ctx, const char *name, size_t len, unsigned line)
{
	struct seen *seen = ctx;

	assert(name >= seen->text && len <= (size_t)(seen->end - name));
	assert(seen->last == NULL || name > seen->last);
	assert(line >= seen->last_line && line <= seen->max_line);
	check_name(name, len);
	seen->last = name;
	seen->last_line = line;
	seen->n_free++;
	seen->sum += (size_t)(seen->end - name);
	return 0;
}

static int
on_param(void *ctx, const char *name, size_t len)
{
	struct seen *seen = ctx;

	seen->n_params++;
	if (name == NULL)
		return 0;
	assert(len > 0 && name >= seen->text && len <= (size_t)(seen->end - name));
	seen->sum += (size_t)(seen->end - name) * 3;
	return 0;
}

static struct seen
walk(const char *before, const uint8_t *data, size_t size)
{
	static const struct names_ops ops = {.on_free = on_free, .on_param = on_param};
	size_t n = strlen(before), i;
	char *text = malloc(n + size > 0 ? n + size : 1);
	struct seen seen = {text, NULL, NULL, 1, 1, 0, 0, 0};

	assert(text != NULL);
	seen.end = text + n + size;
	memcpy(text, before, n);
	if (size > 0)
		memcpy(text + n, data, size);
	for (i = 0; i < n + size; i++)
		seen.max_line += text[i] == '\n' || text[i] == '\r';
	assert(names_walk(text, n + size, &ops, &seen) == 0);
	free(text);
	return seen;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen plain = walk("", data, size), behind = walk(COMMENT, data, size);

	assert(plain.n_free == behind.n_free && plain.n_params == behind.n_params);
	assert(plain.sum == behind.sum);
	return 0;
}
