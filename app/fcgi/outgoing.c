#include "fcgi/outgoing.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "fcgi/record.h"

enum {
	/* a peer that asks this much without reading the answers is cut off */
	REPLIES_MAX = 262144,
	FILL_MAX = 4096,
	N_PIECES = 60,  /* pieces of a record's content in one sendmsg */
	COPY_MAX = 512, /* a parcel of so many bytes is sent as one piece */
};

void
outgoing_init(struct outgoing *out, int fd)
{
	*out = (struct outgoing){.fd = fd};
	buf_init(&out->replies, REPLIES_MAX);
}

void
outgoing_fini(struct outgoing *out)
{
	buf_fini(&out->replies);
}

static bool
is_mid_record(const struct outgoing *out)
{
	return out->head_left > 0 || out->content_left > 0 || out->padding_left > 0;
}

static void
begin_record(struct outgoing *out, size_t content_len)
{
	record_head(&out->head, FCGI_STDOUT, out->id, content_len);
	out->head_left = FCGI_HEADER_LEN;
	out->content_left = (uint32_t)content_len;
	out->padding_left = out->head.paddingLength;
}

/* One sendmsg while it is composed, and how many bytes each of its parts has. */
struct parcel {
	struct iovec iov[N_PIECES + 6];
	int n_iov;
	size_t total;
	size_t replies, content, filler; /* bytes of them in it */
	bool is_cut;                     /* more content waits than fits into the pieces */
	bool has_trailer;
	struct record_trailer trailer;
};

static void
add(struct parcel *pc, void *p, size_t len)
{
	if (len == 0)
		return;
	pc->iov[pc->n_iov].iov_base = p;
	pc->iov[pc->n_iov++].iov_len = len;
	pc->total += len;
}

static void
add_content(struct outgoing *out, struct subscriber *sub, struct parcel *pc, size_t max)
{
	int n = N_PIECES;

	/* The header stands before the pieces, so one place is left free for it. */
	pc->content = subscriber_gather(sub, pc->iov + pc->n_iov + 1, &n, max);
	if (!is_mid_record(out)) {
		if (pc->content == 0)
			return;
		begin_record(out, pc->content);
	}
	pc->iov[pc->n_iov].iov_base = (char *)&out->head + FCGI_HEADER_LEN - out->head_left;
	pc->iov[pc->n_iov].iov_len = out->head_left;
	pc->n_iov += 1 + n;
	pc->is_cut = n == N_PIECES;
	pc->total += out->head_left + pc->content;
}

/*
 * A slow client may have been moved forward in the log in the middle of a record. The rest of the
 * record is filled with bytes that say nothing in the response.
 */
static void
add_filler(struct outgoing *out, struct subscriber *sub, struct parcel *pc)
{
	static char fill[FILL_MAX];
	size_t owed = out->content_left - pc->content, len, i;
	const char *filler;

	if (owed == 0 || pc->is_cut)
		return;
	filler = subscriber_filler(sub);
	len = strlen(filler);
	pc->filler = owed < FILL_MAX ? owed : FILL_MAX;
	for (i = 0; i < pc->filler; i++)
		fill[i] = filler[i % len];
	add(pc, fill, pc->filler);
}

/*
 * Replies to management records are sent between records, never inside one, and before the next
 * record is begun. A record that was begun must have the length that its header has announced,
 * whatever becomes of the subscriber meanwhile; what is missing is filled with bytes that say
 * nothing.
 */
static void
compose(struct outgoing *out, struct subscriber *sub, struct parcel *pc)
{
	static char padding[8];
	bool is_new = !is_mid_record(out);

	pc->n_iov = 0;
	pc->total = pc->replies = pc->content = pc->filler = 0;
	pc->has_trailer = pc->is_cut = false;
	/* Replies go alone, because a record is begun only if it can be sent. */
	if (is_new && out->replies.len > 0) {
		pc->replies = out->replies.len;
		add(pc, out->replies.p, out->replies.len);
		return;
	}
	if (!out->is_open && is_new)
		return;
	add_content(out, sub, pc, is_new ? RECORD_CONTENT_MAX : out->content_left);
	add_filler(out, sub, pc);
	if (pc->content + pc->filler < out->content_left)
		return;
	add(pc, padding, out->padding_left);
	if (out->is_open && out->replies.len == 0 && subscriber_is_over_after(sub, pc->content)) {
		record_trailer(&pc->trailer, out->id);
		add(pc, &pc->trailer, sizeof(pc->trailer));
		pc->has_trailer = true;
	}
}

