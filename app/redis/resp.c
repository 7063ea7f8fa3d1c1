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

size_t
resp_word_len(struct resp_words words, int n)
{
	return words.lens != NULL ? words.lens[n] : strlen(words.v[n]);
}

int
resp_put_command(struct buf *b, struct resp_words words)
{
	size_t before = b->len;
	int i, rc = put_head(b, '*', (unsigned)words.n);

	for (i = 0; i < words.n && rc == 0; i++)
		rc = put_word(b, words.v[i], resp_word_len(words, i));
	if (rc < 0)
		buf_truncate(b, before);
	return rc;
}
