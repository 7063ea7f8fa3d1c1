#include "cli/front.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/child.h"
#include "config/config.h"
#include "route/path.h"

enum { PATHS_MAX = 1024 * 1024 };

struct front {
	const char *name;
	void (*write)(FILE *f, const struct front_settings *set);
	const char *options[5]; /* "FILE" and "FOLDER" stand for those */
};

/* An address with a colon is put in brackets. */
static const char *
before(const char *host)
{
	return strchr(host, ':') != NULL ? "[" : "";
}

static const char *
behind(const char *host)
{
	return strchr(host, ':') != NULL ? "]" : "";
}

/*
 * The path is passed on as it came, because development servers have paths such as "/@id/a%2Fb". An
 * upgrade is let through, for servers that tell a page of changes by a WebSocket.
 */
static void
write_lighttpd(FILE *f, const struct front_settings *set)
{
	fprintf(
	    f,
	    "server.modules = (\"mod_fastcgi\", \"mod_proxy\")\n"
	    "server.bind = \"%s%s%s\"\n"
	    "server.port = %u\n"
	    "server.document-root = \"%s\"\n"
	    "server.upload-dirs = (\"%s\")\n"
	    "server.max-fds = 4096\n"
	    "server.max-write-idle = 3600\n"
	    "server.max-read-idle = 3600\n"
	    "server.stream-response-body = 2\n"
	    "server.http-parseopts = (\"url-path-2f-decode\" => \"disable\",\n"
	    "\t\"url-path-2f-reject\" => \"disable\", \"url-path-dotseg-remove\" => \"disable\",\n"
	    "\t\"url-path-dotseg-reject\" => \"disable\")\n",
	    before(set->host), set->host, behind(set->host), set->port, set->folder, set->folder);
	fprintf(
	    f,
	    "$HTTP[\"url\"] =~ \"%s\" {\n"
	    "\tfastcgi.server = (\"\" => ((\"socket\" => \"%s\", \"check-local\" => \"disable\",\n"
	    "\t\t\"tcp-fin-propagate\" => \"enable\", \"disable-time\" => 0)))\n"
	    "} else {\n"
	    "\tproxy.header = (\"upgrade\" => \"enable\")\n"
	    "\tproxy.server = (\"\" => ((\"host\" => \"%s\", \"port\" => %u,\n"
	    "\t\t\"disable-time\" => 0)))\n"
	    "}\n",
	    set->ours, set->socket, set->upstream_host, set->upstream_port);
}

static void
write_nginx_ours(FILE *f, const struct front_settings *set)
{
	static const char *const params[][2] = {
	    {"GATEWAY_INTERFACE", "CGI/1.1"},      {"SERVER_PROTOCOL", "$server_protocol"},
	    {"SERVER_SOFTWARE", "nginx"},          {"SERVER_NAME", "$host"},
	    {"SERVER_PORT", "$server_port"},       {"REMOTE_ADDR", "$remote_addr"},
	    {"REQUEST_METHOD", "$request_method"}, {"REQUEST_URI", "$request_uri"},
	    {"QUERY_STRING", "$query_string"},     {"CONTENT_TYPE", "$content_type"},
	    {"CONTENT_LENGTH", "$content_length"}, {"SCRIPT_NAME", "$uri"},
	    {"HTTP_HOST", "$http_host"},
	};

	fprintf(f, "  location ~ \"%s\" {\n   fastcgi_pass unix:%s;\n", set->ours, set->socket);
	for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++)
		fprintf(f, "   fastcgi_param %s %s;\n", params[i][0], params[i][1]);
	fputs("   fastcgi_buffering off;\n   fastcgi_read_timeout 1h;\n  }\n", f);
}

