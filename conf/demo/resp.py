"""The few lines of Redis's protocol that the demo needs, so that it needs no package for them."""

import socket


class Redis:
    """One connection over a Unix socket. Not for two threads at once."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(5)
        self.sock.connect(path)
        self.reader = self.sock.makefile("rb")

    def command(self, *words):
        """What Redis answers: an int, str, None or a list of them."""
        words = [str(word).encode() for word in words]
        self.sock.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        return self._reply()

    def _reply(self):
        line = self.reader.readline()
        kind, rest = line[:1], line[1:].strip()
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return rest.decode()
        if kind == b"$":
            n = int(rest)
            return None if n < 0 else self.reader.read(n + 2)[:-2].decode()
        if kind == b"*":
            n = int(rest)
            return None if n < 0 else [self._reply() for _ in range(n)]
        raise OSError("Redis answered " + repr(line))

    def publish(self, channel, payload):
        """Returns the number of subscriptions that the message went to."""
        return self.command("PUBLISH", channel, payload)

    def close(self):
        self.reader.close()
        self.sock.close()
