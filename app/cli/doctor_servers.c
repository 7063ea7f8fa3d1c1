/*
 * doctor_servers.c - the lines for the configuration of each web server.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/doctor.h"

/* And who may open it, should that be the matter. systemd may hold the socket. */
#define SOCKET_CURE \
	"who may open it: [server] socket_group = {group} in sluice.ini;\n" \
	"where systemd holds it, SocketGroup={group} (systemctl edit sluice.socket)\n"
#define USER_CURE "or: usermod -aG www-data {user} && systemctl restart {process}\n"

/* Lines are long, and their literals broken: none lacks a comma. */
/* NOLINTBEGIN(bugprone-suspicious-missing-comma) */
static const struct web_server lighttpd = {
    .name = "lighttpd",
    .process = "lighttpd",
    .user = "www-data",
    .says = "lighttpd",
    .program = "/usr/sbin/lighttpd",
    .via_unix = "\"socket\" => \"{path}\"",
    .via_tcp = "\"host\" => \"{host}\", \"port\" => {port}",
    .descriptors = 3,
    .notices_silent = true,
    .cures =
	{
	    [CURE_ROUTE] = "lighty-enable-mod sluice && systemctl restart lighttpd\n"
			   "or: fastcgi.server = ( \"{base}/\" => (( {socket}, \"check-local\" => "
			   "\"disable\", \"disable-time\" => 0 )) )\n",
	    [CURE_SOCKET] = "fastcgi.server = ( \"{base}/\" => (( {socket}, \"check-local\" => "
			    "\"disable\", \"disable-time\" => 0 )) )\n",
	    [CURE_BUFFER] = "server.stream-response-body = 2\n",
	    [CURE_GZIP] = "deflate.mimetypes = ( \"text/html\", \"text/css\" )     # without "
			  "text/event-stream, or \"text/\"\n",
	    [CURE_SILENCE] = "server.max-write-idle = 3600\n",
	    [CURE_LEAVING] = "\"tcp-fin-propagate\" => \"enable\"     # in fastcgi.server\n",
	    [CURE_LIMIT] = "server.max-fds = 40000\nserver.max-connections = 20000\n",
	    [CURE_HTTP2] = "server.feature-flags += ( \"server.h2proto\" => \"enable\" )\n",
	    [CURE_COME_BACK] = "lighty-enable-mod sluice-come-back && systemctl restart lighttpd   "
			       "  # conf/lighttpd/61-sluice-come-back.conf\n",
	},
    .proxy_cures =
	{
	    [CURE_BUFFER] = "server.stream-response-body = 2\n",
	    [CURE_SILENCE] = "server.max-write-idle = 3600\n",
	    [CURE_LIMIT] = "server.max-connections = 20000\n",
	},
};

static const struct web_server nginx = {
    .name = "nginx",
    .process = "nginx",
    .user = "www-data",
    .says = "nginx",
    .program = "/usr/sbin/nginx",
    .via_unix = "unix:{path}",
    .via_tcp = "{host}:{port}",
    .descriptors = 2,
    .notices_silent = true,
    .cures =
	{
	    [CURE_ROUTE] = "include snippets/sluice.conf;     # in the server block\n"
			   "or: location {base}/ { fastcgi_pass {socket}; ... }\n",
	    [CURE_SOCKET] = "fastcgi_pass {socket};\n",
	    [CURE_BUFFER] = "fastcgi_buffering off;\n",
	    [CURE_GZIP] = "gzip off;     # in location {base}/\n",
	    [CURE_SILENCE] = "fastcgi_read_timeout 1d;\n",
	    [CURE_LEAVING] = "fastcgi_ignore_client_abort off;\n",
	    [CURE_AUTHORIZATION] = "fastcgi_pass_request_headers on;\n",
	    [CURE_USER] = "fastcgi_param REMOTE_USER \"\";     # and no include fastcgi_params "
			  "behind it\n",
	    [CURE_LIMIT] = "worker_rlimit_nofile 40000;\nevents { worker_connections 20000; }\n",
	    [CURE_HTTP2] = "listen 443 ssl http2;\n",
	    [CURE_COME_BACK] = "error_page 502 503 504 = @sluice_come_back;     # and its "
			       "location, as in conf/nginx/sluice.conf\n",
	},
    .proxy_cures =
	{
	    [CURE_BUFFER] = "proxy_buffering off;     # in its location {base}/\n",
	    [CURE_GZIP] = "gzip off;\n",
	    [CURE_SILENCE] = "proxy_read_timeout 1d;\n",
	    [CURE_LIMIT] = "events { worker_connections 20000; }\n",
	},
};

