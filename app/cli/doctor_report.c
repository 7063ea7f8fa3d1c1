/*
 * doctor_report.c - prints the result of each check.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor.h"

enum { CURE_LEN = 8192, LINE_LEN = 8192 };

/*
 * Much of it comes from the web server, and must not move a terminal's cursor: C0, DEL, and in
 * UTF-8 C1 (ECMA-48) are replaced.
 */
__attribute__((format(printf, 1, 0))) static void
print_line(const char *fmt, va_list ap)
{
	char line[LINE_LEN];

	vsnprintf(line, sizeof(line), fmt, ap);
	for (unsigned char *p = (unsigned char *)line; *p != '\0'; p++) {
		if ((*p < ' ' && *p != '\t') || *p == 0x7f)
			*p = '?';
		else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			p[0] = p[1] = '?';
	}
	puts(line);
	fflush(stdout);
}

__attribute__((format(printf, 3, 0))) static void
say(const char *verdict, const char *what, const char *fmt, va_list ap)
{
	printf("%-4s  %-10s ", verdict, what);
	print_line(fmt, ap);
}

void
doctor_ok(const char *what, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("ok", what, fmt, ap);
	va_end(ap);
}

void
doctor_warn(const char *what, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("warn", what, fmt, ap);
	va_end(ap);
}

void
doctor_fail(struct doctor *d, const char *what, const char *fmt, ...)
{
	va_list ap;

	d->is_at_fault = true;
	va_start(ap, fmt);
	say("FAIL", what, fmt, ap);
	va_end(ap);
}

void
doctor_line(const char *fmt, ...)
{
	va_list ap;

	fputs("          ", stdout);
	va_start(ap, fmt);
	print_line(fmt, ap);
	va_end(ap);
}

static void
print_cure(const struct doctor *d, const struct web_server *ws, enum cure cure, bool is_proxy)
{
	bool is_named = d->server == NULL || d->front != NULL;
	struct buf b;

	buf_init(&b, CURE_LEN);
	if (web_server_cure(&b, ws, cure, is_proxy, d->cfg) == 0 && b.len > 0 &&
	    buf_putc(&b, '\0') == 0) {
		for (char *line = b.p, *eol; *line != '\0'; line = eol + 1) {
			eol = line + strcspn(line, "\n");
			doctor_line("%s%s%.*s", is_named ? ws->name : "", is_named ? ": " : "",
				    (int)(eol - line), line);
			if (*eol == '\0')
				break;
		}
	}
	buf_fini(&b);
}

void
doctor_cure(const struct doctor *d, enum cure cure)
{
	const struct web_server *ws;

	if (d->front != NULL)
		print_cure(d, d->front, cure, true);
	if (d->server != NULL) {
		print_cure(d, d->server, cure, false);
		return;
	}
	for (size_t i = 0; (ws = web_server_nth(i)) != NULL; i++) {
		if (web_server_is_installed(ws))
			print_cure(d, ws, cure, false);
	}
}
