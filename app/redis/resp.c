#include "redis/resp.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"

static int
put_word(struct buf *b, const char *word, size_t len)
{
	int rc;

	if ((rc = buf_printf(b, "$%zu\r\n", len)) < 0 || (rc = buf_put(b, word, len)) < 0)
		return rc;
	return buf_put(b, "\r\n", 2);
}

int
resp_put_command(struct buf *b, int argc, const char *const *argv, const size_t *lens)
{
	size_t before = b->len;
	int i, rc = buf_printf(b, "*%d\r\n", argc);

	for (i = 0; i < argc && rc == 0; i++)
		rc = put_word(b, argv[i], lens != NULL ? lens[i] : strlen(argv[i]));
	if (rc < 0)
		buf_truncate(b, before);
	return rc;
}
