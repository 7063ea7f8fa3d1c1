#include "logic/batch.h"

#include "base/json_text.h"

void
batch_init(struct batch *b, size_t cap)
{
	buf_init(&b->text, cap);
	b->n = 0;
}

void
batch_fini(struct batch *b)
{
	buf_fini(&b->text);
	b->n = 0;
}

void
batch_clear(struct batch *b)
{
	buf_fini(&b->text);
	b->n = 0;
}

static int
put_data(struct buf *b, const char *data, size_t len)
{
	return json_text_check(data, len, NULL) ? buf_put(b, data, len)
						: json_put_string(b, data, len);
}

int
batch_add(struct batch *b, const char *channel, size_t channel_len, const char *data, size_t len)
{
	size_t before = b->text.len;
	int rc;

	if ((rc = buf_puts(&b->text, b->n == 0 ? "{\"batch\":[" : ",")) < 0 ||
	    (rc = buf_puts(&b->text, "{\"channel\":")) < 0 ||
	    (rc = json_put_string(&b->text, channel, channel_len)) < 0 ||
	    (rc = buf_puts(&b->text, ",\"data\":")) < 0 ||
	    (rc = put_data(&b->text, data, len)) < 0 || (rc = buf_putc(&b->text, '}')) < 0) {
		buf_truncate(&b->text, before);
		return rc;
	}
	b->n++;
	return 0;
}

int
batch_finish(struct batch *b)
{
	return buf_printf(&b->text, "],\"count\":%u}", b->n);
}
