#include "reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/logger.h"

static void
log_lines(char *text)
{
	char *line, *save = NULL;

	for (line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		logger_error("%s", line);
}

struct config *
reload_config(const char *path)
{
	struct config *cfg = NULL;
	char *faults = NULL;
	size_t len;
	FILE *f = open_memstream(&faults, &len);
	int rc;

	if (f == NULL)
		return NULL;
	rc = config_load(&cfg, path, f);
	fclose(f);
	if (rc < 0) {
		log_lines(faults);
		logger_error("%s is refused; the old configuration goes on", path);
		cfg = NULL;
	}
	free(faults);
	return cfg;
}
