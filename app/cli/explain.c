#include "cli/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/effective.h"
#include "cli/sharing.h"
#include "route/request.h"

enum { PARAMS_MAX = 64, TEXT_MAX = 8192 };

/* A request that nobody has made. */
struct explained {
	char *vars[4];
	struct params params;
	struct request req;
	struct route *rt;
	/*
	 * The values for the templates: for the user and for parameters that the request lacks, the
	 * name in braces.
	 */
	struct template_value values[PARAMS_MAX + 1];
	char braces[PARAMS_MAX][128];
};

static void
add_value(struct explained *ex, size_t *n, const char *name)
{
	const char *value = request_raw_param(&ex->req, name);

	if (*n == PARAMS_MAX || template_find(ex->values, name) != NULL)
		return;
	snprintf(ex->braces[*n], sizeof(ex->braces[*n]), "{%s}", name);
	ex->values[*n].name = name;
	ex->values[*n].value = value != NULL ? value : ex->braces[*n];
	(*n)++;
}

static void
print_params(struct explained *ex)
{
	const char *name, *value;

	for (size_t i = 0; (name = ex->values[i].name) != NULL; i++) {
		value = ex->values[i].value;
		if (*name == '?' || identity_is_name(name))
			continue;
		if (value == ex->braces[i])
			printf("  %-14s {%s}: the query does not have it\n", "parameter", name);
		else if (route_param_ok(ex->rt, name, value))
			printf("  %-14s %s = %s\n", "parameter", name, value);
		else
			printf("  %-14s %s = %s: refused, for its rule is %s\n", "parameter", name,
			       value, route_rule_text(ex->rt, name));
	}
}

static void
print_list(const struct explained *ex, const char *title, struct template *const *list)
{
	const struct template_scope scope = {.params = ex->values, .channel = ""};
	struct buf b;

	buf_init(&b, TEXT_MAX);
	for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
		buf_truncate(&b, 0);
		if (template_expand(list[i], &scope, &b) == 0)
			printf("  %-14s %.*s\n", title, (int)b.len, b.len > 0 ? b.p : "");
	}
	buf_fini(&b);
}

static void
print_stages(const struct route *rt)
{
	const struct stages *st = &rt->stream.stages;
	char text[SHARING_TEXT];
	const char *name;

	if (rt->handler->message != NULL)
		printf("  %-14s %s\n", "message", "looked at by the handler");
	for (size_t n = 0; (name = stages_name(st, n)) != NULL; n++)
		printf("  %-14s %s\n", "stage", name);
	printf("  %-14s %s\n", "shared by", sharing_text(rt, text));
}

static void
print_limit(const char *name, uint64_t n)
{
	if (n > 0)
		printf("  %-14s %s = %llu\n", "limit", name, (unsigned long long)n);
}

static void
print(struct explained *ex, const char *path)
{
	const struct route *rt = ex->rt;
	char *auth = effective_value(rt, "auth");

	printf("%s: [route %s]\n", path, rt->name);
	printf("  %-14s %s\n", "path", path_text(rt->path));
	printf("  %-14s %s\n", "handler", rt->handler->name);
	printf("  %-14s %s\n", "methods", route_methods(rt));
	printf("  %-14s %s\n", "auth", auth != NULL ? auth : "none");
	print_params(ex);
	for (size_t i = 0; i < N_SUBJECT_KINDS; i++)
		print_list(ex, subject_traits[i].title, rt->subjects[i]);
	print_list(ex, "publishes to", (struct template *const[]){rt->publish.channel, NULL});
	print_list(ex, "publishes to", (struct template *const[]){rt->publish.stream, NULL});
	print_stages(rt);
	print_limit("max_subscribers", rt->max_subscribers);
	print_limit("max_per_user", rt->max_per_user);
	print_limit("max_per_ip", rt->max_per_ip);
	puts("  settings that are not as they would be without the configuration:");
	effective_print(rt);
	free(auth);
}

static struct route *
match(struct request *req, const struct config *cfg)
{
	for (size_t i = 0; i < cfg->n_routes; i++) {
		if (request_match(req, cfg->routes[i]))
			return cfg->routes[i];
	}
	return NULL;
}

bool
explain_is_served(const struct config *cfg, const char *path)
{
	static const struct identity nobody;
	struct explained *ex = calloc(1, sizeof(*ex));
	const char *why;
	bool is = false;

	if (ex != NULL && asprintf(&ex->vars[1], "REQUEST_URI=%s", path) >= 0) {
		ex->vars[0] = (char *)"REQUEST_METHOD=GET";
		ex->params.envp = ex->vars;
		ex->req.identity = &nobody;
		is = request_read(&ex->req, &ex->params, cfg->server.base, &why) == 0 &&
		     match(&ex->req, cfg) != NULL;
		free(ex->vars[1]);
	}
	free(ex);
	return is;
}

/* Returns the route that serves the request. If there is none it prints why, and returns NULL. */
static struct route *
find(struct explained *ex, const struct config *cfg, const char *path)
{
	const char *why = NULL;
	struct route *rt;

	if (request_read(&ex->req, &ex->params, cfg->server.base, &why) != 0) {
		fprintf(stderr, "sluice check: %s: %s\n", path,
			why != NULL ? why : "it does not begin with the base");
		return NULL;
	}
	if ((rt = match(&ex->req, cfg)) == NULL)
		fprintf(stderr, "sluice check: no route serves %s; \"sluice routes\" lists them\n",
			path);
	return rt;
}

int
explain_path(const struct config *cfg, const char *path)
{
	static const struct identity nobody;
	struct explained *ex = calloc(1, sizeof(*ex));
	const char *base = cfg->server.base, *name;
	size_t len = strlen(base), n = 0;
	int status = 1;

	if (strncmp(path, base, len) == 0 && (path[len] == '/' || path[len] == '\0'))
		base = "";
	if (ex == NULL || asprintf(&ex->vars[1], "REQUEST_URI=%s%s", base, path) < 0 ||
	    asprintf(&ex->vars[2], "QUERY_STRING=%s",
		     strchr(path, '?') != NULL ? strchr(path, '?') + 1 : "") < 0) {
		fputs("sluice check: out of memory\n", stderr);
	} else {
		ex->vars[0] = (char *)"REQUEST_METHOD=GET";
		ex->params.envp = ex->vars;
		ex->req.identity = &nobody;
		ex->rt = find(ex, cfg, path);
	}
	if (ex != NULL && ex->rt != NULL) {
		(void)request_read_query(&ex->req, NULL);
		for (size_t i = 0; (name = route_named_param(ex->rt, i)) != NULL; i++)
			add_value(ex, &n, name);
		print(ex, path);
		status = 0;
	}
	if (ex != NULL) {
		free(ex->vars[1]);
		free(ex->vars[2]);
	}
	free(ex);
	return status;
}
