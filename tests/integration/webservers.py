"""Private web servers with the very fragments that are shipped in conf/.

Only the path of the FastCGI socket in a fragment is changed. What stands around it is what a
Debian site has, but with time-outs that are far too short for a stream: those of the fragment must count.
"""

import os
import signal
import subprocess
from pathlib import Path

import http_client
from processes import Child, accepts, children_of, free_port
from program import IS_ROOT, ROOT

SOCKET_IN_FRAGMENT = "/run/sluice/fcgi.sock"


class WebServer:
    name = None
    fragment = None
    scheme = "http"
    seconds_until_back = 0.5  # after the application was away
    says_of_malformed = ()  # an escape that is none
    come_back = ()  # (files that tell an EventSource to come back, where they stand on a site); some need none beside the fragment

    def __init__(self, folder, socket_path):
        self.folder = Path(folder) / self.name
        self.folder.mkdir()
        self.socket_path = socket_path
        self.child = None
        self.port = None
        (self.folder / "www").mkdir()
        (self.folder / "www" / "index.html").write_text("a page\n")
        for p in (self.folder, self.folder / "www"):
            os.chmod(p, 0o755)

    @property
    def address(self):
        return "127.0.0.1", self.port

    def shipped(self):
        """The fragment, copied with our socket's path."""
        text = (ROOT / "conf" / self.fragment).read_text()
        assert text.count(SOCKET_IN_FRAGMENT) == 1, "the fragment names the socket once"
        copy = self.folder / Path(self.fragment).name
        copy.write_text(text.replace(SOCKET_IN_FRAGMENT, self.socket_path))
        for file, place in self.come_back:
            text = (ROOT / "conf" / file).read_text()
            for other, there in self.come_back:
                text = text.replace(there, str(self.folder / Path(other).name))
            (self.folder / Path(file).name).write_text(text)
        return copy

    def start(self):
        fragment = self.shipped()
        for attempt in range(3):
            self.port = free_port()
            config = self.folder / f"{self.name}.conf"
            config.write_text(self.configuration(fragment))
            self.child = Child(self.name, self.command(config), self.folder)
            try:
                self.child.wait_ready(lambda: accepts(self.address))
                return self
            except AssertionError:  # somebody else took the port meanwhile?
                self.child.end(signal.SIGKILL)
                if attempt == 2:
                    raise

    def stop(self):
        if self.child is not None:
            self.child.end()

    def get(self, path, **kw):
        return http_client.get(self.address, path, **kw)

    def open(self, path, **kw):
        """Open a stream and wait until Redis has confirmed it."""
        response = self.get(path, **kw)
        assert response.status == 200, (response.status, bytes(response.body))
        return response.opened()

    def errors(self):
        """What the server complained about."""
        log = self.folder / "error.log"
        return log.read_text(errors="replace") if log.exists() else ""


class Lighttpd(WebServer):
    name = "lighttpd"
    seconds_until_back = 3  # it looks at its backends once a second
    come_back = (("lighttpd/61-sluice-come-back.conf", "/etc/lighttpd/conf-available/61-sluice-come-back.conf"),
                 ("lighttpd/come-back.lua", "/etc/lighttpd/sluice-come-back.lua"))
    fragment = "lighttpd/60-sluice.conf"
    notices_idle_client = True

    def command(self, config):
        return ["lighttpd", "-D", "-f", config]

    def configuration(self, fragment, more=""):
        return f"""
server.bind = "127.0.0.1"
server.port = {self.port}
server.document-root = "{self.folder}/www"
server.errorlog = "{self.folder}/error.log"
server.upload-dirs = ( "{self.folder}" )
server.max-write-idle = 1
server.modules = ( "mod_access", "mod_fastcgi" )
include "{fragment}"
include "{self.folder}/61-sluice-come-back.conf"
{more}
"""


class Nginx(WebServer):
    name = "nginx"
    fragment = "nginx/sluice.conf"
    notices_idle_client = True

    def command(self, config):
        return ["nginx", "-e", self.folder / "error.log", "-p", self.folder, "-c", config]

    def configuration(self, fragment):
        f = self.folder
        return f"""
daemon off;
{"user root;" if IS_ROOT else ""}
worker_processes 1;
pid {f}/nginx.pid;
error_log {f}/error.log info;
events {{ worker_connections 2048; }}
http {{
	access_log off;
	client_body_temp_path {f}/body; fastcgi_temp_path {f}/fcgi; proxy_temp_path {f}/proxy;
	uwsgi_temp_path {f}/uwsgi; scgi_temp_path {f}/scgi;
	fastcgi_read_timeout 1s;
	gzip on;
	gzip_types *;
	server {{
		listen 127.0.0.1:{self.port};
		root {f}/www;
		include /etc/nginx/fastcgi_params;
		include {fragment};
	}}
}}
"""


