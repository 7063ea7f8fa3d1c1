/*
 * fuzz_query.c - the query string and the path, as any client may send them.
 *
 * Whatever is accepted has no name twice, is clean UTF-8, and was decoded exactly
 * once: encoded anew and decoded again it is the same. Names of one letter count.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "route/query.h"
#include "route/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_round_trip(const char *value)
{
	size_t len = strlen(value), i;
	char *encoded = malloc(len * 3 + 1), *decoded = malloc(len * 3 + 1);

	assert(encoded != NULL && decoded != NULL);
	encoded[0] = '\0';
	for (i = 0; i < len; i++)
		sprintf(encoded + i * 3, "%%%02x", (unsigned char)value[i]);
	assert(query_decode(decoded, encoded, len * 3, '+') == (int)len);
	assert(strcmp(decoded, value) == 0);
	free(encoded);
	free(decoded);
}

static bool
counts(const void *ctx, const char *name)
{
	(void)ctx;
	return name[0] != '\0' && name[1] == '\0';
}

static void
check_query(const char *text)
{
	static struct query q;
	size_t i, k;

	if (query_parse(&q, text, counts, NULL) < 0)
		return;
	for (i = 0; i < q.n; i++) {
		for (k = 0; k < i; k++)
			assert(strcmp(q.pairs[i].name, q.pairs[k].name) != 0);
		check_round_trip(q.pairs[i].name);
		if (q.pairs[i].value != NULL)
			check_round_trip(q.pairs[i].value);
		else
			assert(!counts(NULL, q.pairs[i].name));
	}
}

static void
check_uri(const char *text)
{
	static char method[] = "REQUEST_METHOD=GET";
	static struct request req;
	char *uri = malloc(strlen(text) + sizeof("REQUEST_URI="));
	char *vars[] = {method, uri, NULL};
	struct params params = {.envp = vars};
	const char *why;
	size_t i;

	assert(uri != NULL);
	strcpy(uri, "REQUEST_URI=");
	strcat(uri, text);
	if (request_read(&req, &params, "", &why) == 0) {
		assert(req.path.n > 0);
		for (i = 0; i < req.path.n; i++) {
			assert(strcmp(req.path.at[i], "..") != 0);
			check_round_trip(req.path.at[i]);
		}
	}
	free(uri);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	assert(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	check_query(text);
	check_uri(text);
	free(text);
	return 0;
}
