"""Fixtures. Whatever they start is private to the tests, and is ended whatever happens."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

import webservers
from certificates import Authority
from fcgi import Spy
from program import BINARY, SLOW, WRAP
from redisd import RedisServer
from sluice import Sluice


def pytest_report_header(config):
    return f"sluice: {' '.join([*WRAP, BINARY])}, times stretched by {SLOW:g}"


def _folder():
    # A short path, for those of Unix sockets are short; open to the users that web servers and Sluice run as.
    folder = Path(tempfile.mkdtemp(prefix="sluice-", dir="/tmp"))
    folder.chmod(0o777)
    return folder


@pytest.fixture
def folder():
    path = _folder()
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def redis():
    """The Redis of all tests that do it no harm, over TLS if REDIS_TLS is set. Tests use channels of their own."""
    path = _folder()
    certificate = None
    if os.environ.get("REDIS_TLS"):
        authority = Authority(path)
        certificate = (*authority.sign("redis", "IP:127.0.0.1"), authority.pem)
    server = RedisServer(path, certificate=certificate)
    try:
        yield server.start()
    finally:
        server.end()
        shutil.rmtree(path)


@pytest.fixture
def own_redis(folder):
    """A Redis for one test, not started yet: own_redis(name, options)."""
    servers = []

    def make(name="own", options=(), certificate=None):
        servers.append(RedisServer(folder, name, options, certificate))
        return servers[-1]
    yield make
    for server in servers:
        server.end()


class Launcher:
    """Starts Sluices, and ends them at the end of the test."""

    def __init__(self, folder, redis):
        self.folder, self.redis, self.started = folder, redis, []

    def __call__(self, routes=None, redis=None, name="sluice", start=True, link=None, **sections):
        """`routes` is {name: {key: value}}, `link` the [redis] section, and others stand by their names.

        A status route is always there.
        """
        redis = redis or self.redis
        all_sections = {"redis": link or {}, **sections}
        for route, keys in (routes or {}).items():
            all_sections[f"route {route}"] = keys
        all_sections.setdefault("route status", {"path": "/status", "handler": "status"})
        instance = Sluice(self.folder, all_sections, redis, name)
        self.started.append(instance)
        return instance.start() if start else instance

    def stop(self):
        errors = []
        for instance in reversed(self.started):
            try:
                instance.stop()
            except AssertionError as e:
                errors.append(e)
                instance.kill()
        if errors:
            raise errors[0]


@pytest.fixture
def launch(folder, redis):
    """launch(routes={...}, server={...}): a Sluice for one test."""
    launcher = Launcher(folder, redis)
    yield launcher
    launcher.stop()


@pytest.fixture(scope="module")
def launch_shared(redis):
    """The same for all tests of a module."""
    path = _folder()
    launcher = Launcher(path, redis)
    try:
        yield launcher
        launcher.stop()
    finally:
        shutil.rmtree(path)


@pytest.fixture(params=list(webservers.ALL))
def server_class(request):
    """Each of the three web servers in turn."""
    return webservers.ALL[request.param]


@pytest.fixture
def serve(folder):
    """serve(class, socket path): start a web server in front of it."""
    servers = []

    def start(cls, socket_path):
        servers.append(cls(folder, socket_path))
        return servers[-1].start()
    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def spy(folder):
    """A FastCGI application that shows what a web server asks of it."""
    path = folder / "spy.sock"
    responder = Spy(str(path))
    path.chmod(0o777)
    yield responder
    responder.close()