class Apache(WebServer):
    name = "apache"
    fragment = "apache/sluice.conf"
    come_back = (("apache/sluice-come-back.conf", "/etc/apache2/conf-available/sluice-come-back.conf"),
                 ("apache/come-back.lua", "/etc/apache2/sluice-come-back.lua"))
    notices_idle_client = False  # only when it next writes to it

    def command(self, config):
        return ["apache2", "-D", "FOREGROUND", "-f", config]

    def stop(self):
        """By force: at TERM it would wait for threads whose clients have gone."""
        if self.child is not None and self.child.is_running():
            pids = children_of(self.child.pid)
            self.child.end(signal.SIGKILL)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)

    def configuration(self, fragment):
        f, modules = self.folder, "/usr/lib/apache2/modules"
        names = ("mpm_event", "authz_core", "proxy", "proxy_fcgi", "deflate", "filter", "env", "setenvif", "lua")
        load = "\n".join(f"LoadModule {n}_module {modules}/mod_{n}.so" for n in names)
        return f"""
ServerRoot {f}
ServerName localhost
Listen 127.0.0.1:{self.port}
PidFile {f}/apache.pid
Mutex file:{f} default
ErrorLog {f}/error.log
LogLevel info
{"User www-data" if IS_ROOT else ""}
{"Group www-data" if IS_ROOT else ""}
{load}
Timeout 1
DocumentRoot {f}/www
AddOutputFilterByType DEFLATE text/html text/plain text/event-stream
StartServers 1
ServerLimit 8
ThreadsPerChild 32
ThreadLimit 32
MaxRequestWorkers 256
MinSpareThreads 32
MaxSpareThreads 256
Include {fragment}
Include {f}/sluice-come-back.conf
"""


class HAProxy(WebServer):
    name = "haproxy"
    fragment = "haproxy/sluice.cfg"
    says_of_malformed = (500,)
    notices_idle_client = False  # only when it next writes to it

    def command(self, config):
        return ["haproxy", "-W", "-db", "-f", config, "-f", self.folder / "sluice.cfg"]

    def configuration(self, fragment):
        return f"""
global
	maxconn 2000
	log {self.folder}/log.sock local0
defaults
	mode http
	timeout connect 1s
	timeout client 1s
	timeout server 1s
	timeout http-keep-alive 1s
frontend site
	bind 127.0.0.1:{self.port}
	use_backend sluice if {{ path_beg /events/ }}
	http-request return status 200 content-type text/html file {self.folder}/www/index.html if {{ path /index.html }}
	http-request deny deny_status 404 if !{{ path_beg /events/ }}
"""


class Caddy(WebServer):
    name = "caddy"
    fragment = "caddy/sluice.caddy"
    notices_idle_client = False  # only when it next writes to it

    def stop(self):
        """By force: at TERM it would wait for clients."""
        if self.child is not None:
            self.child.end(signal.SIGKILL)

    def command(self, config):
        return ["env", f"XDG_CONFIG_HOME={self.folder}", f"XDG_DATA_HOME={self.folder}", "caddy", "run", "--adapter", "caddyfile", "--config", config]

    def configuration(self, fragment):
        return f"""
{{
	admin off
	auto_https off
	storage file_system {self.folder}/storage
	log {{
		output file {self.folder}/error.log
	}}
}}
http://:{self.port} {{
	bind 127.0.0.1
	root * {self.folder}/www
	encode gzip
	import {fragment}
	file_server
}}
"""


class Secure:
    """HTTP/2, as browsers have it: behind TLS, with a certificate of a moment."""

    scheme = "https"

    def start(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
                        "-subj", "/CN=localhost", "-keyout", self.folder / "key.pem", "-out", self.folder / "cert.pem"],
                       check=True, capture_output=True)
        return super().start()


class NginxHttp2(Secure, Nginx):
    name = "nginx-http2"

    def configuration(self, fragment):
        f = self.folder
        return super().configuration(fragment).replace(
            f"listen 127.0.0.1:{self.port};",
            f"listen 127.0.0.1:{self.port} ssl http2; ssl_certificate {f}/cert.pem; ssl_certificate_key {f}/key.pem;")


class ApacheHttp2(Secure, Apache):
    name = "apache-http2"

    def configuration(self, fragment):
        f, modules = self.folder, "/usr/lib/apache2/modules"
        return super().configuration(fragment) + f"""
LoadModule socache_shmcb_module {modules}/mod_socache_shmcb.so
LoadModule ssl_module {modules}/mod_ssl.so
LoadModule http2_module {modules}/mod_http2.so
SSLEngine on
SSLCertificateFile {f}/cert.pem
SSLCertificateKeyFile {f}/key.pem
Protocols h2 http/1.1
"""


ALL = {s.name: s for s in (Lighttpd, Nginx, Apache, HAProxy, Caddy)}
