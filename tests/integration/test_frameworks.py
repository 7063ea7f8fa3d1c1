"""What stands in bridges/ and conf/ for Laravel and Django, with the frameworks as Debian has them."""

import json
import os
import secrets
import subprocess
from urllib.parse import unquote

from program import ROOT
from test_auth import reason
from waiting import patient

KEY = secrets.token_hex(32)
BROADCAST = {"record": 50, "event": "{.event}", "transform": "message.data"}
ROUTES = {
    "public": {"path": "/broadcast/public/{name}", "channels": "broadcast:public:{name}", **BROADCAST},
    "broadcast": {"path": "/broadcast/{kind}/{name}", "param.kind": "private|presence", "channels": "broadcast:{kind}:{name}", "auth": "signed", **BROADCAST},
    "tagged": {"path": "/tagged/{kind}/{name}", "channels": "broadcast:{{{kind}:{name}}}", "start": "0", **BROADCAST},
    "own": {"path": "/own/{name}", "channels": "laravel_database_{name}", "event": "{.event}", "transform": "message.data"},
}


def test_laravel_broadcasts(launch, redis):
    redis.client().delete("broadcast:private:orders.9:log", "broadcast:public:news:log", "broadcast:{private:orders.9}:log")
    sluice = launch(ROUTES, server={"base": "/events"}, auth={"signed_key": KEY})
    with sluice.open("/events/broadcast/public/news") as news, sluice.open("/events/own/private-orders.9") as own:
        done = subprocess.run(["php", "-d", "display_errors=stderr", "-d", "error_reporting=E_ALL & ~E_DEPRECATED", ROOT / "tests" / "clients" / "laravel-broadcast.php",
                               redis.path, KEY], capture_output=True, text=True, timeout=patient(60), env={**os.environ, "TREE": str(ROOT)})
        assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
        for stream in (news, own):
            assert json.loads(stream.next_of("OrderShipped").data) == {"order": {"id": 9}}
    said = json.loads(done.stdout)
    assert said["refused"] == ["private-orders.9", "private-orders.10", "private-other.9", ""]
    # A link is for the very name that the site has judged.
    for room, link in said["rooms"]:
        assert unquote(link.partition("?")[0]) == f"/events/broadcast/private/rooms.{room}" and "#" not in link and link.count("?") == 1, link
    # It was published before the page came, and is there all the same.
    with sluice.open(said["link"] + "&last_event_id=0-0") as stream:
        assert json.loads(stream.next_of("OrderShipped").data) == {"order": {"id": 9}}
    assert sluice.get("/events/broadcast/private/orders.9").status == 401
    with sluice.open("/events/tagged/private/orders.9") as stream:  # in a cluster channel and log are in one slot
        assert json.loads(stream.next_of("OrderShipped").data) == {"order": {"id": 9}}


DJANGO = """
import os, sys
sys.path[:0] = [os.environ["TREE"] + folder for folder in ("/conf/django", "/bridges/django", "/bridges/python")]
from django.conf import settings
settings.configure(
    SECRET_KEY=os.environ["KEY"], SESSION_ENGINE="sluice_sessions", SLUICE_REDIS=os.environ["REDIS"], SLUICE_LINK_KEY=os.environ["KEY"], SLUICE_FIELDS=["team"],
    ALLOWED_HOSTS=["testserver"], DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.db"}}, DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"], USE_TZ=True,
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware"], ROOT_URLCONF=__name__)
import django
django.setup()
from django.contrib.auth import login, logout
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from sluice_django import emit, stream_url

def enter(request):
    request.session["cart"] = ["apples"]
    login(request, User.objects.get(username="ada"))
    request.session["team"] = "red"
    return HttpResponse(stream_url(request, "/orders/7"))

def leave(request):
    logout(request)
    return HttpResponse("")

urlpatterns = [path("enter", enter), path("leave", leave)]
call_command("migrate", verbosity=0)
user = User.objects.create_user("ada")
client = Client()
link = client.get("/enter").content.decode()
print(client.cookies["sessionid"].value, user.pk, link, flush=True)
sys.stdin.readline()
try:
    with transaction.atomic():
        emit("order:7", {"state": "rolled back"})
        raise ValueError
except ValueError:
    pass
with transaction.atomic():
    emit("order:7", {"state": "paid"})
    print("not yet", flush=True)
sys.stdin.readline()
client.get("/leave")
print("left", flush=True)
"""


def test_django(launch, redis, folder):
    """Sessions in SQL are copied, and gone at logout; what is published waits for the commit."""
    sluice = launch({"mine": {"path": "/mine", "channels": "mine:{user}", "auth": "session", "transform": "claims.team"},
                     "orders": {"path": "/orders/{id}", "channels": "order:{id}", "auth": "signed", "transform": "{state = message.state, user = user}"}},
                    server={"base": "/events"},
                    auth={"session_cookie": "sessionid", "session_key": "django:session:{cookie}", "session_user": "message._auth_user_id", "reauth": "1h",
                          "kick": "sluice:kick", "signed_key": KEY})
    site = subprocess.Popen(["/usr/bin/python3", "-c", DJANGO], cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            env={**os.environ, "TREE": str(ROOT), "KEY": KEY, "REDIS": redis.url, "PYTHONDONTWRITEBYTECODE": "1"})
    try:
        cookie, user, link = site.stdout.readline().split()
        headers = {"Cookie": f"sessionid={cookie}"}
        with sluice.open("/events/mine", headers=headers) as mine, sluice.open(link) as orders:
            redis.publish(f"mine:{user}", "{}")
            assert mine.next_message().data == "red"
            site.stdin.write("\n")
            site.stdin.flush()
            assert site.stdout.readline() == "not yet\n"
            assert json.loads(orders.next_message().data) == {"state": "paid", "user": user}
            site.stdin.write("\n")
            site.stdin.flush()
            assert site.stdout.readline() == "left\n"
            assert reason(mine) == "auth"
        assert sluice.get("/events/mine", headers=headers).status == 401
    finally:
        site.kill()
        site.communicate()
