"""Follows one stream with requests and a reader that is written from the standard. Prints as follow.mjs does.

    follow.py URL
"""

import codecs
import json
import sys
import time

import requests


def say(*what):
    print(json.dumps(what), flush=True)


def lines(response):
    """As requests decodes it: by the charset that the response names, or else as Latin-1."""
    decode = codecs.getincrementaldecoder(response.encoding or "ascii")(errors="replace").decode
    text = ""
    for piece in response.iter_content(None):
        text += decode(piece)
        *whole, text = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        yield from whole


def events(response, at):
    """(type, data) of each event; `at` keeps the last id and the reconnection time, as HTML 9.2.6 says."""
    data, kind, last = [], "", at["id"]
    for line in lines(response):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            at["id"] = last
            if data:
                yield kind or "message", "\n".join(data)
            data, kind = [], ""
        elif name == "data":
            data.append(value)
        elif name == "event":
            kind = value
        elif name == "id" and "\0" not in value:
            last = value
        elif name == "retry" and value.isascii() and value.isdigit():
            at["retry"] = int(value)


def main():
    at = {"id": "", "retry": 3000}
    while True:
        try:
            headers = {"Accept": "text/event-stream", **({"Last-Event-ID": at["id"]} if at["id"] else {})}
            with requests.get(sys.argv[1], stream=True, headers=headers, timeout=60) as response:
                if response.status_code == 204:
                    return say("closed")
                response.raise_for_status()
                for kind, data in events(response, at):
                    say(*(("message", data) if kind == "message" else ("event", kind, data)))
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            pass
        time.sleep(at["retry"] / 1000)


try:
    main()
except Exception as error:
    say("error", repr(error))
    raise