static const struct web_server apache = {
    .name = "Apache",
    .process = "apache2",
    .user = "www-data",
    .says = "Apache",
    .program = "/usr/sbin/apache2",
    .via_unix = "unix:{path}|fcgi://sluice",
    .via_tcp = "fcgi://{host}:{port}",
    .descriptors = 2,
    .h2_at_once = 6,
    .cures =
	{
	    [CURE_ROUTE] = "a2enmod proxy_fcgi && a2enconf sluice && systemctl restart apache2\n"
			   "or: ProxyPass \"{base}/\" \"{socket}{base}/\" flushpackets=on "
			   "timeout=86400 retry=0\n",
	    [CURE_SOCKET] = "ProxyPass \"{base}/\" \"{socket}{base}/\" flushpackets=on "
			    "timeout=86400 retry=0\n",
	    [CURE_BUFFER] = "ProxyPass \"{base}/\" \"{socket}{base}/\" flushpackets=on "
			    "timeout=86400 retry=0\n",
	    [CURE_GZIP] = "SetEnv no-gzip 1     # in <Location \"{base}/\">\nSetEnv no-brotli 1\n",
	    [CURE_SILENCE] = "ProxyPass \"{base}/\" \"{socket}{base}/\" flushpackets=on "
			     "timeout=86400 retry=0\n",
	    [CURE_AUTHORIZATION] = "CGIPassAuth On     # in <Location \"{base}/\">\n",
	    [CURE_LIMIT] = "ServerLimit 32     # in mods-available/mpm_event.conf\n"
			   "ThreadsPerChild 64\nThreadLimit 64\nMaxRequestWorkers 2048\n",
	    [CURE_HTTP2] = "Protocols h2 http/1.1     # a2enmod http2\n",
	    [CURE_COME_BACK] = "a2enmod lua && a2enconf sluice-come-back && systemctl restart "
			       "apache2     # conf/apache/sluice-come-back.conf\n",
	},
    .proxy_cures =
	{
	    [CURE_BUFFER] = "ProxyPass ... flushpackets=on\n",
	    [CURE_GZIP] = "SetEnv no-gzip 1\n",
	    [CURE_SILENCE] = "ProxyPass ... timeout=86400\n",
	    [CURE_LIMIT] = "MaxRequestWorkers 2048\n",
	},
};

static const struct web_server haproxy = {
    .name = "HAProxy",
    .process = "haproxy",
    .user = "haproxy",
    .says = "HAProxy",
    .program = "/usr/sbin/haproxy",
    .drops_groups = true,
    .via_unix = "unix@{path}",
    .via_tcp = "{host}:{port}",
    .descriptors = 2,
    .cures =
	{
	    [CURE_ROUTE] = "use_backend sluice if { path_beg {base}/ }     # in the frontend; the "
			   "backend: conf/haproxy/sluice.cfg\n",
	    [CURE_SOCKET] = "server sluice {socket} proto fcgi\n",
	    [CURE_BUFFER] = "option http-no-delay\n",
	    [CURE_GZIP] = "compression type text/html text/css     # without text/event-stream\n",
	    [CURE_SILENCE] = "timeout server 1d     # in the backend\n",
	    [CURE_AUTHORIZATION] = "pass-header authorization     # in fcgi-app\n",
	    [CURE_USER] = "set-param REMOTE_USER %[var(txn.nobody)]     # in fcgi-app\n"
			  "set-param AUTH_TYPE %[var(txn.nobody)]\n",
	    [CURE_LIMIT] = "maxconn 20000     # in the section global\n",
	    [CURE_HTTP2] = "bind :443 ssl crt FILE alpn h2,http/1.1\n",
	    [CURE_COME_BACK] = "http-error status 503 ...     # and the lines around it, as in "
			       "conf/haproxy/sluice.cfg\n",
	},
    .proxy_cures =
	{
	    [CURE_BUFFER] = "option http-no-delay\n",
	    [CURE_GZIP] = "compression type text/html text/css\n",
	    [CURE_SILENCE] = "timeout server 1d\n",
	    [CURE_LIMIT] = "maxconn 20000\n",
	},
};

static const struct web_server caddy = {
    .name = "Caddy",
    .process = "caddy",
    .user = "caddy",
    .says = "Caddy",
    .program = "/usr/bin/caddy",
    .via_unix = "unix/{path}",
    .via_tcp = "{host}:{port}",
    .descriptors = 2,
    .cures =
	{
	    [CURE_ROUTE] = "import /etc/caddy/sluice.caddy     # in the site's block of the "
			   "Caddyfile: conf/caddy/sluice.caddy\n",
	    [CURE_SOCKET] = "reverse_proxy {socket} { ... }\n",
	    [CURE_BUFFER] = "flush_interval -1     # in reverse_proxy\n",
	    [CURE_GZIP] = "@page not path {base}/*\nencode @page gzip\n",
	    [CURE_SILENCE] = "read_timeout 24h     # in transport fastcgi\n",
	    [CURE_AUTHORIZATION] = "header_up Authorization {http.request.header.Authorization}   "
				   "  # in reverse_proxy\n",
	    [CURE_LIMIT] = "LimitNOFILE=1048576     # systemctl edit caddy\n",
	    [CURE_HTTP2] = "protocols h1 h2     # in servers { }\n",
	    [CURE_COME_BACK] = "handle_errors { ... }     # as in conf/caddy/sluice.caddy\n",
	},
    .proxy_cures =
	{
	    [CURE_BUFFER] = "flush_interval -1     # in its reverse_proxy\n",
	    [CURE_SILENCE] = "read_timeout 24h     # in its transport http\n",
	},
};

