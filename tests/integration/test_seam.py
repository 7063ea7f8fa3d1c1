"""Pages that are rendered while a table changes, and follow it from then on, with cuts: each ends equal to the table.

SEAM_FULL=1: 1,000 pages, 200 changes a second for 20 s.
"""

import http.server
import importlib.util
import json
import os
import random
import subprocess
import threading
import time

import pytest

import npm_packages
import webservers
from cutter import Cutter
from program import ROOT
from waiting import SLOW


def load_bridge():
    spec = importlib.util.spec_from_file_location("sluice_bridge", ROOT / "bridges" / "python" / "sluice.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Sluice


Bridge = load_bridge()
FULL = bool(os.environ.get("SEAM_FULL"))
PAGES, SECONDS, PER_SECOND = (1000, 20, 200) if FULL else (60, 3, 200)


class Table:
    """Rows with versions; each change is told behind it, as a program tells what it has committed."""

    def __init__(self, client):
        self.client, self.rows, self.version, self.lock = client, {}, 0, threading.Lock()
        self.put("first")

    def put(self, id):
        with self.lock:
            self.version += 1
            row = self.rows[id] = {"id": id, "text": f"as of {self.version}", "version": self.version}
        self.tell(row)

    def delete(self, id):
        with self.lock:
            self.version += 1
            del self.rows[id]
            row = {"id": id, "deleted": True, "version": self.version}
        self.tell(row)

    def tell(self, row):
        self.client.xadd("seam:rows", {"data": json.dumps(row)})

    def all(self):
        with self.lock:
            return list(self.rows.values())

    def change(self):
        ids = list(self.rows)
        if random.random() < 0.2 and len(ids) > 5:
            self.delete(random.choice(ids))
        else:
            self.put(str(random.randrange(100)))


@pytest.fixture
def site(redis):
    """The site: what it renders, and its table."""
    client = redis.client()
    client.delete("seam:rows")
    table = Table(client)

    class Site(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            cursor = Bridge(client).cursor("seam:rows")  # before the rows are read
            body = json.dumps({"cursor": cursor, "rows": table.all()} if self.path == "/page" else table.all()).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 512
    server = Server(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", table
    server.shutdown()
    thread.join()
    server.server_close()


class Lighttpd(webservers.Lighttpd):
    def configuration(self, fragment, more=""):
        return super().configuration(fragment, "server.max-fds = 8192\n")


def test_every_page_ends_equal_to_the_table(launch, serve, site, redis):
    address, table = site
    sluice = launch({"rows": {"path": "/rows", "streams": "seam:rows", "history": 100000, "retry": "200ms", "queue": "4m"}},
                    redis, server={"base": "/events"})
    done = sluice.run("cursor", "-c", sluice.config, "/rows")
    assert done.out.strip() == Bridge(redis.client()).cursor("seam:rows"), "the command says what the bridge says"
    cutter = Cutter(serve(Lighttpd, sluice.path).port)
    node = subprocess.Popen(["node", "seam.mjs", f"http://127.0.0.1:{cutter.port}/events", address, str(PAGES), str(SECONDS)],
                            cwd=npm_packages.install(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    watch = threading.Timer(120 * SLOW, node.kill)
    watch.start()
    try:
        opened = threading.Thread(target=node.stdout.readline)
        opened.start()
        began, n = time.monotonic(), 0
        while opened.is_alive() or time.monotonic() - began < SECONDS:
            table.change()
            n += 1
            if n % (PER_SECOND // 2) == 0:
                cutter.cut()
            time.sleep(max(0, began + n / PER_SECOND - time.monotonic()))
        took = time.monotonic() - began
        table.put("last")
        said, _ = node.communicate("go on\n")
    finally:
        watch.cancel()
        node.kill()
        node.wait()
        cutter.close()
    assert said, "the pages do not end, or the program failed"
    end = json.loads(said)
    shown = [sorted(json.loads(text), key=lambda row: row["id"]) for text in end["texts"]]
    assert end["pages"] == PAGES and shown == [sorted(table.all(), key=lambda row: row["id"])]
    assert cutter.n_cut > PAGES / 4
    print(f"{PAGES} pages, {n} changes in {took:.1f} s, {cutter.n_cut} cuts")
