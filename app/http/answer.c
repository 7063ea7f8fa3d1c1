#include "http/answer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* So much has room at once; most heads are no longer. */
enum { HEAD_USUAL = 400, BODY_KEPT_MAX = 1024 * 1024 };

static const struct known_status {
	int status;
	unsigned retry_after_s; /* 0: there is no use in asking again, or one may do so at once */
	const char *title;
} kinds[] = {
    {HTTP_OK, 0, "OK"},
    {HTTP_ACCEPTED, 0, "Accepted"},
    {HTTP_NO_CONTENT, 0, "No Content"},
    {HTTP_BAD_REQUEST, 0, "Bad Request"},
    {HTTP_UNAUTHORIZED, 0, "Unauthorized"}, /* WWW-Authenticate says what was wrong */
    {HTTP_FORBIDDEN, 0, "Forbidden"},
    {HTTP_NOT_FOUND, 0, "Not Found"},
    {HTTP_METHOD_NOT_ALLOWED, 0, "Method Not Allowed"}, /* Allow is the route's */
    {HTTP_REQUEST_TIMEOUT, 0, "Request Timeout"},
    {HTTP_CONTENT_TOO_LARGE, 0, "Content Too Large"},
    {HTTP_URI_TOO_LONG, 0, "URI Too Long"},
    {HTTP_UNSUPPORTED_MEDIA_TYPE, 0, "Unsupported Media Type"},
    {HTTP_UNPROCESSABLE_CONTENT, 0, "Unprocessable Content"},
    {HTTP_TOO_MANY_REQUESTS, 5, "Too Many Requests"},
    {HTTP_HEAD_TOO_LARGE, 0, "Request Header Fields Too Large"},
    {HTTP_INTERNAL_ERROR, 0, "Internal Server Error"},
    {HTTP_UNAVAILABLE, 5, "Service Unavailable"},
    {HTTP_GATEWAY_TIMEOUT, 0, "Gateway Timeout"},
};

static const struct known_status *
kind_of(int status)
{
	static const struct known_status other = {0, 0, "Error"};
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].status == status)
			return &kinds[i];
	}
	return &other;
}

void
answer_init(struct answer *a)
{
	buf_init(&a->head, ANSWER_HEAD_MAX);
	buf_init(&a->body, ANSWER_BODY_MAX);
	a->has_type = a->is_broken = false;
}

void
answer_fini(struct answer *a)
{
	buf_fini(&a->head);
	buf_fini(&a->body);
}

void
answer_check(struct answer *a, int rc)
{
	if (rc < 0)
		a->is_broken = true;
}

#define SHORT_FIELDS \
	"Cache-Control: no-store\r\n" \
	"X-Content-Type-Options: nosniff\r\n"
#define STREAM_FIELDS \
	"Cache-Control: no-store, no-transform\r\n" \
	"X-Content-Type-Options: nosniff\r\n" \
	"X-Accel-Buffering: no\r\n" \
	"Incremental: ?1\r\n"

/* fields are whole lines, which are the same in all such answers. */
static void
begin(struct answer *a, int status, const char *type, const char *fields)
{
	buf_truncate(&a->head, 0);
	buf_truncate(&a->body, 0);
	if (a->body.alloc > BODY_KEPT_MAX)
		buf_fini(&a->body); /* the heap of a long answer is not kept for short ones */
	a->is_broken = false;
	a->has_type = type != NULL;
	answer_check(a, buf_reserve(&a->head, HEAD_USUAL));
	answer_check(a, buf_puts(&a->head, "Status: "));
	answer_check(a, buf_put_number(&a->head, (uint64_t)status));
	answer_check(a, buf_puts(&a->head, " "));
	answer_check(a, buf_puts(&a->head, kind_of(status)->title));
	answer_check(a, buf_puts(&a->head, "\r\n"));
	if (type != NULL)
		answer_field(a, "Content-Type", type);
	answer_check(a, buf_puts(&a->head, fields));
}

void
answer_begin(struct answer *a, int status, const char *type)
{
	begin(a, status, type, SHORT_FIELDS);
}

void
answer_begin_stream(struct answer *a, const char *type)
{
	begin(a, HTTP_OK, type, STREAM_FIELDS);
	a->has_type = false; /* nobody knows how long it will be */
}

void
answer_field(struct answer *a, const char *name, const char *value)
{
	answer_check(a, buf_puts(&a->head, name));
	answer_check(a, buf_puts(&a->head, ": "));
	answer_check(a, buf_puts(&a->head, value));
	answer_check(a, buf_puts(&a->head, "\r\n"));
}

void
answer_field_printf(struct answer *a, const char *name, const char *fmt, ...)
{
	va_list ap;

	answer_check(a, buf_puts(&a->head, name));
	answer_check(a, buf_puts(&a->head, ": "));
	va_start(ap, fmt);
	answer_check(a, buf_vprintf(&a->head, fmt, ap));
	va_end(ap);
	answer_check(a, buf_puts(&a->head, "\r\n"));
}

void
answer_fields(struct answer *a, const char *lines, size_t len)
{
	answer_check(a, buf_put(&a->head, lines, len));
}

void
answer_put(struct answer *a, const char *p, size_t len)
{
	answer_check(a, buf_put(&a->body, p, len));
}

void
answer_vprintf(struct answer *a, const char *fmt, va_list ap)
{
	answer_check(a, buf_vprintf(&a->body, fmt, ap));
}

void
answer_printf(struct answer *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	answer_vprintf(a, fmt, ap);
	va_end(ap);
}

/*
 * Writes the inside of a JSON string. What is not printable ASCII is shown as '?', because the
 * rules that are quoted consist of printable ASCII alone.
 */
static void
put_json_text(struct answer *a, const char *p)
{
	for (; *p != '\0'; p++) {
		char c = (char)(*p < 0x20 || *p > 0x7e ? '?' : *p);

		if (c == '"' || c == '\\')
			answer_put(a, "\\", 1);
		answer_put(a, &c, 1);
	}
}

void
answer_problem(struct answer *a, int status, const char *detail, unsigned retry_after_s)
{
	answer_begin(a, status, "application/problem+json");
	if (retry_after_s == 0)
		retry_after_s = kind_of(status)->retry_after_s;
	if (retry_after_s > 0)
		answer_field_printf(a, "Retry-After", "%u", retry_after_s);
	answer_printf(a, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d",
		      kind_of(status)->title, status);
	if (detail != NULL) {
		answer_printf(a, ",\"detail\":\"");
		put_json_text(a, detail);
		answer_printf(a, "\"");
	}
	answer_printf(a, "}\n");
}

int
answer_end(struct answer *a)
{
	if (a->has_type)
		answer_field_printf(a, "Content-Length", "%" PRIu32, a->body.len);
	answer_check(a, buf_puts(&a->head, "\r\n"));
	return a->is_broken ? -ENOMEM : 0;
}