/* NOLINTEND(bugprone-suspicious-missing-comma) */

static const struct web_server *const servers[] = {&lighttpd, &nginx, &apache, &haproxy, &caddy};

enum { N_SERVERS = sizeof(servers) / sizeof(servers[0]) };

const struct web_server *
web_server_nth(size_t n)
{
	return n < N_SERVERS ? servers[n] : NULL;
}

const struct web_server *
web_server_find(const char *says)
{
	for (size_t i = 0; i < N_SERVERS; i++) {
		if (strncasecmp(says, servers[i]->says, strlen(servers[i]->says)) == 0)
			return servers[i];
	}
	return NULL;
}

bool
web_server_is_installed(const struct web_server *ws)
{
	return access(ws->program, X_OK) == 0;
}

static int
expand(struct buf *b, const struct web_server *ws, const char *text, const struct config *cfg);

/* Where the web server must look for Sluice. */
static const char *
address_of(const struct config *cfg)
{
	const char *listen = cfg->server.listen;

	return listen == NULL || strcmp(listen, "inherit") == 0 ? "unix:/run/sluice/fcgi.sock"
								: listen;
}

static bool
is_unix(const char *address)
{
	return strncmp(address, "unix:", 5) == 0;
}

static int
put_socket(struct buf *b, const struct web_server *ws, const struct config *cfg)
{
	return expand(b, ws, is_unix(address_of(cfg)) ? ws->via_unix : ws->via_tcp, cfg);
}

static int
put_path(struct buf *b, const struct web_server *ws, const struct config *cfg)
{
	(void)ws;
	return buf_puts(b, address_of(cfg) + (is_unix(address_of(cfg)) ? 5 : 0));
}

static int
put_host(struct buf *b, const struct web_server *ws, const struct config *cfg)
{
	const char *address = address_of(cfg), *colon = strrchr(address, ':');

	(void)ws;
	return buf_put(b, address, colon != NULL ? (size_t)(colon - address) : strlen(address));
}

static int
put_port(struct buf *b, const struct web_server *ws, const struct config *cfg)
{
	const char *colon = strrchr(address_of(cfg), ':');

	(void)ws;
	return buf_puts(b, colon != NULL ? colon + 1 : "");
}

static int
put_base(struct buf *b, const struct web_server *ws, const struct config *cfg)
{
	(void)ws;
	return buf_puts(b, cfg->server.base);
}

static int
put_user(struct buf *b, const struct web_server *ws, const struct config *cfg)
{
	(void)cfg;
	return buf_puts(b, ws->user);
}

static int
put_process(struct buf *b, const struct web_server *ws, const struct config *cfg)
{
	(void)cfg;
	return buf_puts(b, ws->process);
}

static const struct {
	const char *name;
	int (*put)(struct buf *b, const struct web_server *ws, const struct config *cfg);
} names[] = {
    {"base", put_base}, {"socket", put_socket}, {"path", put_path},  {"host", put_host},
    {"port", put_port}, {"user", put_user},     {"group", put_user}, {"process", put_process},
};

/* A brace that belongs to the web server's own language stays. */
static int
put_name(struct buf *b, const struct web_server *ws, const char *name, size_t len,
	 const struct config *cfg)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i].name) == len && memcmp(name, names[i].name, len) == 0)
			return names[i].put(b, ws, cfg);
	}
	return buf_printf(b, "{%.*s}", (int)len, name);
}

static int
expand(struct buf *b, const struct web_server *ws, const char *text, const struct config *cfg)
{
	int rc = 0;

	while (rc == 0 && *text != '\0') {
		size_t len = strcspn(text, "{"), name;

		if ((rc = len > 0 ? buf_put(b, text, len) : 0) < 0)
			break;
		text += len;
		name = *text == '{' ? strcspn(text + 1, "{} ") : 0;
		if (*text == '{' && text[1 + name] == '}') {
			rc = put_name(b, ws, text + 1, name, cfg);
			text += name + 2;
		} else if (*text == '{') {
			rc = buf_putc(b, *text++);
		}
	}
	return rc;
}

int
web_server_cure(struct buf *b, const struct web_server *ws, enum cure cure, bool is_proxy,
		const struct config *cfg)
{
	const char *lines = is_proxy ? ws->proxy_cures[cure] : ws->cures[cure];
	int rc = 0;

	if (lines != NULL)
		rc = expand(b, ws, lines, cfg);
	if (is_proxy)
		return rc;
	if (rc == 0 && cure == CURE_SOCKET)
		rc = expand(b, ws, SOCKET_CURE, cfg);
	if (rc == 0 && cure == CURE_SOCKET && !ws->drops_groups &&
	    strcmp(ws->user, "www-data") != 0)
		rc = expand(b, ws, USER_CURE, cfg);
	return rc;
}
