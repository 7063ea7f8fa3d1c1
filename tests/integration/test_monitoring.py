"""Alert rules and dashboard: promtool reads the rules, and every query of both finds something in what Sluice really tells."""

import json
import re
import subprocess
import urllib.parse
import urllib.request

import pytest

import webservers
from processes import Child, free_port
from program import ROOT
from waiting import patient, wait_for

RULES = ROOT / "conf" / "monitoring" / "sluice.rules.yml"
DASHBOARD = ROOT / "conf" / "monitoring" / "grafana-dashboard.json"
PAGE = ROOT / "docs" / "explanation" / "alerts.md"
NAME = re.compile(r"\bsluice_[a-z0-9_]+")


def queries():
    board = json.loads(DASHBOARD.read_text())
    return [(panel["title"], target["expr"].replace("$instance", ".*").replace("$route", ".*")) for panel in board["panels"] for target in panel["targets"]]


def alerts():
    """{name: expression}, with a reader of what these rules are written in."""
    text = RULES.read_text()
    found = {}
    for piece in text.split("- alert: ")[1:]:
        expr = re.search(r"expr: (?:\|\n((?: {10}.*\n)+)|(.*))", piece)
        found[piece.split("\n")[0].strip()] = " ".join((expr[1] or expr[2]).split())
    return found


