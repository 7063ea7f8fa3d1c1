/*
 * routes.c - the routes as the program understands them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/subcommand.h"
#include "cli/effective.h"
#include "cli/sharing.h"
#include "config/config.h"

enum column { COLUMN_NAME, COLUMN_PATH, COLUMN_HANDLER, COLUMN_FROM, COLUMN_SHARED, N_COLUMNS };

struct route_row {
	char *cells[N_COLUMNS];
};

/* Append text to the cell, which grows. Returns 0, -1. */
static int
add(char **cell, const char *text)
{
	char *longer;

	if (asprintf(&longer, "%s%s", *cell != NULL ? *cell : "", text) < 0)
		return -1;
	free(*cell);
	*cell = longer;
	return 0;
}

static int
add_from(char **cell, const struct route *rt)
{
	int rc = 0;

	for (size_t i = 0; i < N_SUBJECT_KINDS && rc == 0; i++) {
		const char *key = subject_traits[i].key;
		char *value = effective_value(rt, key);

		if (value == NULL || strcmp(value, "\"\"") == 0) {
			free(value);
			continue;
		}
		if (*cell != NULL)
			rc = add(cell, "; ");
		if (rc < 0 || add(cell, key) < 0 || add(cell, " ") < 0 || add(cell, value) < 0)
			rc = -1;
		free(value);
	}
	return *cell == NULL && rc == 0 ? add(cell, "-") : rc;
}

static int
add_shared(char **cell, const struct route *rt)
{
	char text[SHARING_TEXT];

	return add(cell, sharing_text(rt, text));
}

static int
fill_row(struct route_row *row, const struct route *rt, const char *base)
{
	char **c = row->cells;

	if (add(&c[COLUMN_NAME], rt->name) < 0 || add(&c[COLUMN_PATH], base) < 0 ||
	    add(&c[COLUMN_PATH], path_text(rt->path)) < 0 ||
	    add(&c[COLUMN_HANDLER], rt->handler->name) < 0 || add_from(&c[COLUMN_FROM], rt) < 0 ||
	    add_shared(&c[COLUMN_SHARED], rt) < 0)
		return -1;
	return 0;
}

static void
print_row(const char *const *cells, const size_t *widths)
{
	for (int c = 0; c < N_COLUMNS - 1; c++)
		printf("%-*s  ", (int)widths[c], cells[c]);
	printf("%s\n", cells[N_COLUMNS - 1]);
}

static int
print_routes(const struct config *cfg)
{
	static const char *const titles[N_COLUMNS] = {"ROUTE", "PATH", "HANDLER", "FROM",
						      "SHARED BY"};
	struct route_row *rows = calloc(cfg->n_routes, sizeof(*rows));
	size_t widths[N_COLUMNS];
	int rc = rows != NULL ? 0 : -1;

	for (int c = 0; c < N_COLUMNS; c++)
		widths[c] = strlen(titles[c]);
	for (size_t i = 0; i < cfg->n_routes && rc == 0; i++) {
		rc = fill_row(&rows[i], cfg->routes[i], cfg->server.base);
		for (int c = 0; c < N_COLUMNS && rc == 0; c++) {
			if (strlen(rows[i].cells[c]) > widths[c])
				widths[c] = strlen(rows[i].cells[c]);
		}
	}
	if (rc == 0) {
		print_row(titles, widths);
		for (size_t i = 0; i < cfg->n_routes; i++) {
			print_row((const char *const *)rows[i].cells, widths);
			effective_print(cfg->routes[i]);
		}
	}
	for (size_t i = 0; rows != NULL && i < cfg->n_routes; i++) {
		for (int c = 0; c < N_COLUMNS; c++)
			free(rows[i].cells[c]);
	}
	free(rows);
	return rc;
}

static int
run(const struct options *opt, char **args)
{
	struct config *cfg;
	int status = 0;

	(void)args;
	if (config_load(&cfg, opt->config, stderr) < 0)
		return 1;
	if (print_routes(cfg) < 0) {
		fputs("sluice routes: out of memory\n", stderr);
		status = 1;
	}
	config_free(cfg);
	return status;
}

const struct subcommand routes_command = {
    .name = "routes",
    .synopsis = "[-c FILE]",
    .help = "Prints each route: its path, its handler, what it follows in Redis, which subscribers "
	    "share\n"
	    "one feed, and every setting that is not as it would be without the configuration.\n",
    .takes = "c",
    .run = run,
};
