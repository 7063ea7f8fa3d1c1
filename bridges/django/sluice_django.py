"""Django and Sluice: publish what was committed, and put a stream's address into a page. Beside it stands bridges/python/sluice.py.

settings.py:
    SLUICE_REDIS = "redis://127.0.0.1:6379/0"
    SLUICE_PREFIX = ""                          # [redis] prefix
    SLUICE_CLUSTER = SLUICE_SHARDED = False     # [redis] cluster, sharded
    SLUICE_BASE = "/events"                     # [server] base
    SLUICE_LINK_KEY = open("/etc/sluice/link.key").read().strip()

In a view, or a signal's receiver:
    from sluice_django import emit, record, stream_url
    order.save()
    emit(f"order:{order.pk}", {"state": order.state})           # when the transaction is committed, and not if it is rolled back
    stream_url(request, f"/orders/{order.pk}")                  # /events/orders/7?expires=…&user=…&signature=…
"""

import functools

import redis
from django.conf import settings
from django.db import transaction

import sluice


@functools.lru_cache(maxsize=None)
def events():
    """What says it: one connection for the process."""
    url = getattr(settings, "SLUICE_REDIS", "redis://127.0.0.1:6379/0")
    client = redis.RedisCluster if getattr(settings, "SLUICE_CLUSTER", False) else redis.Redis
    return sluice.Sluice(client.from_url(url), getattr(settings, "SLUICE_PREFIX", ""), getattr(settings, "SLUICE_SHARDED", False))


def emit(channel, value, using=None):
    """Publish it when the transaction is committed. For what must not be lost if the process dies just then, take an outbox."""
    transaction.on_commit(lambda: events().emit(channel, value), using=using)


def record(channel, value, most=1000, using=None):
    """The same on a recorded channel."""
    transaction.on_commit(lambda: events().record(channel, value, most), using=using)


def stream_url(request, path, seconds=300):
    """The address of a route with `auth = signed`, for this user. Escape what users have named: quote(name, safe="")."""
    user = str(request.user.pk) if request.user.is_authenticated else None
    return sluice.sign_link(getattr(settings, "SLUICE_BASE", "/events") + path, settings.SLUICE_LINK_KEY, seconds, user)
