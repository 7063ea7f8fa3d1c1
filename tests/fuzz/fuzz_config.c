/*
 * Any bytes as a configuration. It is either refused with at least one line that names the file, or
 * the canonical text of its routes, read as a configuration, comes to the same routes.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			abort(); \
		} \
	} while (0)

/* The configuration of these bytes, or NULL if it is refused. */
static struct config *
load(const void *data, size_t size)
{
	struct config *cfg = NULL;
	char path[64], *said = NULL;
	size_t said_len;
	FILE *f = open_memstream(&said, &said_len);
	int fd = memfd_create("config", MFD_CLOEXEC), rc;

	MUST(f != NULL && fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = config_load(&cfg, path, f);
	close(fd);
	fclose(f);
	if (rc == 0) {
		MUST(said_len == 0 && cfg != NULL && cfg->n_routes > 0);
	} else {
		MUST(cfg == NULL && said_len > 0 && said[said_len - 1] == '\n');
		for (const char *line = said; *line != '\0'; line = strchr(line, '\n') + 1)
			MUST(strncmp(line, path, strlen(path)) == 0);
	}
	free(said);
	return cfg;
}

/* Does the text have this line, with its line end? */
static int
has_line(const char *text, const char *line, size_t len)
{
	for (; *text != '\0'; text += strcspn(text, "\n") + 1) {
		if (strncmp(text, line, len) == 0)
			return 1;
	}
	return 0;
}

/*
 * The lines of a route that are not there by default. A section may say only what has an effect,
 * so the others cannot be read as if they were written.
 */
static void
put_own(FILE *f, const struct route *rt)
{
	static const char plain[] = "[route plain]\npath = /plain\nchannels = plain\n";
	struct config *defaults = load(plain, sizeof(plain) - 1);
	const char *line, *next;

	MUST(defaults != NULL);
	fprintf(f, "[route %s]\n", rt->name);
	for (line = rt->source; *line != '\0'; line = next) {
		next = line + strcspn(line, "\n") + 1;
		if (strncmp(line, "path ", 5) == 0 || strncmp(line, "channels ", 9) == 0 ||
		    !has_line(defaults->routes[0]->source, line, (size_t)(next - line)))
			fwrite(line, 1, (size_t)(next - line), f);
	}
	config_free(defaults);
}

static void
read_back(const struct config *cfg)
{
	struct config *again;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	MUST(f != NULL);
	for (size_t i = 0; i < cfg->n_routes; i++)
		put_own(f, cfg->routes[i]);
	fclose(f);
	again = load(text, len);
	MUST(again != NULL && again->n_routes == cfg->n_routes);
	for (size_t i = 0; i < cfg->n_routes; i++) {
		MUST(strcmp(again->routes[i]->name, cfg->routes[i]->name) == 0);
		MUST(strcmp(again->routes[i]->source, cfg->routes[i]->source) == 0);
	}
	config_free(again);
	free(text);
}

/* Blanks and quotes that are added can make a line too long that was not. */
static int
has_long_line(const struct config *cfg)
{
	for (size_t i = 0; i < cfg->n_routes; i++) {
		const char *p = cfg->routes[i]->source;

		for (; *p != '\0'; p += strcspn(p, "\n") + 1) {
			if (strcspn(p, "\n") > 1000)
				return 1;
		}
	}
	return 0;
}

/* In whatever case. */
static int
has_word(const uint8_t *data, size_t size, const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i + len <= size; i++) {
		if (strncasecmp((const char *)data + i, word, len) == 0)
			return 1;
	}
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *cfg;

	/* Other files are not part of the input. */
	if (memmem(data, size, "include", 7) != NULL || memmem(data, size, "INCLUDE", 7) != NULL)
		return 0;
	cfg = load(data, size);
	/* What stands in [defaults] need not have an effect on each route, so it is not the
	 * route's. */
	if (cfg != NULL && !has_long_line(cfg) && !has_word(data, size, "default"))
		read_back(cfg);
	config_free(cfg);
	return 0;
}
