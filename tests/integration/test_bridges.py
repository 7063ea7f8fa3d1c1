"""The PHP and the Python file for sites, with each Redis library: all that they say is understood."""

import json
import os
import secrets
import subprocess

import pytest

from program import ROOT
from redis_cluster import RedisCluster
from test_publish import post
from waiting import wait_for

KEY = secrets.token_hex(32)
ROUTES = {
    "channel": {"path": "/channel", "channels": "ch"},
    "stream": {"path": "/stream", "streams": "st other"},
    "room": {"path": "/room", "channels": "room", "record": 50},
    "signed": {"path": "/signed/{id}", "channels": "signed", "auth": "signed", "publish": "signed", "publish_auth": "signed",
               "transform": "{user = user, text = message}"},
    "token": {"path": "/token", "channels": "tok", "auth": "jwt", "allow": "claims.admin == true", "transform": "user"},
}
PREFIX = "br:"
VALUE = {"n": 1.5, "text": "é/ü \u2028", "list": [1, None, True]}
PHP = """
    require '{root}/bridges/php/Sluice.php';
    {connect}
    $s = new Sluice($r, 'br:');
    $v = json_decode('{value}', true);
    $said = ['cursor' => $s->cursor('st', 'other'), 'emit' => $s->emit('ch', $v), 'stream' => $s->emitStream('st', $v),
        'record' => $s->record('room', $v), 'room' => $s->cursor('room:log'), 'behind' => $s->cursor('st', 'other'),
        'link' => Sluice::signLink('/signed/a', '{key}', 60, 'ada@example.org'), 'post' => Sluice::signLink('/signed/a?x=1', '{key}', 60, null, 'publish'),
        'token' => Sluice::token('zoe', '{key}', 60, ['admin' => true])];
    try {{ $s->emitStream('string', 1); }} catch (RuntimeException $e) {{ $said['fault'] = $e->getMessage(); }}
    $s->kick('zoe');
    echo json_encode($said);
"""
PYTHON = """
import json, sys
sys.path.insert(0, '{root}/bridges/python')
import redis, sluice
r = redis.Redis(unix_socket_path='{path}'{more})
s = sluice.Sluice(r, 'br:')
v = json.loads('{value}')
said = {{'cursor': s.cursor('st', 'other'), 'emit': s.emit('ch', v), 'stream': s.emit_stream('st', v), 'record': s.record('room', v),
    'room': s.cursor('room:log'), 'behind': s.cursor('st', 'other'), 'link': sluice.sign_link('/signed/a', '{key}', 60, 'ada@example.org'),
    'post': sluice.sign_link('/signed/a?x=1', '{key}', 60, may='publish'), 'token': sluice.token('zoe', '{key}', 60, admin=True)}}
try:
    s.emit_stream('string', 1)
except redis.ResponseError as e:
    said['fault'] = str(e)
s.kick('zoe')
print(json.dumps(said))
"""
LIBRARIES = {
    "phpredis": (PHP, "$r = new Redis(); $r->connect('{path}');"),
    "Predis": (PHP, "require 'Predis/autoload.php'; $r = new Predis\\Client(['scheme' => 'unix', 'path' => '{path}']);"),
    "redis-py": (PYTHON, ""),
    "redis-py, decoded": (PYTHON, ", decode_responses=True"),
}


def run(library, path):
    program, how = LIBRARIES[library]
    text = program.format(root=ROOT, path=path, key=KEY, value=json.dumps(VALUE).replace("\\", "\\\\"), connect=how.format(path=path), more=how)
    return execute(program is PHP, text)


def execute(is_php, text):
    argv = ["php", "-d", "display_errors=stderr", "-r", text] if is_php else ["/usr/bin/python3", "-c", text]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_site_says_it(launch, redis, library):
    client = redis.client()
    client.delete(*(PREFIX + name for name in ("st", "other", "room:log", "string")))
    client.set(PREFIX + "string", "none")
    before = client.xadd(PREFIX + "st", {"data": "0"}).decode()
    sluice = launch(ROUTES, link={"prefix": PREFIX},
                    auth={"signed_key": KEY, "jwt_key": KEY, "jwt_query": "token", "kick": "sluice:kick"})
    with sluice.open("/channel") as channel, sluice.open("/room") as room:
        said = run(library, redis.path)
        assert json.loads(channel.next_message().data) == VALUE
        event = room.next_message()
        assert (json.loads(event.data), event.last_event_id) == (VALUE, said["record"])
    assert said["emit"] == 1
    assert said["cursor"] == f"{before},0-0"
    assert said["behind"] == f"{said['stream']},0-0"
    assert said["room"] == said["record"]
    assert "WRONGTYPE" in said["fault"] or "wrong kind" in said["fault"]
    with sluice.open("/stream", headers={"Last-Event-ID": said["cursor"]}) as stream:
        assert json.loads(stream.next_message().data) == VALUE
    with sluice.open(said["link"]) as signed:
        assert sluice.get(said["link"].replace("signed/a", "signed/b")).status == 401
        assert post(sluice, said["link"], '"hi"')[0] == 403, "it only reads"
        assert post(sluice, said["post"], '"hi"')[0] == 202
        assert json.loads(signed.next_message().data) == {"user": "ada@example.org", "text": "hi"}
    with sluice.open(f"/token?token={said['token']}") as stream:
        client.publish(PREFIX + "tok", "1")
        assert stream.next_message().data == "zoe"
        client.publish(PREFIX + "sluice:kick", "user:zoe")
        wait_for(lambda: stream.next_of("stream-end"), "it is kicked")


