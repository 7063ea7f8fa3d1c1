#include "config/mux.h"

#include <stdio.h>
#include <string.h>

#include "base/strings.h"
#include "base/suggest.h"
#include "config/keys.h"

enum { NAME_LEN = 512, WHY_LEN = NAME_LEN + 256 };

static const struct route *
find(struct route *const *routes, size_t n_routes, const char *name)
{
	for (size_t i = 0; i < n_routes; i++) {
		if (strcmp(routes[i]->name, name) == 0)
			return routes[i];
	}
	return NULL;
}

static void
fault_unknown(const struct config_source *src, struct route *const *routes, size_t n_routes,
	      const struct ini_entry *e, const char *name)
{
	char why[WHY_LEN];
	struct suggest s;

	suggest_init(&s, name);
	for (size_t i = 0; i < n_routes; i++) {
		if (route_can_be_carried(routes[i]))
			suggest_try(&s, routes[i]->name);
	}
	if (suggest_best(&s) != NULL)
		snprintf(why, sizeof(why), "there is no route \"%s\"; did you mean \"%s\"?", name,
			 suggest_best(&s));
	else
		snprintf(why, sizeof(why), "there is no route \"%s\"", name);
	config_fault(src, e, why);
}

static void
check_name(const struct config_source *src, struct route *const *routes, size_t n_routes,
	   const struct ini_entry *e, const char *name)
{
	const struct route *rt = find(routes, n_routes, name);
	char why[WHY_LEN];

	if (strcmp(name, "*") == 0)
		return;
	if (rt == NULL) {
		fault_unknown(src, routes, n_routes, e, name);
	} else if (rt->handler != NULL && !route_can_be_carried(rt)) {
		snprintf(why, sizeof(why),
			 "[route %s] cannot be carried: a mux carries streams, no other mux, and a "
			 "queue with ack = client",
			 name);
		config_fault(src, e, why);
	}
}

void
config_mux_check(const struct config_source *src, struct route *const *routes, size_t n_routes,
		 size_t n, size_t section)
{
	const struct ini_entry *e =
	    config_find_entry(src, section, config_key_find(CONFIG_ROUTE, "routes"));
	const struct route *rt = routes[n];

	const char *list = e != NULL ? e->value : "", *name;
	char text[NAME_LEN];
	size_t len;

	if (rt->handler == NULL || rt->handler->kind != HANDLER_MUX)
		return;
	while ((name = strings_next(&list, &len)) != NULL) {
		snprintf(text, sizeof(text), "%.*s", (int)len, name);
		check_name(src, routes, n_routes, e, text);
	}
}
