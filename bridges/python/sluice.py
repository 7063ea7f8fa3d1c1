"""What a Python site says to Sluice, without dependencies: publish, sign a link, make a token, end a user's streams, and know where
a page that is rendered now must begin.

    import redis, sluice
    events = sluice.Sluice(redis.Redis())
    events.emit("job:42:progress", {"percent": 40})

Names are those of the channels, with `prefix` of sluice.ini put before them here.
"""

import base64
import hashlib
import hmac
import json
import time
from urllib.parse import quote, urlencode

RECORD = """
local id = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'data', ARGV[1])
return {id, redis.call(ARGV[3], KEYS[1], '\\30' .. id .. '\\n' .. ARGV[1])}
"""
SPUBLISH = "return redis.call('SPUBLISH', KEYS[1], ARGV[1])"


def _json(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _text(value):
    return value.decode() if isinstance(value, bytes) else value


class Sluice:
    """`redis` is redis-py's client (in a cluster its RedisCluster), or whatever has execute_command(); `sharded` that of sluice.ini."""

    def __init__(self, redis, prefix="", sharded=False):
        self._redis, self._prefix = redis, prefix
        self._publish = "SPUBLISH" if sharded else "PUBLISH"

    def emit(self, channel, value):
        """On a channel. Gives how many workers of Sluice heard it."""
        return self._say(channel, _json(value))

    def emit_stream(self, stream, value, most=1000):
        """To a stream (`streams = …`), of which about `most` entries are kept. Gives the entry's id."""
        return _text(self._redis.execute_command("XADD", self._prefix + stream, "MAXLEN", "~", most, "*", "data", _json(value)))

    def record(self, channel, value, most=1000):
        """On a recorded channel (`record = …`), which keeps about `most`. Gives the message's id. In a cluster it needs a hash tag: "room:{7}"."""
        name = self._prefix + channel
        return _text(self._redis.execute_command("EVAL", RECORD, 2, name, f"{name}:log", _json(value), most, self._publish)[0])

    def cursor(self, *streams):
        """The id behind which a page that is rendered now must follow a route: say it as last_event_id, or as `from` of the
        client library. Name the route's streams in its order; of a recorded channel its log, as in "room:a:log". Ask before
        you query the database. (For routes whose streams are named by {user} or a claim ask `sluice cursor`.)
        """
        return ",".join(self._last_id(self._prefix + stream) for stream in streams)

    def kick(self, user, channel="sluice:kick"):
        """Ends the streams of a user, to be judged anew when they are back; `channel` is `kick` of sluice.ini."""
        self._say(channel, f"user:{user}")

    def _say(self, channel, text):
        """RedisCluster knows where EVAL has its key, and not where SPUBLISH has it, before redis-py 5."""
        words = ["EVAL", SPUBLISH, 1] if self._publish == "SPUBLISH" else ["PUBLISH"]
        return self._redis.execute_command(*words, self._prefix + channel, text)

    def _last_id(self, stream):
        if not self._redis.execute_command("EXISTS", stream):
            return "0-0"
        said = self._redis.execute_command("XINFO STREAM", stream)
        return _text(said["last-generated-id"])


def sign_link(path, key, ttl=3600, user=None, may=None):
    """A link for `auth = signed`: `path` as the browser will ask for it, so escape what users have named: quote(name, safe=""), for
    "room?" would be "room". It may read, or with may="publish" publish.
    """
    what = {"expires": int(time.time()) + ttl, "user": user, "may": may}
    query = urlencode({name: value for name, value in what.items() if value is not None}, quote_via=quote, safe="")
    link = f"{path}{'&' if '?' in path else '?'}{query}"
    return f"{link}&signature={hmac.new(key.encode(), link.encode(), hashlib.sha256).hexdigest()}"


def token(user, key, ttl=3600, **claims):
    """A token for `auth = jwt` with jwt_key."""
    def b64(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    parts = {"alg": "HS256", "typ": "JWT"}, {"sub": str(user), "exp": int(time.time()) + ttl, **claims}
    text = ".".join(b64(_json(part).encode()) for part in parts)
    return f"{text}.{b64(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest())}"