SHARDED_PHP = """
    require '{root}/bridges/php/Sluice.php';
    require 'Predis/autoload.php';
    {connect}
    $s = new Sluice($r, 'br:', true);
    for ($i = 0; $i < 4; $i++) {{
        $said[] = [$s->emit("ch:$i", $i), $s->record("room:{{{{$i}}}}", $i), $s->cursor("room:{{{{$i}}}}:log"), $s->emitStream("st:$i", $i)];
    }}
    $s->kick('zoe');
    try {{ $s->emitStream('string', 1); }} catch (RuntimeException $e) {{ $said[] = $e->getMessage(); }}
    echo json_encode($said);
"""
SHARDED_PYTHON = """
import json, logging, sys
sys.path.insert(0, '{root}/bridges/python')
import redis, sluice
logging.disable()  # RedisCluster tells what it raises
s = sluice.Sluice(redis.RedisCluster(host='127.0.0.1', port={port}), 'br:', sharded=True)
said = [[s.emit(f'ch:{{i}}', i), s.record(f'room:{{{{{{i}}}}}}', i), s.cursor(f'room:{{{{{{i}}}}}}:log'), s.emit_stream(f'st:{{i}}', i)] for i in range(4)]
s.kick('zoe')
try:
    s.emit_stream('string', 1)
except redis.ResponseError as e:
    said.append(str(e))
print(json.dumps(said))
"""
SHARDED = {
    "phpredis": (SHARDED_PHP, "$r = new RedisCluster(null, ['127.0.0.1:{port}']);"),
    "Predis": (SHARDED_PHP, "$r = new Predis\\Client(['tcp://127.0.0.1:{port}'], ['cluster' => 'redis']);"),
    "redis-py": (SHARDED_PYTHON, ""),
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = RedisCluster(tmp_path_factory.mktemp("cluster"), replicas=False)
    yield made
    made.end()


@pytest.mark.parametrize("library", SHARDED)
def test_a_site_says_it_in_a_cluster(launch, cluster, library):
    """Sharded channels, each at its node; kick, too."""
    cluster.client_of("br:string").set("br:string", "none")
    sluice = launch({"ch": {"path": "/ch/{id}", "channels": "ch:{id}"}, "token": ROUTES["token"],
                     "room": {"path": "/room/{id}", "channels": "room:{{{id}}}", "record": 50}},
                    link={**cluster.link, "sharded": "yes", "prefix": PREFIX}, auth={"jwt_key": KEY, "jwt_query": "token", "kick": "sluice:kick"})
    token = sluice.run("token", "-c", sluice.config, "--user", "zoe", "--claim", "admin=true").out.strip()
    channels, rooms = ([sluice.open(f"/{route}/{i}") for i in range(4)] for route in ("ch", "room"))
    with sluice.open(f"/token?token={token}") as stream:
        program, how = SHARDED[library]
        text = program.format(root=ROOT, port=cluster.nodes[0].port, connect=how.format(port=cluster.nodes[0].port))
        said = execute(program is SHARDED_PHP, text)
        assert "WRONGTYPE" in said[4] or "wrong kind" in said[4], said
        for i, (heard, id, cursor, _) in enumerate(said[:4]):
            assert (heard, cursor) == (1, id)
            assert channels[i].next_message(20).data == str(i)
            event = rooms[i].next_message(20)
            assert (event.data, event.last_event_id) == (str(i), id)
        wait_for(lambda: stream.next_of("stream-end", 20), "it is kicked")


# What Predis 2 and 3 have, as far as the bridge uses it: the constructor is another than that of 1.1.
PREDIS_2 = """
namespace Predis\\Command {{
    final class RawCommand {{
        public $words, $slot;
        public function __construct($id, array $arguments = []) {{ $this->words = [strtoupper($id), ...$arguments]; }}
        public static function create($id, ...$arguments) {{ return new static($id, $arguments); }}
        public function setSlot($slot) {{ $this->slot = $slot; }}
    }}
}}
namespace {{
    require '{root}/bridges/php/Sluice.php';
    class Cluster {{
        public function getConnection() {{ return $this; }}
        public function getClusterStrategy() {{ return $this; }}
        public function getSlotByKey($key) {{ return "slot of $key"; }}
        public function executeCommand($command) {{ $GLOBALS['said'] = [$command->slot, $command->words]; return 3; }}
    }}
    $n = (new Sluice(new Cluster, 'br:'))->emit('ch', 1);
    echo json_encode([$n, $said]);
}}
"""


def test_a_cluster_of_a_newer_predis():
    assert execute(True, PREDIS_2.format(root=ROOT)) == [3, ["slot of br:ch", ["PUBLISH", "br:ch", "1"]]]
