/*
 * Any bytes as a configuration. It is either refused with at least one line that names the file, or
 * the canonical text of its routes, read as a configuration, comes to the same routes.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static void
read_back(const struct config *cfg)
{
	struct config *again;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	MUST(f != NULL);
	for (size_t i = 0; i < cfg->n_routes; i++)
		fprintf(f, "[route %s]\n%s", cfg->routes[i]->name, cfg->routes[i]->source);
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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *cfg;

	/* Other files are not part of the input. */
	if (memmem(data, size, "include", 7) != NULL || memmem(data, size, "INCLUDE", 7) != NULL)
		return 0;
	if ((cfg = load(data, size)) != NULL && !has_long_line(cfg))
		read_back(cfg);
	config_free(cfg);
	return 0;
}
