#include "route/problem.h"

static const struct {
	int status;
	const char *title;
	const char *fields;
} kinds[] = {
    {200, "OK", ""},
    {202, "Accepted", ""},
    {204, "No Content", ""},
    {400, "Bad Request", ""},
    {401, "Unauthorized", ""}, /* its challenge says what was wrong */
    {403, "Forbidden", ""},
    {404, "Not Found", ""},
    {405, "Method Not Allowed", ""}, /* Allow is the route's */
    {408, "Request Timeout", ""},
    {413, "Content Too Large", ""},
    {414, "URI Too Long", ""},
    {415, "Unsupported Media Type", ""},
    {422, "Unprocessable Content", ""},
    {429, "Too Many Requests", "Retry-After: 5\r\n"},
    {500, "Internal Server Error", ""},
    {503, "Service Unavailable", "Retry-After: 5\r\n"},
    {504, "Gateway Timeout", ""},
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
problem_put_head(struct buf *b, int status)
{
	int kind = kind_of(status);

	return buf_printf(b,
			  "Status: %d %s\r\n"
			  "Content-Type: application/problem+json\r\n"
			  "Cache-Control: no-store\r\n"
			  "X-Content-Type-Options: nosniff\r\n"
			  "%s",
			  status, problem_title(status), kind < N_KINDS ? kinds[kind].fields : "");
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
