"""README's lines for a recorded channel, each as it stands there, with the library that it names."""

import os
import re
import subprocess

import pytest

import npm_packages
from program import ROOT

ROUTES = {"room": {"path": "/room/{room}", "channels": "room:{room}", "record": "500"}}
PRELUDES = {
    "Python: redis-py": "import json, redis; r = redis.Redis(unix_socket_path='{path}'); m = {{'n': 1}}\n",
    "PHP: phpredis": "$r = new Redis(); $r->connect('{path}'); $m = ['n' => 1];\n",
    "PHP: Predis": "require 'Predis/autoload.php'; $r = new Predis\\Client(['scheme' => 'unix', 'path' => '{path}']); $m = ['n' => 1];\n",
    "Node: node-redis": "import {{readFileSync}} from 'node:fs'; import {{createClient}} from 'redis';\n"
                        "const script = readFileSync('conf/record.lua', 'utf8'), m = {{n: 1}};\n"
                        "const client = await createClient({{socket: {{path: '{path}'}}}}).connect();\n",
    "Node: ioredis": "import {{readFileSync}} from 'node:fs'; import Redis from 'ioredis';\n"
                     "const script = readFileSync('conf/record.lua', 'utf8'), m = {{n: 1}}, client = new Redis('{path}');\n",
}


def lines():
    """{from: code} of README's table."""
    table = (ROOT / "README.md").read_text().split("[conf/record.lua](conf/record.lua):\n")[1].split("\n\n")[0]
    return dict(re.findall(r"^\| ([^|]+) \| `([^`]*)`[^`\n]*\|$", table, re.M))


def argv(library, code, path):
    if library == "redis-cli":
        return ["bash", "-c", code.replace("redis-cli", f"redis-cli -s {path}")]
    code = PRELUDES[library].format(path=path) + code
    if library.startswith("Python"):
        return ["/usr/bin/python3", "-c", code]
    if library.startswith("PHP"):
        return ["php", "-r", code]
    return ["node", "--input-type=module", "-e", f"process.chdir({str(ROOT)!r});\n{code};\nprocess.exit(0);"]


def test_every_line_is_tried():
    assert set(lines()) >= {"redis-cli", *PRELUDES}


@pytest.mark.parametrize("library", ["redis-cli", *PRELUDES])
def test_record(launch, redis, library):
    sluice = launch(ROUTES)
    stream = sluice.open("/room/a")
    folder = npm_packages.install() if library.startswith("Node") else ROOT
    done = subprocess.run(argv(library, lines()[library], redis.path), cwd=folder, capture_output=True, text=True, timeout=30,
                          env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    event = stream.next_event()
    assert (event.data.replace(" ", ""), re.fullmatch(r"\d+-\d+", event.last_event_id) is not None) == ('{"n":1}', True)
    stream.close()
