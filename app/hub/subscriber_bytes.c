/*
 * subscriber_bytes.c - which bytes wait for a subscriber, and in which order: the rest of a frame
 * that it has in part, its own bytes, then the log from its cursor on. Nothing here changes
 * anything.
 */
#include "hub/outlet.h"
#include "sse/wire.h"

/* Adds one more piece of what waits, of which at most max bytes are wanted. */
static size_t
put_piece(struct iovec *iov, int *n, const char *p, size_t len, size_t max)
{
	if (len == 0)
		return 0;
	iov[*n].iov_base = (char *)p;
	iov[*n].iov_len = len < max ? len : max;
	return iov[(*n)++].iov_len;
}

size_t
subscriber_gather(const struct subscriber *sub, struct iovec *iov, int *n_iov, size_t max)
{
	int n = 0, n_log;
	size_t total = 0;
	uint64_t to;

	if (sub->is_held || *n_iov == 0) {
		*n_iov = 0;
		return 0;
	}
	if (sub->rest.len > 0)
		total += put_piece(iov, &n, log_piece_bytes(&sub->rest), sub->rest.len, max);
	if (n < *n_iov && total < max)
		total += put_piece(iov, &n, sub->own.p, sub->own.len, max - total);
	if (subscriber_reads_log(sub) && total == sub->rest.len + sub->own.len) {
		to = sub->state == SUBSCRIBER_ENDING ? sub->end_at : sub->outlet->log.end;
		if (to - sub->cursor > max - total)
			to = sub->cursor + (max - total);
		n_log = *n_iov - n;
		total += log_gather(&sub->outlet->log, sub->cursor, to, iov + n, &n_log);
		n += n_log;
	}
	*n_iov = n;
	return total;
}

bool
subscriber_has_bytes(const struct subscriber *sub)
{
	struct iovec iov;
	int n = 1;

	return subscriber_gather(sub, &iov, &n, 1) > 0;
}

size_t
subscriber_n_unsent(const struct subscriber *sub)
{
	return sub->rest.len + sub->own.len +
	       (subscriber_reads_log(sub) ? (size_t)(sub->outlet->log.end - sub->cursor) : 0);
}

const char *
subscriber_filler(const struct subscriber *sub)
{
	return subscriber_is_stream(sub) ? sub->outlet->log.wire->filler : wire_event_stream.filler;
}

int
subscriber_end_filler(struct subscriber *sub)
{
	/* Its own bytes may be younger than the filler: it may have ended with what was before it.
	 */
	return buf_put_first(&sub->own, "\n", 1);
}

bool
subscriber_is_over_after(const struct subscriber *sub, size_t len)
{
	return sub->state == SUBSCRIBER_LAST && len == sub->rest.len + sub->own.len;
}

bool
subscriber_is_finished(const struct subscriber *sub)
{
	return subscriber_is_over_after(sub, 0);
}