class Prometheus:
    def __init__(self, folder, target):
        self.folder, self.port = folder / "prometheus", free_port()
        self.folder.mkdir()
        (self.folder / "prometheus.yml").write_text(f"""
global: {{ scrape_interval: 1s, evaluation_interval: 1s }}
rule_files: [ {RULES} ]
scrape_configs:
  - job_name: sluice
    metrics_path: /events/metrics
    static_configs: [ {{ targets: [ "127.0.0.1:{target}" ] }} ]
""")
        self.child = Child("prometheus", ["prometheus", f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/data",
                                          f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"], folder)
        self.child.wait_ready(self.is_ready, 30)

    def get(self, path, **query):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(query)}", timeout=20) as answer:
            return answer.read()

    def is_ready(self):
        try:
            return self.get("/-/ready")
        except OSError:
            return False

    def ask(self, query):
        answer = json.loads(self.get("/api/v1/query", query=query))
        assert answer["status"] == "success", answer
        return answer["data"]["result"]


@pytest.fixture
def watched(launch, serve, folder, redis):
    """A Sluice that has done something of all that can be counted without trouble, and a Prometheus that knows it."""
    sluice = launch({"orders": {"path": "/orders", "channels": "mon:orders", "filter": "message.n > 0"}, "metrics": {"path": "/metrics", "handler": "metrics"},
                     "mine": {"path": "/mine", "channels": "x", "auth": "jwt"}},
                    server={"base": "/events"}, auth={"jwt_key": "0123456789abcdef0123456789abcdef"})
    server = serve(webservers.ALL["lighttpd"], sluice.path)
    with sluice.open("/events/orders") as stream:
        for n in (0, 1):
            redis.publish("mon:orders", json.dumps({"n": n}))
        assert json.loads(stream.next_message().data) == {"n": 1}
        assert server.get("/events/mine").status == 401
        prometheus = Prometheus(folder, server.port)
        try:
            yield prometheus, server
        finally:
            prometheus.child.end()


def test_every_query_finds_something(watched):
    prometheus, server = watched
    wait_for(lambda: len(prometheus.ask("sluice_up[1m]")[0]["values"]) > 2 if prometheus.ask("sluice_up") else False, "three samples", 30)
    for title, query in queries():
        assert prometheus.ask(query), f"{title}: {query}"
    answer = server.get("/events/metrics")
    answer.rest()
    told = set(NAME.findall(bytes(answer.body).decode()))
    for name, expr in alerts().items():
        prometheus.ask(expr)
        unknown = set(NAME.findall(expr)) - told
        assert not unknown, f"{name} asks {unknown}"
    assert prometheus.ask('up{job="sluice"} == 1')
    firing = json.loads(prometheus.get("/api/v1/alerts"))["data"]["alerts"]
    assert [a["labels"]["alertname"] for a in firing if a["state"] == "firing"] == [], "none when all is well"


# What goes wrong, and which alert must say so: series as promtool writes them, at minute 30.
CASES = {
    "SluiceAway": ('up{job="sluice",instance="a"}', "0x60"),
    "SluiceWithoutRedis": ('sluice_redis_up{instance="a"}', "0x60"),
    "SluiceRedisFlaps": ('sluice_redis_lost_total{instance="a"}', "0+1x60"),
    "SluiceRedisRefuses": ('sluice_redis_refusals_total{instance="a"}', "0+1x60"),
    "SluiceRouteFails": ('sluice_failed_total{instance="a"}', "0+1x60"),
    "SluiceDropsForMemory": ('sluice_dropped_memory_total{instance="a"}', "0+1x60"),
    "SluiceRefusesClients": ('sluice_route_refused_total{instance="a",route="r",status="429"}', "0+9x60"),
    "SluiceRefusesCredentials": ('sluice_route_refused_total{instance="a",route="r",status="401"}', "0+90x60"),
    "SluiceDeadLetters": ('sluice_dead_lettered_total{instance="a"}', "0+1x60"),
    "SluiceConfigurationRefused": ('sluice_reloads_refused_total{instance="a"}', "0+1x60"),
    "SluiceIsLate": ('sluice_route_delivery_seconds_bucket{instance="a",route="r",le="+Inf"}', "0+90x60"),
    "SluiceWorkersEnd": ('sluice_workers_died_total{instance="a"}', "0+1x60"),
    "SluiceDropsMessages": ('sluice_dropped_invalid_total{instance="a"}', "0+1x60"),
    "SluiceClientsTooSlow": ('sluice_slow_total{instance="a"}', "0+5x60"),
}
# What the expression needs beside it.
BESIDE = {
    "SluiceIsLate": [('sluice_route_delivery_seconds_bucket{instance="a",route="r",le="1"}', "0+80x60"),
                     ('sluice_route_delivery_seconds_bucket{instance="a",route="r",le="0.1"}', "0+1x60"),
                     ('sluice_route_delivery_seconds_count{instance="a",route="r"}', "0+90x60")],
    "SluiceWorkersEnd": [('sluice_workers_hung_total{instance="a"}', "0x60")],
    "SluiceDropsMessages": [('sluice_dropped_reserved_total{instance="a"}', "0x60")],
    "SluiceClientsTooSlow": [('sluice_subscribers{instance="a"}', "100x60")],
}


def test_rules_fire(tmp_path):
    assert set(CASES) == set(alerts()), "each alert has its case"
    subprocess.run(["promtool", "check", "rules", RULES], check=True, capture_output=True, timeout=patient(60))
    tests = []
    for name, series in CASES.items():
        given = [series, *BESIDE.get(name, [])]
        # SluiceAway fires when nothing is known of the job, so it is there in each other case.
        if name != "SluiceAway":
            given.append(('up{job="sluice",instance="a"}', "1x60"))
        tests.append({"interval": "1m", "input_series": [{"series": s, "values": v} for s, v in given],
                      "promql_expr_test": [{"expr": f'count(ALERTS{{alertstate="firing",alertname="{name}"}})', "eval_time": "30m",
                                            "exp_samples": [{"value": 1, "labels": "{}"}]},
                                           {"expr": f'count(ALERTS{{alertstate="firing",alertname!="{name}"}})', "eval_time": "30m", "exp_samples": []}]})
    (tmp_path / "test.yml").write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run(["promtool", "test", "rules", tmp_path / "test.yml"], capture_output=True, text=True, timeout=patient(60))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_explains_each():
    text = PAGE.read_text()
    assert {name for name in re.findall(r"`(Sluice[A-Z]\w+)`", text)} == set(alerts())
