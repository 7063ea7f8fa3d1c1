"""The few lines of Redis's protocol that the demo needs, so that it needs no package for them."""

import socket


class Redis:
    """One connection over a Unix socket. Not for two threads at once."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(5)
        self.sock.connect(path)
        self.reader = self.sock.makefile("rb")

    def publish(self, channel, payload):
        """Returns the number of subscriptions that the message went to."""
        words = [b"PUBLISH", channel.encode(), payload.encode()]
        command = b"*%d\r\n" % len(words)
        for word in words:
            command += b"$%d\r\n%s\r\n" % (len(word), word)
        self.sock.sendall(command)
        reply = self.reader.readline()
        if not reply.startswith(b":"):
            raise OSError("Redis answered " + repr(reply))
        return int(reply[1:])

    def close(self):
        self.reader.close()
        self.sock.close()
