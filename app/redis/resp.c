#include "redis/resp.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"

/* "*" and the number of words, or "$" and the length of one. */
static int
put_head(struct buf *b, char type, uint64_t n)
{
	int rc;

	if ((rc = buf_putc(b, type)) < 0 || (rc = buf_put_number(b, n)) < 0)
		return rc;
	return buf_puts(b, "\r\n");
}

static int
put_word(struct buf *b, const char *word, size_t len)
{
	int rc;

	if ((rc = put_head(b, '$', len)) < 0 || (rc = buf_put(b, word, len)) < 0)
		return rc;
	return buf_puts(b, "\r\n");
}

int
resp_put_command(struct buf *b, int argc, const char *const *argv, const size_t *lens)
{
	size_t before = b->len;
	int i, rc = put_head(b, '*', (unsigned)argc);

	for (i = 0; i < argc && rc == 0; i++)
		rc = put_word(b, argv[i], lens != NULL ? lens[i] : strlen(argv[i]));
	if (rc < 0)
		buf_truncate(b, before);
	return rc;
}
