#include "fcgi/decode.h"

#include <errno.h>
#include <fcgiapp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct decoder {
	int fd; /* a memfd, whose content is map */
	char *map, *body;
	size_t map_len, body_max;
	FCGX_Request request;
};

/*
 * FCGX_Init installs handlers for SIGPIPE, SIGUSR1 and SIGTERM, even where they are ignored; then
 * TERM would only set a flag that nobody reads.
 */
static int
begin_libfcgi(void)
{
	static const int signals[] = {SIGPIPE, SIGUSR1, SIGTERM};
	struct sigaction old[3];
	int i, rc;

	for (i = 0; i < 3; i++)
		sigaction(signals[i], NULL, &old[i]);
	rc = FCGX_Init();
	for (i = 0; i < 3; i++)
		sigaction(signals[i], &old[i], NULL);
	return rc == 0 ? 0 : -EIO;
}

/*
 * The most bytes that a stream of a request takes as records: header and padding are 16 bytes for
 * each.
 */
static size_t
space_for(size_t len)
{
	return len + 16 * (len / RECORD_CONTENT_MAX + 2);
}

static int
open_file(struct decoder *d)
{
	void *map;

	if ((d->fd = memfd_create("request", MFD_CLOEXEC)) < 0)
		return -errno;
	if (ftruncate(d->fd, (off_t)d->map_len) < 0)
		return -errno;
	map = mmap(NULL, d->map_len, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	d->map = map;
	return 0;
}

static void
close_file(struct decoder *d)
{
	if (d->map != NULL)
		munmap(d->map, d->map_len);
	if (d->fd >= 0)
		close(d->fd);
	d->map = NULL;
	d->fd = -1;
}

int
decode_open(struct decoder **out, const struct record_limits *limits)
{
	struct decoder *d = calloc(1, sizeof(*d));
	int rc = -ENOMEM;

	if (d == NULL)
		return rc;
	d->fd = -1;
	d->body_max = limits->body_max;
	d->map_len = sizeof(FCGI_BeginRequestRecord) + space_for(limits->params_max) +
		     space_for(limits->body_max);
	if ((d->body = malloc(limits->body_max + 1)) == NULL || (rc = begin_libfcgi()) < 0 ||
	    (rc = open_file(d)) < 0)
		goto fail;
	*out = d;
	return 0;
fail:
	decode_close(d);
	return rc;
}

void
decode_close(struct decoder *d)
{
	if (d == NULL)
		return;
	close_file(d);
	free(d->body);
	free(d);
}

static size_t
record_len(size_t len)
{
	return sizeof(FCGI_Header) + len + record_padding(len);
}

/* What put_stream() takes. */
static size_t
stream_len(const struct buf *b)
{
	size_t rest = b->len % RECORD_CONTENT_MAX;

	return b->len / RECORD_CONTENT_MAX * record_len(RECORD_CONTENT_MAX) +
	       (rest > 0 ? record_len(rest) : 0) + record_len(0);
}

static char *
put_record(char *at, unsigned char type, const char *p, size_t len)
{
	FCGI_Header head;

	record_head(&head, type, 1, len);
	memcpy(at, &head, sizeof(head));
	if (len > 0)
		memcpy(at + sizeof(head), p, len);
	return at + record_len(len);
}

static char *
put_stream(char *at, unsigned char type, const struct buf *b)
{
	size_t done, len;

	for (done = 0; done < b->len; done += len) {
		len = b->len - done < RECORD_CONTENT_MAX ? b->len - done : RECORD_CONTENT_MAX;
		at = put_record(at, type, b->p + done, len);
	}
	return put_record(at, type, NULL, 0);
}

/*
 * KEEP_CONN makes libfcgi leave the descriptor open. The request stands at the end of the file,
 * because libfcgi asks for 8 KiB at a time and the kernel copies what there is. Returns where it
 * begins.
 */
static off_t
write_request(struct decoder *d, const struct record_request *rq)
{
	static const FCGI_BeginRequestBody begin = {.roleB0 = FCGI_RESPONDER,
						    .flags = FCGI_KEEP_CONN};
	size_t from = d->map_len - sizeof(FCGI_BeginRequestRecord) - stream_len(&rq->params) -
		      stream_len(&rq->body);
	char *at = d->map + from;

	at = put_record(at, FCGI_BEGIN_REQUEST, (const char *)&begin, sizeof(begin));
	at = put_stream(at, FCGI_PARAMS, &rq->params);
	put_stream(at, FCGI_STDIN, &rq->body);
	return (off_t)from;
}

/*
 * The descriptor is set in the request, so that libfcgi does not accept() one. This field and
 * keepConnection belong to a public struct that libfcgi's header asks to leave alone; they are the
 * same in all versions from 2.4.2 to 2.4.7.
 */
static int
accept_request(struct decoder *d)
{
	FCGX_InitRequest(&d->request, -1, 0);
	d->request.ipcFd = d->fd;
	d->request.keepConnection = 1;
	FCGX_Detach(&d->request); /* so that it does not wait for a peer, if it must close */
	if (FCGX_Accept_r(&d->request) == 0)
		return 0;
	d->fd = -1; /* libfcgi has closed it */
	close_file(d);
	return -EIO;
}

int
decode_request(struct decoder *d, const struct record_request *rq, struct params *params,
	       const char **body, size_t *body_len)
{
	int n;

	if (d->fd < 0) {
		if (open_file(d) < 0) {
			close_file(d);
			return -EIO;
		}
	}
	if (lseek(d->fd, write_request(d, rq), SEEK_SET) < 0 || accept_request(d) < 0)
		return -EIO;
	n = FCGX_GetStr(d->body, (int)d->body_max + 1, d->request.in);
	if (n < 0 || (size_t)n != rq->body.len || FCGX_GetError(d->request.in) != 0) {
		decode_done(d);
		return -EIO;
	}
	params->envp = d->request.envp;
	*body = d->body;
	*body_len = (size_t)n;
	return 0;
}

void
decode_done(struct decoder *d)
{
	FCGX_Free(&d->request, 0);
}
