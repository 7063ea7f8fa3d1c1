"""cluster = yes: every key is asked for where it is, and what moves is followed."""

import json
import os
import re
import signal
import threading
from pathlib import Path

import pytest
import redis as redis_py

from processes import free_port, is_alive
from test_mux import Mux
from redis_cluster import RedisCluster, slot_of
from waiting import wait_for

ACL = Path(__file__).parents[2] / "conf/redis-cluster.acl"
ROUTES = {
    "x": {"path": "/x/{id}", "channels": "x:{id}", "publish": "x:{id}", "publish_auth": "none"},
    "s": {"path": "/s/{id}", "streams": "s:{id}", "start": "0", "publish_stream": "s:{id}", "publish_auth": "none"},
    "two": {"path": "/two/{a}/{b}", "streams": "s:{a} s:{b}", "start": "0"},
    "r": {"path": "/r/{id}", "channels": "r:{{{id}}}", "record": "10000", "publish": "r:{{{id}}}", "publish_auth": "none",
          "start": "0"},
    "shot": {"path": "/shot/{id}", "channels": "x:{id}", "snapshot": "GET shot:{id}"},
    "q": {"path": "/q/{id}", "handler": "queue", "streams": "q:{id}", "group": "g", "ack": "client"},
    "wait": {"path": "/wait/{id}", "handler": "wait", "channels": "x:{id}", "timeout": "20s"},
    "health": {"path": "/health", "handler": "health"},
    "metrics": {"path": "/metrics", "handler": "metrics"},
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = RedisCluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.end()


@pytest.fixture
def sluice(launch, cluster):
    sluice = launch(ROUTES, link=cluster.link)
    wait_for(lambda: sluice.status()["redis_links"] >= 5, "a link to each node, one for the map, one for channels", 20)
    return sluice


def publish_entry(cluster, key, n):
    """By a client that does not follow what moves, but asks anew. Returns whether it was taken."""
    try:
        return cluster.client_of(key).execute_command("XADD", key, "*", "data", n) is not None
    except redis_py.ResponseError as e:  # MOVED, ASK, TRYAGAIN
        assert str(e).split()[0] in ("MOVED", "ASK", "TRYAGAIN"), e
        return False


def take(stream, n, seconds=20):
    return [stream.next_event(seconds) for _ in range(n)]


def data(events):
    return [json.loads(e.data) for e in events]


def post(sluice, path, value, **headers):
    with sluice.get(path, method="POST", body=json.dumps(value).encode(),
                    CONTENT_TYPE="application/json", headers=headers) as response:
        assert response.status == 202, (response.status, response.rest())
        return response.json()


def test_streams_channels_and_publishing(sluice, cluster):
    ids = [f"{n}" for n in range(30)]  # of all nodes
    streams = {i: sluice.open(f"/s/{i}") for i in ids}
    channels = {i: sluice.open(f"/x/{i}") for i in ids}
    for i in ids:
        post(sluice, f"/s/{i}", {"n": i})
        post(sluice, f"/x/{i}", {"n": i})
        cluster.client_of(f"s:{i}").execute_command("XADD", f"s:{i}", "*", "data", '{"n":"2"}')
    for i in ids:
        assert data(take(streams[i], 2)) == [{"n": i}, {"n": "2"}]
        assert data(take(channels[i], 1)) == [{"n": i}]


def test_recorded_channels_and_what_came_before(sluice, cluster):
    for n in range(12):
        first = post(sluice, f"/r/{n}", {"n": 1})["id"]
        with sluice.open(f"/r/{n}") as stream:
            assert data(take(stream, 1)) == [{"n": 1}]
            post(sluice, f"/r/{n}", {"n": 2})
            assert data(take(stream, 1)) == [{"n": 2}]
        assert cluster.client_of(f"r:{{{n}}}").execute_command("XLEN", f"r:{{{n}}}:log") == 2
        with sluice.open(f"/r/{n}", headers={"Last-Event-ID": first}) as stream:
            assert data(take(stream, 1)) == [{"n": 2}]


def test_snapshots_waits_and_queues(sluice, cluster):
    for n in range(6):
        cluster.client_of(f"shot:{n}").execute_command("SET", f"shot:{n}", f"[{n}]")
        with sluice.open(f"/shot/{n}") as stream:
            event = stream.next_event(20)
            assert (event.type, event.data) == ("snapshot", f"[{n}]")
        with sluice.open(f"/q/{n}") as stream:
            cluster.client_of(f"q:{n}").execute_command("XADD", f"q:{n}", "*", "data", "1")
            event = stream.next_event(20)
            assert event.data == "1"
            with sluice.get(f"/q/{n}?ack={event.last_event_id}", method="POST") as response:
                assert (response.status, response.json()) == (200, {"acked": 1})


def test_published_once(sluice, cluster):
    for n in range(6):
        ids = {post(sluice, path, {"n": n}, **{"Idempotency-Key": "k"})["id"]
               for path in 2 * [f"/s/once{n}"]}
        assert len(ids) == 1
        assert cluster.client_of(f"s:once{n}").execute_command("XLEN", f"s:once{n}") == 1


def test_emit_finds_the_slot(sluice, cluster):
    for n in range(6):
        done = sluice.run("emit", "-c", sluice.config, "--stream", f"s:emit{n}", "[1]")
        assert done.returncode == 0, done.err
        assert cluster.client_of(f"s:emit{n}").execute_command("XLEN", f"s:emit{n}") == 1
        done = sluice.run("emit", "-c", sluice.config, f"r:{{emit{n}}}", "[1]")
        assert done.returncode == 0, done.err
        assert cluster.client_of(f"r:{{emit{n}}}").execute_command("XLEN", f"r:{{emit{n}}}:log") == 1


def test_what_becomes_of_keys(launch, cluster):
    for node in cluster.primaries():
        node.say("CONFIG", "SET", "notify-keyspace-events", "KA")
    sluice = launch({"k": {"path": "/k/{id}", "keyspace": "k:{id}"},
                     "all": {"path": "/all", "keyspace": "k:*", "keyspace_value": "yes"}},
                    link=cluster.link)
    with sluice.open("/all") as every:
        for n in range(9):
            with sluice.open(f"/k/{n}") as one:
                cluster.client_of(f"k:{n}").execute_command("SET", f"k:{n}", "1")
                for stream, value in ((one, {}), (every, {"value": 1})):
                    event = stream.next_event(20)
                    assert (event.type, json.loads(event.data)) == ("set", {"key": f"k:{n}", **value})


def present(sluice, path):
    with sluice.get(f"{path}?mode=poll") as response:
        return response.json()["users"]


@pytest.mark.parametrize("is_sharded", ["no", "yes"])
def test_who_is_here(launch, cluster, is_sharded):
    sluice = launch({"here": {"path": "/here/{room}", "handler": "presence", "channels": "here:{{{room}}}",
                              "presence_events": "yes", "lease": "2s", "linger": "300ms"},
                     "told": {"path": "/told/{room}", "channels": "here:{{{room}}}:presence"}},
                    link={**cluster.link, "sharded": is_sharded})
    rooms = [f"{is_sharded}{n}" for n in range(4)]
    for room in rooms:
        told = sluice.open(f"/told/{room}")
        with sluice.open(f"/here/{room}?name=ada") as ada:
            assert json.loads(ada.next_event(20).data) == {"count": 1, "users": ["ada"]}
            with sluice.open(f"/here/{room}?name=bob") as bob:
                assert json.loads(bob.next_event(20).data) == {"count": 2, "users": ["ada", "bob"]}
                event = ada.next_event(20)
                assert (event.type, json.loads(event.data)) == ("join", {"user": "bob"})
            event = ada.next_event(20)
            assert (event.type, json.loads(event.data)) == ("leave", {"user": "bob"})
        assert data(take(told, 2)) == [{"type": "occupied"}, {"type": "vacated"}]
    keys = [key for node in cluster.primaries() for key in node.client().keys("*here:*")]
    wait_for(lambda: not [k for node in cluster.primaries() for k in node.client().keys("here:*")], f"nobody: {keys}", 20)
    wait_for(lambda: cluster.client_of("sluice:presence").zcard("sluice:presence") == 0, "no room is due", 20)


def until(stream, last):
    """The numbers that came, up to this one."""
    got = []
    while not got or got[-1] < last:
        got.append(int(stream.next_message(30).data))
    return got


class Publisher:
    """Publishes 0, 1, 2… on each path until it is over; every second one with a key, by a script, and then surely."""

    def __init__(self, sluice, paths):
        self.sluice, self.is_over = sluice, threading.Event()
        self.sent = {path: 0 for path in paths}
        self.unsure = {path: set() for path in paths}  # refused, and not said again
        self.n_refused = 0
        self.thread = threading.Thread(target=self._run)

    def _status(self, path, n, headers):
        with self.sluice.get(path, method="POST", body=str(n).encode(), timeout=20, headers=headers,
                             CONTENT_TYPE="application/json") as response:
            response.rest(20)
            return response.status

    def _publish(self, path, n):
        headers = {"Idempotency-Key": f"{path}-{n}"} if n % 2 else {}
        while (status := self._status(path, n, headers)) == 503:
            self.n_refused += 1
            if not headers:
                self.unsure[path].add(n)
                return
        assert status == 202, (path, n, status)

    def _run(self):
        while not self.is_over.is_set():
            for path in self.sent:
                self._publish(path, self.sent[path])
                self.sent[path] += 1

    def load(self):
        return min(self.sent.values())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join(120)

    def check(self, streams):
        """What was sent came, once and in order; and a refusal is what a crowded machine may cause, not a habit."""
        for path, stream in streams.items():
            sure = [v for v in range(self.sent[path]) if v not in self.unsure[path]]
            got = until(stream, sure[-1])
            assert got == [v for v in range(sure[-1] + 1) if v in got or v in sure], path
        assert self.n_refused <= 2


def move_about(cluster, slots, load):
    """Each slot goes to each primary in turn; load() is how much has been published meanwhile: it goes on each time."""
    for to in cluster.primaries():
        for slot in slots:
            cluster.move(slot, to)
        before = load()
        wait_for(lambda: load() > before + 1, "it is published", 60)


def test_slots_move_under_load(sluice, cluster):
    """Streams and recorded channels: nothing is lost, doubled or out of order."""
    names = [f"move{n}" for n in range(8)]
    streams = {path: sluice.open(path) for path in [f"/{kind}/{name}" for kind in "sr" for name in names]}
    slots = [slot_of(f"s:{name}") for name in names] + [slot_of(name) for name in names]
    with Publisher(sluice, streams) as publisher:
        move_about(cluster, slots, publisher.load)
    publisher.check(streams)
    assert sluice.status()["redis_slots_moved"] > 0


def nodes_of(sluice):
    return {node["address"]: node for node in sluice.status()["nodes"]}


def metrics(sluice, name):
    """{the node's address: value}."""
    with sluice.get("/metrics") as response:
        response.rest()
        text = bytes(response.body).decode()
    return {address: int(value) for address, value in
            re.findall(rf'^sluice_{name}\{{node="([^"]+)",role="primary"\}} (\d+)$', text, re.M)}


def health(sluice):
    with sluice.get("/health") as response:
        return response.status, response.json()


def test_each_node_is_told(sluice, cluster):
    addresses = {f"127.0.0.1:{node.port}" for node in cluster.primaries()}
    told = wait_for(lambda: (nodes := nodes_of(sluice)) and all(n["up"] for n in nodes.values()) and nodes, "all are up", 20)
    assert set(told) == addresses
    assert {(node["role"], tuple(node)) for node in told.values()} == {("primary", ("address", "role", "slots", "up"))}
    assert sum(node["slots"] for node in told.values()) == 16384
    wait_for(lambda: metrics(sluice, "redis_node_up") == dict.fromkeys(addresses, 1), "metrics has the same", 20)
    assert sum(metrics(sluice, "redis_node_slots").values()) == 16384


def test_one_redis_has_no_nodes(launch):
    sluice = launch({"metrics": ROUTES["metrics"]})
    assert "nodes" not in sluice.status()
    with sluice.get("/metrics") as response:
        response.rest()
        assert b"redis_up" in response.body and b"redis_node" not in response.body


@pytest.mark.parametrize("more", [{"cluster": "yes"}, {"sentinel_master": "nobody"}])
def test_a_worker_ends_by_itself(launch, cluster, more):
    """Though somebody is asked again and again where all is."""
    sluice = launch({"s": ROUTES["s"]}, link={"url": cluster.nodes[0].url, **more})
    worker = sluice.worker()
    sluice.wait_log("Redis (", 20)
    os.kill(worker, signal.SIGTERM)
    wait_for(lambda: not is_alive(worker), "it has ended", 20)


def test_a_cluster_that_is_not_there(launch):
    sluice = launch({"health": ROUTES["health"]}, link={"url": f"redis://127.0.0.1:{free_port()}", "cluster": "yes"})
    status, told = health(sluice)
    assert (status, told["status"], told["redis"]) == (503, "down", "down")


def test_health_names_a_primary_that_is_away_and_a_cluster_that_is_down(sluice, cluster):
    """The others serve meanwhile, so it is 200."""
    victim = cluster.primaries()[-1]
    address = f"127.0.0.1:{victim.port}"

    def why(word):
        status, told = health(sluice)
        assert status == 200 and told["redis"] == "up", told
        return told["status"] == "degraded" and [text for text in told["why"] if word in text]

    wait_for(lambda: health(sluice)[1]["status"] == "ok", "all is well before", 20)
    for node in cluster.nodes:
        node.say("CONFIG", "SET", "cluster-replica-no-failover", "yes")
    try:
        victim.kill()
        assert wait_for(lambda: why(address), "the node is named", 20) == [f"Nodes of the cluster that are not reached: {address}"]
        assert nodes_of(sluice)[address]["up"] is False
        others = {f"127.0.0.1:{node.port}" for node in cluster.primaries()}
        assert metrics(sluice, "redis_node_up") == {address: 0, **dict.fromkeys(others, 1)}
        cluster.give_up_after(1500)
        wait_for(lambda: why("CLUSTERDOWN"), "the cluster says that it is down", 40)
    finally:
        victim.start()
        cluster.give_up_after(15000)
        for node in cluster.nodes:
            node.say("CONFIG", "SET", "cluster-replica-no-failover", "no")
        wait_for(cluster.is_whole, "the cluster is whole", 60)
    wait_for(lambda: health(sluice) == (200, {"status": "ok", "why": [], "redis": "up"}), "all is well", 40)


class Load:
    """Publishes numbers on paths, each higher than the last, until it is over; a refusal is no fault."""

    def __init__(self, sluice, paths):
        self.sluice, self.paths, self.n, self.is_over = sluice, paths, 0, threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.is_over.is_set():
            for path in self.paths:
                self.n += 1
                with self.sluice.get(path, method="POST", body=str(self.n).encode(), timeout=20,
                                     CONTENT_TYPE="application/json") as response:
                    response.rest(20)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join(60)


def test_a_primary_fails_over(sluice, cluster):
    """Streams and recorded channels: what the new primary has comes, once and in order. Channels are heard again."""
    names = [f"over{n}" for n in range(6)]
    keys = {f"/s/{name}": f"s:{name}" for name in names} | {f"/r/{name}": f"r:{{{name}}}:log" for name in names}
    streams = {path: sluice.open(path) for path in keys}
    channels = {name: sluice.open(f"/x/{name}") for name in names}
    victim = cluster.node_of(keys["/s/over0"])
    with Load(sluice, list(keys)) as load:
        wait_for(lambda: load.n > 60, "there is load", 20)
        cluster.give_up_after(1500)
        victim.kill()
        wait_for(lambda: cluster.node_of(keys["/s/over0"]) is not victim, "a replica is promoted", 40)
        n = load.n
        wait_for(lambda: load.n > n + 120, "it goes on", 40)
    try:
        for path, key in keys.items():
            held = [int(fields[b"data"]) for _, fields in cluster.client_of(key).xrange(key)]
            got = until(streams[path], held[-1])
            assert got == sorted(set(got)), f"{path}: doubled or out of order: {got}"
            assert not set(held) - set(got), f"{path}: lost: {sorted(set(held) - set(got))}"
        for name, stream in channels.items():
            wait_for(lambda path=f"/x/{name}": post(sluice, path, 7), "it is published", 20)
            assert stream.next_message(20).data == "7"
    finally:
        cluster.give_up_after(15000)
        victim.start()
        wait_for(cluster.is_whole, "the cluster is whole", 60)


@pytest.fixture
def sharded(launch, cluster):
    sluice = launch({name: ROUTES[name] for name in ("x", "r", "s", "wait")} | {
        "mux": {"path": "/mux", "handler": "mux", "routes": "x s"}, "q": {**ROUTES["q"], "streams": "q:{{{id}}}"}},
        link={**cluster.link, "sharded": "yes"})
    wait_for(lambda: sluice.status()["redis_links"] >= 5, "a link to each node", 20)
    return sluice


def test_sharded_channels(sharded, cluster):
    names = [f"shard{n}" for n in range(9)]
    streams = {name: sharded.open(f"/x/{name}") for name in names}
    for name in names:
        wait_for(lambda: post(sharded, f"/x/{name}", 0)["receivers"] == 1, "it is followed where it is", 20)
        assert take(streams[name], 1)[0].data == "0"
        assert cluster.client_of(f"x:{name}").execute_command("SPUBLISH", f"x:{name}", "2") == 1
        done = sharded.run("emit", "-c", sharded.config, f"x:{name}", "3")
        assert (done.returncode, done.out) == (0, "1 receiver\n"), done.err
        assert data(take(streams[name], 2)) == [2, 3]
    for name in names:
        post(sharded, f"/r/{name}", 1)
        with sharded.open(f"/r/{name}") as stream:
            post(sharded, f"/r/{name}", 2)
            post(sharded, f"/r/{name}", 3, **{"Idempotency-Key": "k"})
            assert data(take(stream, 3)) == [1, 2, 3]


def gaps_and_messages(stream, last):
    """What came up to this number: its gaps (True), and the numbers."""
    got = []
    while not got or got[-1] is True or got[-1] < last:
        event = stream.next_event(20, skip=("keep-alive", "stream-open"))
        assert event.type in ("message", "stream-reset"), event.type
        got.append(event.type == "stream-reset" or int(event.data))
    return got


def test_sharded_slots_move(sharded, cluster):
    """The node unsubscribes: what was missed is told as a gap, and is in order otherwise. What is recorded has none."""
    names = [f"gap{n}" for n in range(6)]
    channels = {f"/x/{name}": sharded.open(f"/x/{name}") for name in names}
    recorded = {f"/r/{name}": sharded.open(f"/r/{name}") for name in names}
    slots = [slot_of(f"x:{name}") for name in names] + [slot_of(name) for name in names]
    with Publisher(sharded, recorded | channels) as publisher:
        move_about(cluster, slots, publisher.load)
    publisher.check(recorded)
    for path, stream in channels.items():
        wait_for(lambda: post(sharded, path, 10 ** 6)["receivers"] == 1, "somebody hears it", 20)
        got = gaps_and_messages(stream, 10 ** 6)
        assert True in got, path
        numbers = [v for v in got if v is not True]
        assert numbers == sorted(set(numbers)), f"{path}: doubled or out of order: {numbers}"
        for before, after in zip(got, got[1:]):
            assert before is True or after is True or after in (before + 1, 10 ** 6), f"{path}: a gap that is not told: {got}"


def test_a_queue_while_its_slot_moves(sharded, cluster):
    """Each entry is given out once, in order, and can be acknowledged."""
    slot, n, got = slot_of("moved"), 0, []
    is_over = threading.Event()

    def add():
        nonlocal n
        while not is_over.is_set():
            n += publish_entry(cluster, "q:{moved}", n)

    with sharded.open("/q/moved") as stream:
        writer = threading.Thread(target=add)
        writer.start()
        try:
            for _ in range(2):
                move_about(cluster, [slot], lambda: n)
        finally:
            is_over.set()
            writer.join(60)
        while len(got) < n:
            event = stream.next_event(20)
            assert event.type == "message", (event.type, event.data, got[-3:])
            got.append(int(event.data))
            with sharded.get(f"/q/moved?ack={event.last_event_id}", method="POST") as response:
                assert (response.status, response.json()) == (200, {"acked": 1})
    assert n > 3 and got == list(range(n))
    assert cluster.client_of("{moved}").execute_command("XPENDING", "q:{moved}", "g")["pending"] == 0


def test_sharded_acknowledgements_and_mux(sharded, cluster):
    with sharded.open("/q/1") as stream:
        cluster.client_of("{1}").execute_command("XADD", "q:{1}", "*", "data", "1")
        with sharded.get(f"/q/1?ack={stream.next_event(20).last_event_id}", method="POST") as response:
            assert (response.status, response.json()) == (200, {"acked": 1})
    with Mux(sharded) as mux:
        mux.change(add=[["1", "/x/carried"]])
        mux.opened("1")
        post(sharded, "/x/carried", 5)
        assert mux.next(20)[3] == "5"


def test_the_rights_of_the_acl(launch, cluster):
    """conf/redis-cluster.acl is enough, and lets nothing be touched outside the prefix."""
    rights = next(line for line in ACL.read_text().splitlines() if line.startswith("user ")).split()[2:]
    for node in cluster.nodes:
        node.say("ACL SETUSER", "sluice", "reset", *[word.replace("CHANGE-ME", "pass") for word in rights])
    url = cluster.nodes[0].url.replace("//", "//sluice:pass@")
    for is_sharded in ("no", "yes"):
        sluice = launch({name: ROUTES[name] for name in ("x", "s", "r", "shot")} | {
            "q": {**ROUTES["q"], "streams": "q:{{{id}}}"}}, name=f"acl{is_sharded}",
            link={**cluster.link, "url": url, "prefix": "app:", "sharded": is_sharded})
        wait_for(lambda: sluice.status()["redis_links"] >= 5, "a link to each node", 20)
        for n in range(3):
            name = f"acl{is_sharded}{n}"
            with sluice.open(f"/s/{name}") as stream, sluice.open(f"/x/{name}") as channel, \
                    sluice.open(f"/r/{name}") as recorded, sluice.open(f"/q/{name}") as queue:
                for path in (f"/s/{name}", f"/x/{name}", f"/r/{name}"):
                    post(sluice, path, 1, **{"Idempotency-Key": "k"})
                cluster.client_of(name).execute_command("XADD", f"app:q:{{{name}}}", "*", "data", "1")
                for one in (stream, channel, recorded, queue):
                    assert one.next_message(20).data == "1"
        status = sluice.status()
        assert status["redis_refusals"] == 0
        assert "CLIENT TRACKING" not in sluice.log()
        done = sluice.run("check", "--connect", "-c", sluice.config)
        assert done.returncode == 0 and "16384 of 16384" in done.out, done.out + done.err


def test_check_says_what_is_not_in_one_slot(launch, cluster):
    sluice = launch({"r": {"path": "/r/{id}", "channels": "r:{id}", "record": 5},
                     "p": {"path": "/p", "patterns": "p:*"},
                     "dead": {**ROUTES["q"], "dead_letter": "dead:{id}"},
                     "many": {"path": "/many/{id}", "channels": "m:{id}", "snapshot": "MGET a:{id} b:{id}"},
                     "one": {"path": "/one/{id}", "channels": "m:{id}", "snapshot": "MGET a:{{{id}}} b:{{{id}}}"}},
                    link={**cluster.link, "sharded": "yes"}, start=False)
    done = sluice.run("check", "-c", sluice.config)
    assert done.returncode == 1
    told = done.err + done.out
    for where in ("[route r] record", "[route p] patterns", "[route dead] dead_letter", "[route dead] streams",
                  "[route many] snapshot"):
        assert where in told, told
    assert "[route one]" not in told