static size_t
take_up_to(size_t *sent, size_t max)
{
	size_t n = *sent < max ? *sent : max;

	*sent -= n;
	return n;
}

/*
 * If filler was sent in part, the end of its line belongs to what is sent next, which may be an
 * event, in this record or in another.
 */
static int
end_filler(const struct outgoing *out, struct subscriber *sub, size_t len)
{
	if (len == 0 || !out->is_open || len % strlen(subscriber_filler(sub)) == 0)
		return 0;
	return subscriber_end_filler(sub);
}

/*
 * The first bytes of the parcel have been sent. If the trailer was sent in part, the rest of it
 * becomes a reply, because the response has ended. Returns 0 or -ENOMEM.
 */
static int
account(struct outgoing *out, struct subscriber *sub, const struct parcel *pc, size_t sent)
{
	size_t content, filler;

	buf_consume(&out->replies, take_up_to(&sent, pc->replies));
	out->head_left = (unsigned char)(out->head_left - take_up_to(&sent, out->head_left));
	content = take_up_to(&sent, pc->content);
	if (content > 0)
		subscriber_sent(sub, content);
	filler = take_up_to(&sent, pc->filler);
	out->content_left -= (uint32_t)(content + filler);
	if (out->content_left == 0)
		out->padding_left =
		    (unsigned char)(out->padding_left - take_up_to(&sent, out->padding_left));
	if (!pc->has_trailer || is_mid_record(out))
		return end_filler(out, sub, filler);
	return buf_put(&out->replies, (const char *)&pc->trailer + sent,
		       sizeof(pc->trailer) - sent);
}

/*
 * This is asked after each write, so that in the usual case, in which all has been sent, no record
 * is composed. Bytes that are held back count, too.
 */
static bool
may_have_more(const struct outgoing *out, const struct subscriber *sub)
{
	return is_mid_record(out) || out->replies.len > 0 || subscriber_n_unsent(sub) > 0 ||
	       subscriber_is_over_after(sub, 0);
}

static ssize_t
send_pieces(int fd, struct parcel *pc)
{
	struct msghdr msg = {.msg_iov = pc->iov, .msg_iovlen = (size_t)pc->n_iov};

	return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* A few bytes are copied, for the kernel takes longer over the pieces than the copy takes. */
static ssize_t
send_copy(int fd, const struct parcel *pc)
{
	char bytes[COPY_MAX], *end = bytes;
	int i;

	for (i = 0; i < pc->n_iov; i++)
		end = mempcpy(end, pc->iov[i].iov_base, pc->iov[i].iov_len);
	/* cppcheck-suppress uninitvar; the pieces fill it up to total */
	return send(fd, bytes, pc->total, MSG_NOSIGNAL | MSG_DONTWAIT);
}

enum outgoing_result
outgoing_flush(struct outgoing *out, struct subscriber *sub)
{
	struct parcel pc;
	ssize_t n;

	do {
		compose(out, sub, &pc);
		if (pc.total == 0)
			break;
		n = pc.total <= COPY_MAX ? send_copy(out->fd, &pc) : send_pieces(out->fd, &pc);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? OUTGOING_BLOCKED : OUTGOING_FAILED;
		if (account(out, sub, &pc, (size_t)n) < 0)
			return OUTGOING_FAILED;
		if (pc.has_trailer && !is_mid_record(out))
			return OUTGOING_ENDED;
	} while (may_have_more(out, sub));
	return OUTGOING_ALL;
}
