"""Django's sessions in SQL, with a copy of who is logged in for Sluice, in Redis.

settings.py:
    SESSION_ENGINE = "sluice_sessions"          # this file, somewhere on the path
    SLUICE_REDIS = "redis://127.0.0.1:6379/0"
    SLUICE_FIELDS = ["team"]                    # of the session, beside the user, if routes need more

sluice.ini:
    [auth]
    session_cookie = sessionid
    session_key = django:session:{cookie}
    session_user = message._auth_user_id
    kick = sluice:kick
"""

import json
import logging

import redis
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

KEY, KICK = "django:session:%s", "sluice:kick"
client = redis.Redis.from_url(getattr(settings, "SLUICE_REDIS", "redis://127.0.0.1:6379/0"), socket_timeout=2)


class SessionStore(DatabaseStore):
    def save(self, must_create=False):
        super().save(must_create)
        copy = {name: self[name] for name in ("_auth_user_id", *getattr(settings, "SLUICE_FIELDS", ())) if name in self}
        try:
            client.set(KEY % self.session_key, json.dumps(copy), ex=max(1, self.get_expiry_age()))
        except redis.RedisError:
            # The site goes on; streams of this session wait, or are refused, until it is saved again.
            logging.getLogger("sluice").exception("the session was not copied")

    def delete(self, session_key=None):
        """At logout, too. Without Redis it fails, rather than leave a copy with which streams stay open."""
        key = session_key or self.session_key
        if key:
            with client.pipeline(transaction=True) as both:
                both.delete(KEY % key)
                both.publish(KICK, f"session:{key}")
                both.execute()
        super().delete(session_key)
