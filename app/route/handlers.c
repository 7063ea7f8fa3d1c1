#include "route/handlers.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis/subject.h"
#include "route/mux.h"

extern const struct handler relay, poll_handler, wait_handler, queue_handler;
extern const struct handler presence, health, status, metrics;
extern const struct handler notifications, chat, job, dashboard, orders;

static const struct handler *const compiled[] = {
    &relay,  &poll_handler, &wait_handler,  &queue_handler, &mux_handler, &presence,  &health,
    &status, &metrics,      &notifications, &chat,          &job,         &dashboard, &orders,
};

enum { N_COMPILED = sizeof(compiled) / sizeof(compiled[0]) };

/* The handlers that modules have brought. */
static const struct handler **loaded;
static size_t n_loaded;

const struct handler *
handlers_nth(size_t n)
{
	if (n < N_COMPILED)
		return compiled[n];
	return n - N_COMPILED < n_loaded ? loaded[n - N_COMPILED] : NULL;
}

const struct handler *
handlers_find(const char *name)
{
	const struct handler *h;
	size_t n;

	for (n = 0; (h = handlers_nth(n)) != NULL; n++) {
		if (strcmp(h->name, name) == 0)
			return h;
	}
	return NULL;
}

const struct handler *
handlers_of_kind(enum handler_kind kind)
{
	const struct handler *h;
	size_t n;

	for (n = 0; (h = handlers_nth(n)) != NULL && h->kind != kind; n++)
		;
	return h;
}

static bool
is_kind(const char *key)
{
	for (unsigned kind = 0; kind < N_SUBJECT_KINDS; kind++) {
		if (strcmp(subject_traits[kind].key, key) == 0)
			return true;
	}
	return false;
}

static int
add(const struct handler *h, char *why, size_t why_len)
{
	const struct handler *known, **v;

	if (h->name == NULL || (h->open == NULL && h->answer == NULL)) {
		snprintf(why, why_len,
			 "the handler %s has no name, or lacks both open() and answer()",
			 h->name != NULL ? h->name : "?");
		return -EINVAL;
	}
	if ((known = handlers_find(h->name)) == h)
		return 0;
	if (h->follows_only != NULL && !is_kind(h->follows_only)) {
		snprintf(why, why_len, "the handler %s follows \"%s\", which is no kind of subject",
			 h->name, h->follows_only);
		return -EINVAL;
	}
	if (known != NULL) {
		snprintf(why, why_len, "there is a handler \"%s\" already", h->name);
		return -EINVAL;
	}
	if ((v = reallocarray(loaded, n_loaded + 1, sizeof(const struct handler *))) == NULL)
		return -ENOMEM;
	loaded = v;
	loaded[n_loaded++] = h;
	return 0;
}

static int
add_all(const struct handler_module *module, char *why, size_t why_len)
{
	const struct handler *const *h;
	int rc = 0;

	if (module->abi != SLUICE_HANDLER_ABI) {
		snprintf(
		    why, why_len,
		    "it was compiled for handlers of version %u, and this Sluice has version %u: "
		    "compile it anew",
		    module->abi, SLUICE_HANDLER_ABI);
		return -EINVAL;
	}
	for (h = module->handlers; *h != NULL && rc == 0; h++)
		rc = add(*h, why, why_len);
	return rc;
}

int
handlers_load(const char *path, char *why, size_t why_len)
{
	void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct handler_module *module;
	const char *text;

	if (so == NULL) {
		text = dlerror();
		snprintf(why, why_len, "%s", text != NULL ? text : path);
		return -EINVAL;
	}
	if ((module = dlsym(so, "sluice_module")) == NULL) {
		dlclose(so);
		snprintf(why, why_len, "%s is no module: it says no SLUICE_MODULE()", path);
		return -EINVAL;
	}
	/* cppcheck-suppress resourceLeak; it is never closed: its handlers are in use */
	return add_all(module, why, why_len);
}
