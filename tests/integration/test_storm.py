"""Everything at once for some seconds: clients that come, resume and leave, posts, reloads, and a Redis that trims,
cuts connections and is killed. The worker lives, and at the end nothing is left over."""

import os
import random
import signal
import time

import redis as redis_client

import fcgi
from streams import Disconnected
from test_publish import post
from waiting import Timeout

SECONDS = 8
SCRIPT = """
    local n = 0
    event:after(30)
    return function(channel, message, event)
        n = n + 1
        if channel == nil then event:after(30) return {tick = n} end
        if message == null then return nil end
        return {message = message, n = n}
    end"""
ROUTES = {
    "stream": {"path": "/stream/{k}", "streams": "z:{k}", "start": "last:5", "snapshot": "GET z:now", "history": 50,
               "publish_stream": "z:{k}", "publish_auth": "none"},
    "two": {"path": "/two", "streams": "z:a z:b", "filter": "true", "batch": "3/50ms"},
    "recorded": {"path": "/recorded/{k}", "channels": "zr:{k}", "record": 50, "script": "storm.lua", "rate": "50/s",
                 "rate_mode": "latest", "publish": "zr:{k}", "publish_auth": "none"},
    "poll": {"path": "/poll", "handler": "poll", "command": "XLEN z:a", "interval": "20ms"},
    "wait": {"path": "/wait/{k}", "handler": "wait", "channels": "zr:{k}", "record": 50, "timeout": "300ms"},
    "channel": {"path": "/channel/{k}", "channels": "zr:{k}", "snapshot": "GET z:now", "max_events": 20, "lifetime": "1s"},
}
PATHS = ["/stream/a", "/stream/b", "/two", "/recorded/a", "/recorded/b", "/poll", "/wait/a", "/wait/a?after=0-0", "/channel/a"]
BODIES = ['{"n":1}', "null", "[1,2]", '"x"']


class Storm:
    def __init__(self, sluice, redis):
        self.sluice, self.redis = sluice, redis
        self.random = random.Random(7)
        self.open = []
        self.last = {}

    def come(self):
        path = self.random.choice(PATHS)
        headers = {}
        if self.random.random() < 0.6:
            headers["Last-Event-ID"] = self.last.get(path, self.random.choice(["0-0", "0-0,0-0", "junk", "1-1"]))
        connection = fcgi.Connection(self.sluice.address)
        connection.send(fcgi.request(path, headers=headers))
        self.open.append((path, connection))
        if len(self.open) > 60:
            self.open.pop(0)[1].close()

    def read_and_leave(self):
        if not self.open:
            return
        path, connection = self.open.pop(self.random.randrange(len(self.open)))
        try:
            response = fcgi.Response(connection, timeout=0.05)
            for _ in range(5):
                response.next_event(0.02)
            self.last[path] = response.parser.last_event_id or self.last.get(path, "0-0")
        finally:
            connection.close()

    def publish(self):
        post(self.sluice, self.random.choice(["/stream/a", "/stream/b", "/recorded/a", "/recorded/b"]),
             self.random.choice(BODIES))

    def trim(self):
        client = self.redis.client()
        if self.random.random() < 0.7:
            client.xtrim("z:a", maxlen=3, approximate=False)
        else:
            client.delete(self.random.choice(["z:a", "z:b", "zr:a:log"]))

    def reload(self):
        self.sluice.sections["route recorded"]["record"] += 1
        self.sluice.write_config()
        os.kill(self.sluice.child.pid, signal.SIGHUP)

    def cut(self):
        client = self.redis.client()
        for one in client.client_list():
            if one["name"] and self.random.random() < 0.5:
                client.client_kill(one["addr"])

    def kill(self):
        self.redis.kill()
        self.redis.start()

    def step(self):
        deeds = [(self.come, 45), (self.read_and_leave, 20), (self.publish, 25), (self.trim, 4), (self.reload, 2),
                 (self.cut, 1), (self.kill, 0.3)]
        deed, = self.random.choices([d for d, _ in deeds], [w for _, w in deeds])
        try:
            deed()
        except (OSError, AssertionError, Timeout, Disconnected, redis_client.RedisError, ValueError):
            pass  # refused, late or cut off: that is the weather


def test_storm(launch, own_redis):
    redis = own_redis(options=("--appendonly", "yes")).start()
    sluice = launch(ROUTES, redis=redis, start=False, server={"log_level": "warn"})
    (sluice.folder / "storm.lua").write_text(SCRIPT)
    sluice.start()
    worker = sluice.worker()
    storm = Storm(sluice, redis)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        storm.step()
    for _, connection in storm.open:
        connection.close()
    assert sluice.worker() == worker, sluice.log()[-3000:]
    sluice.wait_subscribers(0)
    sluice.wait_status("feeds", 0)
