#include "logic/rendering.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_KEPT = 1024 * 1024 };

void
rendering_init(struct rendering *r)
{
	memset(r, 0, sizeof(*r));
	buf_init(&r->bytes, RENDERING_BYTES_MAX);
}

void
rendering_fini(struct rendering *r)
{
	buf_fini(&r->bytes);
	free(r->v);
	r->v = NULL;
	r->n = r->alloc = 0;
}

void
rendering_clear(struct rendering *r)
{
	if (r->bytes.alloc > BYTES_KEPT)
		buf_fini(&r->bytes);
	buf_truncate(&r->bytes, 0);
	r->n = 0;
	r->ends = false;
	r->after_ms = 0;
}

int
rendering_add(struct rendering *r, size_t at, const char *type, size_t type_len)
{
	struct rendered ev = {.at = at, .len = r->bytes.len - at, .has_type = type != NULL};
	struct rendered *v;
	int rc;

	if (r->n == RENDERING_EVENTS_MAX)
		return -E2BIG;
	if (r->n == r->alloc) {
		if ((v = reallocarray(r->v, r->alloc + 8, sizeof(*v))) == NULL)
			return -ENOMEM;
		r->v = v;
		r->alloc += 8;
	}
	ev.type_at = r->bytes.len;
	ev.type_len = type_len;
	if (type != NULL && (rc = buf_put(&r->bytes, type, type_len)) < 0)
		return rc;
	r->v[r->n++] = ev;
	return 0;
}

const char *
rendering_at(const struct rendering *r, size_t at)
{
	return r->bytes.p != NULL ? r->bytes.p + at : "";
}
