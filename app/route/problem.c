#include "route/problem.h"

static const struct {
	int status;
	const char *title;
	unsigned retry_after_s;
} kinds[] = {
    {200, "OK", 0},
    {202, "Accepted", 0},
    {204, "No Content", 0},
    {400, "Bad Request", 0},
    {401, "Unauthorized", 0}, /* its challenge says what was wrong */
    {403, "Forbidden", 0},
    {404, "Not Found", 0},
    {405, "Method Not Allowed", 0}, /* Allow is the route's */
    {408, "Request Timeout", 0},
    {413, "Content Too Large", 0},
    {414, "URI Too Long", 0},
    {415, "Unsupported Media Type", 0},
    {422, "Unprocessable Content", 0},
    {429, "Too Many Requests", 5},
    {500, "Internal Server Error", 0},
    {503, "Service Unavailable", 5},
    {504, "Gateway Timeout", 0},
};

enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static int
kind_of(int status)
{
	int i;

	for (i = 0; i < N_KINDS && kinds[i].status != status; i++)
		;
	return i;
}

const char *
problem_title(int status)
{
	int kind = kind_of(status);

	return kind < N_KINDS ? kinds[kind].title : "Error";
}

int
problem_put_head(struct buf *b, int status, unsigned retry_after_s)
{
	int kind = kind_of(status), rc;

	rc = buf_printf(b,
			"Status: %d %s\r\n"
			"Content-Type: application/problem+json\r\n"
			"Cache-Control: no-store\r\n"
			"X-Content-Type-Options: nosniff\r\n",
			status, problem_title(status));
	if (retry_after_s == 0 && kind < N_KINDS)
		retry_after_s = kinds[kind].retry_after_s;
	return rc < 0 || retry_after_s == 0 ? rc
					    : buf_printf(b, "Retry-After: %u\r\n", retry_after_s);
}

/* As a JSON string's inside; what is not printable ASCII is shown as '?', for no rule holds any. */
static int
put_json_text(struct buf *b, const char *p)
{
	int rc = 0;

	for (; *p != '\0' && rc == 0; p++) {
		if (*p < 0x20 || *p > 0x7e) {
			rc = buf_putc(b, '?');
			continue;
		}
		if ((*p == '"' || *p == '\\') && (rc = buf_putc(b, '\\')) < 0)
			break;
		rc = buf_putc(b, *p);
	}
	return rc;
}

int
problem_put_body(struct buf *b, int status, const char *detail)
{
	int rc;

	if ((rc = buf_printf(
		 b, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":\"",
		 problem_title(status), status)) < 0 ||
	    (rc = put_json_text(b, detail)) < 0)
		return rc;
	return buf_puts(b, "\"}\n");
}
