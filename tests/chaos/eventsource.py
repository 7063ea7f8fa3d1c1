"""A client as WHATWG HTML 9.2 describes it: it comes back by itself, with the last id, after the time that it was told;
at 204 it stops, and any other status but 200 would be its end (counted here, and tried again, so that the run goes on)."""

import json
import threading
import time

import fcgi
import http_client
from streams import Disconnected
from waiting import Timeout

SILENCE = 30.0


class EventSource(threading.Thread):
    """`connect(path, headers)` gives a response. The log is the judge's; statuses are [(time, status)]."""

    def __init__(self, name, connect, path):
        super().__init__(daemon=True, name=name)
        self.connect, self.path = connect, path
        self.log, self.statuses, self.n_opened = [], [], 0
        self.last_id, self.retry = "", 1.0
        self.newest = 0.0  # when the newest message that has come was published
        self.response, self.is_closed = None, threading.Event()
        self.had = None  # had(id) is told of each message

    def run(self):
        while not self.is_closed.is_set():
            try:
                if not self.once():
                    return
            except (OSError, Disconnected, Timeout, AssertionError):
                pass
            self.is_closed.wait(self.retry)

    def once(self):
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        self.response = self.connect(self.path, headers)
        try:
            if self.response.status == 204:
                return False
            if self.response.status != 200:
                self.statuses.append((time.monotonic(), self.response.status))
                return True
            self.n_opened += 1
            self.read()
        finally:
            self.response.close()
        return True

    def read(self):
        while not self.is_closed.is_set():
            try:
                event = self.response.next_event(SILENCE, skip=())
            finally:
                if self.response.parser.retry:
                    self.retry = self.response.parser.retry / 1000
            self.last_id = event.last_event_id or self.last_id
            self.on_event(event.type, event.data)
            if self.had and event.type in ("message", None, ""):
                self.had(self.last_id)

    def on_event(self, kind, data, key=None):
        if kind == "mux":
            head, _, rest = data.partition("\n")
            key, kind, *_ = json.loads(head)
            data = rest
        if kind == "stream-reset" or (kind == "stream-open" and not json.loads(data)["resumed"]):
            self.log.append(("told", key))
        elif kind in ("message", None, ""):
            message = json.loads(data)
            self.log.append(("message", message))
            self.newest = max(self.newest, message.get("at", 0))

    def close(self):
        self.is_closed.set()
        if self.response is not None:
            self.response.close()
        self.join(10)


def direct(address):
    return lambda path, headers: fcgi.get(address, path, timeout=10, headers=headers)


def through(server, port=None, version="1.1"):
    """By a web server, or a proxy before it."""
    return lambda path, headers: http_client.get(("127.0.0.1", port or server.port), path, headers=headers, timeout=10,
                                                 version=version)
