#include "redis/keyspace.h"

#include <stdio.h>
#include <string.h>

#define GLOB "*?[\\"

/* All classes of operations; a Redis that has all of them set says "A". */
static const char classes[] = "g$lshzxetd";

enum { FLAGS_MAX = 32 };

bool
keyspace_is_pattern(const char *key)
{
	return strpbrk(key, GLOB) != NULL;
}

int
keyspace_put_escaped(struct buf *b, const char *text)
{
	int rc = 0;

	for (; rc == 0 && *text != '\0'; text++) {
		if (strchr(GLOB, *text) != NULL)
			rc = buf_putc(b, '\\');
		if (rc == 0)
			rc = buf_putc(b, *text);
	}
	return rc;
}

int
keyspace_name(struct buf *b, int db, const char *prefix, const char *key, size_t *head)
{
	size_t begin = b->len;
	int rc;

	if ((rc = buf_printf(b, "__keyspace@%d__:", db)) < 0)
		return rc;
	*head = b->len - begin + strlen(prefix);
	rc = keyspace_is_pattern(key) ? keyspace_put_escaped(b, prefix) : buf_puts(b, prefix);
	if (rc < 0 || (rc = buf_puts(b, key)) < 0)
		return rc;
	return buf_putc(b, '\0');
}

const char *
keyspace_key(const char *name, size_t *len)
{
	static const char space[] = "__keyspace@", event[] = "__keyevent@";
	size_t head = sizeof(space) - 1;
	const char *at;

	if (*len < head || (memcmp(name, space, head) != 0 && memcmp(name, event, head) != 0) ||
	    (at = memmem(name, *len, "__:", 3)) == NULL)
		return NULL;
	at += 3;
	*len = memcmp(name, space, head) == 0 ? *len - (size_t)(at - name) : 0;
	return at;
}

static void
add_flag(char *flags, char flag)
{
	size_t n = strlen(flags);

	if (n + 1 < FLAGS_MAX && strchr(flags, flag) == NULL) {
		flags[n] = flag;
		flags[n + 1] = '\0';
	}
}

bool
keyspace_fault(const char *flags, char *text, size_t len)
{
	char lacks[FLAGS_MAX] = "", wanted[FLAGS_MAX] = "KA";
	bool has_any = strpbrk(flags, classes) != NULL;

	if (strchr(flags, 'K') == NULL)
		add_flag(lacks, 'K');
	if (strchr(flags, 'A') == NULL && !has_any)
		add_flag(lacks, 'A');
	for (const char *c = classes; strchr(flags, 'A') == NULL && has_any && *c != '\0'; c++) {
		if (strchr(flags, *c) == NULL)
			add_flag(lacks, *c);
	}
	for (; *flags != '\0'; flags++) { /* flags that others have set stay */
		if (strchr(classes, *flags) == NULL)
			add_flag(wanted, *flags);
	}
	snprintf(text, len,
		 "notify-keyspace-events lacks %s, so not all that becomes of keys is told: "
		 "CONFIG SET notify-keyspace-events %s",
		 lacks, wanted);
	return *lacks != '\0';
}