static void
write_nginx(FILE *f, const struct front_settings *set)
{
	static const char *const temporary[] = {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"};

	fprintf(f,
		"%sdaemon off;\nworker_processes 1;\nerror_log stderr;\npid %s/nginx.pid;\n"
		"events { worker_connections 4096; }\n"
		"http {\n access_log off;\n client_max_body_size 0;\n",
		geteuid() == 0 ? "user root;\n" : "", set->folder);
	for (size_t i = 0; i < sizeof(temporary) / sizeof(temporary[0]); i++)
		fprintf(f, " %s_temp_path %s/%s;\n", temporary[i], set->folder, temporary[i]);
	fprintf(f,
		" map $http_upgrade $connection_is { default upgrade; \"\" close; }\n"
		" server {\n  listen %s%s%s:%u;\n",
		before(set->host), set->host, behind(set->host), set->port);
	write_nginx_ours(f, set);
	fprintf(f,
		"  location / {\n   proxy_pass http://%s%s%s:%u;\n   proxy_http_version 1.1;\n"
		"   proxy_set_header Host $http_host;\n"
		"   proxy_set_header X-Forwarded-For $remote_addr;\n"
		"   proxy_set_header Upgrade $http_upgrade;\n"
		"   proxy_set_header Connection $connection_is;\n"
		"   proxy_buffering off;\n   proxy_read_timeout 1h;\n  }\n }\n}\n",
		before(set->upstream_host), set->upstream_host, behind(set->upstream_host),
		set->upstream_port);
}

static const struct front fronts[] = {
    {"lighttpd", write_lighttpd, {"-D", "-f", "FILE"}},
    {"nginx", write_nginx, {"-p", "FOLDER", "-c", "FILE"}},
};

const struct front *
front_find(const char *name, char path[PATH_MAX])
{
	for (size_t i = 0; i < sizeof(fronts) / sizeof(fronts[0]); i++) {
		if ((name == NULL || strcmp(name, fronts[i].name) == 0) &&
		    child_find(fronts[i].name, path))
			return &fronts[i];
	}
	return NULL;
}

const char *
front_names(void)
{
	return "lighttpd, nginx";
}

const char *
front_name(const struct front *front)
{
	return front->name;
}

int
front_write(const struct front *front, const struct front_settings *set, const char *file)
{
	FILE *f = fopen(file, "we");
	int is_broken;

	if (f == NULL)
		return -errno;
	front->write(f, set);
	is_broken = ferror(f);
	return fclose(f) == 0 && !is_broken ? 0 : -EIO;
}

void
front_argv(const struct front *front, const char *argv[6], const char *program, const char *file,
	   const char *folder)
{
	size_t i;

	argv[0] = program;
	for (i = 0; front->options[i] != NULL; i++)
		argv[i + 1] = strcmp(front->options[i], "FILE") == 0     ? file
			      : strcmp(front->options[i], "FOLDER") == 0 ? folder
									 : front->options[i];
	argv[i + 1] = NULL;
}

/* Paths */

/* The two servers read a "\" differently, so "." stands for a character that would need one. */
static int
put_literal(struct buf *b, char c)
{
	if (isalnum((unsigned char)c) || strchr("/_-~", c) != NULL)
		return buf_putc(b, c);
	if (strchr(".+*?()|{}@!,;=:", c) != NULL)
		return buf_printf(b, "[%c]", c);
	return buf_putc(b, '.');
}

static int
put_path(struct buf *b, const char *text)
{
	int rc = 0;

	while (rc == 0 && *text != '\0') {
		if (*text == '{') {
			rc = buf_puts(b, "[^/]+");
			text += strcspn(text, "}") + 1;
		} else {
			rc = put_literal(b, *text++);
		}
	}
	return rc;
}

static int
put_routes(struct buf *b, const struct config *cfg)
{
	int rc = buf_puts(b, "^(");

	for (size_t i = 0; rc == 0 && i < cfg->n_routes; i++) {
		if (i > 0)
			rc = buf_putc(b, '|');
		if (rc == 0)
			rc = put_path(b, path_text(cfg->routes[i]->path));
	}
	return rc < 0 ? rc : buf_puts(b, ")$");
}

static int
put_base(struct buf *b, const char *base)
{
	int rc;

	if ((rc = buf_putc(b, '^')) < 0 || (rc = put_path(b, base)) < 0)
		return rc;
	return buf_puts(b, "(/|$)");
}

char *
front_paths(const struct config *cfg)
{
	const char *base = cfg->server.base;
	struct buf b;

	buf_init(&b, PATHS_MAX);
	if ((*base != '\0' ? put_base(&b, base) : put_routes(&b, cfg)) == 0 &&
	    buf_putc(&b, '\0') == 0)
		return b.p;
	buf_fini(&b);
	return NULL;
}
