#include "cli/watch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/closing.h"

enum { CALM_MS = 100, FOLDERS_MAX = 64 };

struct folder {
	uv_fs_event_t event;
	struct watch *of;
	char *path; /* ends with a slash */
};

struct watch {
	uv_loop_t *loop;
	void (*fn)(void *arg);
	void *arg;
	uv_timer_t calm;
	struct folder folders[FOLDERS_MAX];
	size_t n_folders;
	char *files; /* a line each */
	struct closing closing;
};

/* How much of a path is its folder, with the slash. */
static size_t
folder_len(const char *path, size_t len)
{
	const char *slash = memrchr(path, '/', len);

	return slash != NULL ? (size_t)(slash + 1 - path) : 0;
}

static bool
ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), n = strlen(end);

	return len >= n && strcmp(text + len - n, end) == 0;
}

/* Is this a file of the configuration, or could it be a new one that an include names? */
static bool
is_of_files(const struct watch *watch, const char *name)
{
	size_t name_len = strlen(name), len;

	for (const char *p = watch->files; *p != '\0'; p += len + 1) {
		size_t head;

		len = strcspn(p, "\n");
		head = folder_len(p, len);
		if (len - head == name_len && memcmp(p + head, name, name_len) == 0)
			return true;
	}
	return ends_with(name, ".ini");
}

static void
on_calm(uv_timer_t *timer)
{
	struct watch *watch = timer->data;

	watch->fn(watch->arg);
}

static void
on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
	struct folder *folder = event->data;

	(void)events;
	if (status == 0 && name != NULL && is_of_files(folder->of, name))
		uv_timer_start(&folder->of->calm, on_calm, CALM_MS, 0);
}

int
watch_new(struct watch **out, uv_loop_t *loop, void (*fn)(void *arg), void *arg)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL || (watch->files = strdup("")) == NULL) {
		free(watch);
		return -ENOMEM;
	}
	watch->loop = loop;
	watch->fn = fn;
	watch->arg = arg;
	uv_timer_init(loop, &watch->calm);
	watch->calm.data = watch;
	*out = watch;
	return 0;
}

static bool
has_folder(const struct watch *watch, const char *path)
{
	for (size_t i = 0; i < watch->n_folders; i++) {
		if (strcmp(watch->folders[i].path, path) == 0)
			return true;
	}
	return false;
}

/* One that was watched once stays so: what changes there, and is no more ours, says nothing. */
static int
add_folder(struct watch *watch, const char *file, size_t len)
{
	size_t head = folder_len(file, len);
	char *path = head > 0 ? strndup(file, head) : strdup("./");
	struct folder *folder;
	int rc;

	if (path == NULL)
		return -ENOMEM;
	if (has_folder(watch, path)) {
		free(path);
		return 0;
	}
	if (watch->n_folders == FOLDERS_MAX) {
		free(path);
		return -E2BIG;
	}
	folder = &watch->folders[watch->n_folders++];
	folder->of = watch;
	folder->path = path;
	uv_fs_event_init(watch->loop, &folder->event);
	folder->event.data = folder;
	rc = uv_fs_event_start(&folder->event, on_event, path, 0);
	return rc;
}

int
watch_files(struct watch *watch, const char *files)
{
	char *copy = strdup(files);
	size_t len;
	int rc = 0;

	if (copy == NULL)
		return -ENOMEM;
	free(watch->files);
	watch->files = copy;
	for (const char *p = copy; *p != '\0' && rc == 0; p += len + 1) {
		len = strcspn(p, "\n");
		rc = add_folder(watch, p, len);
	}
	return rc;
}

static void
on_closed(struct closing *closing)
{
	struct watch *watch =
	    (struct watch *)(void *)((char *)closing - offsetof(struct watch, closing));

	for (size_t i = 0; i < watch->n_folders; i++)
		free(watch->folders[i].path);
	free(watch->files);
	free(watch);
}

void
watch_free(struct watch *watch)
{
	if (watch == NULL)
		return;
	closing_begin(&watch->closing, on_closed);
	for (size_t i = 0; i < watch->n_folders; i++)
		closing_add(&watch->closing, (uv_handle_t *)&watch->folders[i].event);
	closing_add(&watch->closing, (uv_handle_t *)&watch->calm);
}
