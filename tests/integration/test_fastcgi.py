"""FastCGI on raw bytes. Whatever a peer sends, others do not notice.

Beside each case a control subscriber gets an event, and the program's descriptors are counted.
"""

import random
import socket
import struct
import threading
import time

import pytest

import fcgi
from fcgi import begin, cgi_variables, pair, pairs, params, record, request, stdin
from processes import is_alive, n_descriptors, rss_bytes
from waiting import SLOW, deadline, patient, soon, wait_for

READ_DEADLINE = 5  # seconds that Sluice waits for a whole request
ROUTES = {
    "x": {"path": "/x/{id}", "channels": "fcgi:{id}"},
    "control": {"path": "/control", "channels": "fcgi-control"},
    "once": {"path": "/once", "channels": "fcgi-once", "max_events": 1},
}


@pytest.fixture(scope="module")
def shared(launch_shared):
    return launch_shared(ROUTES)


@pytest.fixture(scope="module")
def control_stream(shared):
    with shared.open("/control") as stream:
        yield stream


@pytest.fixture
def sluice(shared, control_stream, redis):
    """Sluice, which must be unharmed by the test: same process, same subscriber, served at once."""
    worker = shared.worker()
    yield shared
    start = time.monotonic()
    redis.publish("fcgi-control", "still there")
    assert control_stream.next_event(1).data == "still there"
    with shared.get("/status") as response:
        assert response.status == 200
    assert soon(start, 1)
    assert shared.worker() == worker and is_alive(worker)


def send(sluice, data, **kw):
    connection = sluice.connect(**kw)
    try:
        connection.send(data)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it has closed already, as it may
    return connection


def assert_closed(sluice, data, seconds=1):
    """Refused: closed without an answer, or with an END_REQUEST; never served."""
    with send(sluice, data) as connection:
        assert_never_served(connection, seconds)


def assert_never_served(connection, seconds=1):
    until = deadline(seconds)
    while True:
        try:
            rec = connection.read_record(until)
        except fcgi.Disconnected:
            return
        if rec is None:
            return
        assert not (rec.kind == fcgi.STDOUT and b"event-stream" in rec.content), "served"


def assert_served(sluice, data, id=1):
    with send(sluice, data) as connection:
        response = fcgi.Response(connection, id)
        assert response.status == 200
        assert response.next_event().type == "stream-open"


def status_of(sluice, data):
    with send(sluice, data) as connection:
        response = fcgi.Response(connection)
        response.rest()
        return response.status


GOOD = params(cgi_variables("/x/1"))
VARIABLES = pairs(cgi_variables("/x/1"))


def whole(variables):
    """A request with these pairs."""
    return begin() + params(variables) + stdin()


# What is right is served


def test_request_ids(sluice):
    for id in (1, 2, 255, 256, 65535):
        assert_served(sluice, request("/x/1", id=id), id)


def test_byte_by_byte(sluice):
    data = request("/x/1")
    with sluice.connect() as connection:
        for i in range(len(data)):
            connection.send(data[i:i + 1])
        assert fcgi.Response(connection).status == 200


def test_split_at_every_offset(sluice):
    data = request("/x/1")
    connections = []
    for i in range(1, len(data)):
        connections.append(send(sluice, data[:i]))
        connections[-1].rest = data[i:]
        if len(connections) == 100 or i == len(data) - 1:
            for connection in connections:
                connection.send(connection.rest)
                with connection:
                    assert fcgi.Response(connection).status == 200
            connections = []


def test_pair_lengths_in_four_bytes(sluice):
    variables = b"".join(struct.pack(">II", len(n) | 1 << 31, len(v) | 1 << 31) + n.encode() + v.encode()
                         for n, v in cgi_variables("/x/1").items())
    assert_served(sluice, begin() + record(fcgi.PARAMS, variables) + record(fcgi.PARAMS) + stdin())


def test_pairs_span_records(sluice):
    """F4: a length cut by the record's end after 1, 2 and 3 bytes; and everything else at every byte."""
    data = pair("X" * 200, "y" * 300) + VARIABLES
    for cut in range(1, 12):
        assert_served(sluice, begin() + record(fcgi.PARAMS, data[:cut]) + record(fcgi.PARAMS, data[cut:]) +
                      record(fcgi.PARAMS) + stdin())


def test_one_byte_in_each_record(sluice):
    """F5: with all the padding that is allowed."""
    records = b"".join(record(fcgi.PARAMS, VARIABLES[i:i + 1], padding=255) for i in range(len(VARIABLES)))
    assert_served(sluice, begin() + records + record(fcgi.PARAMS) + stdin())


def test_padding_and_reserved_byte(sluice):
    for padding in (0, 1, 7, 8, 255):
        assert_served(sluice, record(fcgi.BEGIN, struct.pack(">HB5x", 1, 0), padding=padding, reserved=9) +
                      record(fcgi.PARAMS, VARIABLES, padding=padding, reserved=255) +
                      record(fcgi.PARAMS, padding=padding) + record(fcgi.STDIN, padding=padding))


def test_many_unknown_variables(sluice):
    more = {f"HTTP_X_{i}": "v" * 20 for i in range(150)}
    assert_served(sluice, whole({**cgi_variables("/x/1"), **more, "HTTP_X_LONG": "v" * 7168}))


# Management records: F1, F8


@pytest.mark.parametrize("times", [1, 2, 4, 40, 2000])
def test_get_values(sluice, times):
    names = pairs([("FCGI_MPXS_CONNS", ""), ("FCGI_MAX_CONNS", ""), ("FCGI_MAX_REQS", ""), ("UNKNOWN", "")])
    content = names * min(times, 65535 // len(names))
    with send(sluice, record(fcgi.GET_VALUES, content, id=0)) as connection:
        rec = connection.read_record()
        assert rec.kind == fcgi.GET_VALUES_RESULT
        values = fcgi.parse_pairs(rec.content)
        assert sorted(n for n, _ in values) == [b"FCGI_MAX_CONNS", b"FCGI_MAX_REQS", b"FCGI_MPXS_CONNS"]
        assert dict(values)[b"FCGI_MPXS_CONNS"] == b"0"
        assert all(v.isdigit() for _, v in values)
        connection.send(request("/x/1"))
        assert fcgi.Response(connection).status == 200, "the connection serves after it"


def test_get_values_asks_for_one(sluice):
    with send(sluice, record(fcgi.GET_VALUES, pair("FCGI_MPXS_CONNS", ""), id=0)) as connection:
        assert fcgi.parse_pairs(connection.read_record().content) == [(b"FCGI_MPXS_CONNS", b"0")]


def test_get_values_that_is_broken(sluice):
    for content in (b"\xff", b"\x10", b"\x7f\x7f", b"\xff\xff\xff\xff\xff\xff\xff\xff", b"\x0fFCGI"):
        with send(sluice, record(fcgi.GET_VALUES, content, id=0)) as connection:
            try:
                rec = connection.read_record()
            except fcgi.Disconnected:
                continue
            assert rec is None or rec.kind == fcgi.GET_VALUES_RESULT


def test_unknown_management_type(sluice):
    """F8: answered; and what it holds never becomes a variable."""
    evil = record(42, pair("REQUEST_METHOD", "DELETE") + pair("REMOTE_USER", "evil"), id=0)
    variables = cgi_variables("/x/1")
    with send(sluice, begin() + record(fcgi.PARAMS, pairs(variables)) + evil + record(fcgi.PARAMS) +
              stdin()) as connection:
        rec = connection.read_record()
        assert rec.kind == fcgi.UNKNOWN_TYPE
        assert rec.content[0] == 42
        assert fcgi.Response(connection).status == 200


# Variables: F2, F3, F9, F10, F11


@pytest.mark.parametrize("content", [
    b"\xff\xff\xff\xfe\x00", b"\xff\xff\xff\xff\xff\xff\xff\xff", b"\xff\xff\xff\xfe\xff\xff\xff\xfe",
    b"\x80\x00\x00", b"\x7f", b"\x05\x05abc", b"\x00\xff\xff\xff\xff", b"\x80"])
def test_lengths_that_lie(sluice, content):
    before = rss_bytes(sluice.worker())
    for end in (record(fcgi.PARAMS) + stdin(), b""):
        with send(sluice, begin() + record(fcgi.PARAMS, content) + end) as connection:
            if not end:
                connection.socket.shutdown(socket.SHUT_WR)
            rec_or_none(connection)
    assert rss_bytes(sluice.worker()) - before < 1 << 20


def rec_or_none(connection):
    """Closed, or an error, but never a stream."""
    try:
        rec = connection.read_record()
    except fcgi.Disconnected:
        return
    assert rec is None or rec.kind == fcgi.END or b"Status: 400" in rec.content or b"Status: 431" in rec.content, rec


def test_too_many_bytes_of_variables(sluice):
    data = whole({**cgi_variables("/x/1"), "HTTP_BIG": "x" * 70_000})
    assert_refused(sluice, data, 431)


def test_unending_variables(sluice):
    """F3: 20 MB of them, of which hardly anything is kept."""
    before = rss_bytes(sluice.worker())
    piece = record(fcgi.PARAMS, pair("HTTP_X", "y" * 60_000))
    with send(sluice, begin()) as connection:
        try:
            for _ in range(330):
                connection.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        rec_or_none(connection)
    assert rss_bytes(sluice.worker()) - before < 4 << 20


def assert_refused(sluice, data, status):
    """Closed, or answered with the status."""
    with send(sluice, data) as connection:
        try:
            assert fcgi.Response(connection).status == status
        except fcgi.Disconnected:
            pass


def test_long_name(sluice):
    with send(sluice, whole({**cgi_variables("/x/1"), "X" * 2000: "y"})) as connection:
        try:
            assert fcgi.Response(connection).status in (200, 400, 431)
        except fcgi.Disconnected:
            pass


def test_more_than_enough_pairs(sluice):
    with send(sluice, whole({**cgi_variables("/x/1"), **{f"H{i}": "" for i in range(5000)}})) as connection:
        try:
            assert fcgi.Response(connection).status in (200, 400, 431)
        except fcgi.Disconnected:
            pass


def test_name_with_an_equals_sign(sluice):
    """F9: "REQUEST_METHOD=DELETE" is no REQUEST_METHOD."""
    for extra in (pair("REQUEST_METHOD=DELETE", "x"), pair("REMOTE_USER=admin", "x")):
        with send(sluice, begin() + record(fcgi.PARAMS, extra + VARIABLES) + record(fcgi.PARAMS) +
                  stdin()) as connection:
            assert fcgi.Response(connection).status in (200, 400)


@pytest.mark.parametrize("name, value", [
    ("REMOTE_USER", "bob\0admin"), ("HTTP_X", "\0"), ("REMOTE\0USER", "x"), ("", "x"), ("", ""), (b"\x80\xff", "x")])
def test_pair_that_cannot_be_a_variable(sluice, name, value):
    assert status_of(sluice, begin() + record(fcgi.PARAMS, VARIABLES + pair(name, value)) + record(fcgi.PARAMS) +
                     stdin()) == 400


@pytest.mark.parametrize("name", ["REMOTE_USER", "REQUEST_METHOD", "CONTENT_LENGTH", "HTTP_LAST_EVENT_ID",
                                  "REQUEST_URI", "HTTP_X_FORWARDED_FOR"])
def test_variable_twice(sluice, name):
    """F11; libraries and servers disagree about which one counts."""
    items = [(n, v) for n, v in cgi_variables("/x/1").items() if n != name]
    value = cgi_variables("/x/1").get(name, "1")
    assert status_of(sluice, whole(items + [(name, value), (name, value)])) == 400


# The order of records: F6, F7, F12 - F16, F24


@pytest.mark.parametrize("name, data", {
    "the end": b"",
    "ABORT_REQUEST": record(fcgi.ABORT),
    "a STDIN record": record(fcgi.STDIN, b"x"),
    "an empty STDIN record": record(fcgi.STDIN),
}.items())
def test_variables_that_do_not_end(sluice, redis, name, data):
    """F6: the request is not run, though what has come would do."""
    with send(sluice, begin() + record(fcgi.PARAMS, pairs(cgi_variables("/x/f6"))) + data) as connection:
        connection.socket.shutdown(socket.SHUT_WR)
        assert_never_served(connection)
    assert redis.n_subscribers("fcgi:f6") == 0


def test_record_of_another_request_within_variables(sluice):
    """F7: closed, or ignored; but no variable of ours is lost."""
    half = len(VARIABLES) // 2
    with send(sluice, begin() + record(fcgi.PARAMS, id=7) + record(fcgi.PARAMS, VARIABLES[:half]) +
              record(fcgi.PARAMS, id=7) + record(fcgi.PARAMS, VARIABLES[half:]) + record(fcgi.PARAMS) +
              stdin()) as connection:
        try:
            assert fcgi.Response(connection).status == 200
        except fcgi.Disconnected:
            pass


def test_second_request_with_another_id(sluice):
    """F12: we said that we do not multiplex."""
    with send(sluice, request("/x/1")) as connection:
        first = fcgi.Response(connection).opened()
        connection.send(begin(id=2))
        rec = connection.read_record()
        assert (rec.kind, rec.id, rec.content[4]) == (fcgi.END, 2, fcgi.CANT_MPX_CONN)
        sluice_channel_works(sluice, first)


def sluice_channel_works(sluice, stream):
    import redis as redis_library  # the fixture is not at hand in here
    url = sluice.sections["redis"]["url"]
    with redis_library.Redis.from_url(url) as client:
        client.publish("fcgi:1", "goes on")
    assert stream.next_message().data == "goes on"


def test_second_request_before_the_first_is_whole(sluice):
    with send(sluice, begin() + record(fcgi.PARAMS, VARIABLES) + begin(id=2) + record(fcgi.PARAMS) +
              stdin()) as connection:
        rec = connection.read_record()
        assert rec is None or (rec.kind, rec.id, rec.content[4]) == (fcgi.END, 2, fcgi.CANT_MPX_CONN)


def test_second_request_with_the_same_id(sluice):
    assert_closed(sluice, begin() + begin() + GOOD + stdin())
    assert_closed(sluice, begin() + record(fcgi.PARAMS, VARIABLES) + begin() + record(fcgi.PARAMS) + stdin())
    with send(sluice, request("/x/1")) as connection:
        fcgi.Response(connection).opened()
        connection.send(begin())
        assert connection.is_closed(1)


@pytest.mark.parametrize("role", [0, 2, 3, 9, 65535])
def test_other_roles(sluice, role):
    """F13."""
    with send(sluice, begin(role=role) + GOOD + stdin()) as connection:
        rec = connection.read_record()
        assert (rec.kind, rec.id, rec.content[4]) == (fcgi.END, 1, fcgi.UNKNOWN_ROLE)
        assert connection.is_closed(1)


@pytest.mark.parametrize("name, data", {
    "BEGIN of id 0": begin(id=0) + GOOD,
    "version 0": record(fcgi.BEGIN, b"\0\1\0\0\0\0\0\0", version=0),
    "version 2": record(fcgi.BEGIN, b"\0\1\0\0\0\0\0\0", version=2),
    "version 255": record(fcgi.BEGIN, b"\0\1\0\0\0\0\0\0", version=255),
    "version 2 later": begin() + record(fcgi.PARAMS, VARIABLES, version=2),
    "type 0": begin() + record(0) + GOOD + stdin(),
    "type 255": begin() + record(255) + GOOD + stdin(),
    "DATA": begin() + record(fcgi.DATA, b"x") + GOOD + stdin(),
    "END_REQUEST": begin() + record(fcgi.END, bytes(8)) + GOOD + stdin(),
    "STDOUT": begin() + record(fcgi.STDOUT, b"x") + GOOD + stdin(),
    "STDERR": begin() + record(fcgi.STDERR, b"x") + GOOD + stdin(),
    "GET_VALUES_RESULT": record(fcgi.GET_VALUES_RESULT, pair("FCGI_MPXS_CONNS", "1"), id=0) + request("/x/1"),
    "UNKNOWN_TYPE": record(fcgi.UNKNOWN_TYPE, bytes(8), id=0) + request("/x/1"),
    "PARAMS without BEGIN": GOOD + stdin(),
    "STDIN without BEGIN": stdin() + request("/x/1"),
    "STDIN before PARAMS": begin() + stdin() + GOOD,
    "STDIN within PARAMS": begin() + record(fcgi.PARAMS, VARIABLES) + stdin() + record(fcgi.PARAMS),
    "PARAMS after their end": begin() + GOOD + record(fcgi.PARAMS, VARIABLES) + stdin(),
    "BEGIN of 7 bytes": record(fcgi.BEGIN, b"\0\1\0\0\0\0\0") + GOOD + stdin(),
    "BEGIN of 9 bytes": record(fcgi.BEGIN, b"\0\1\0\0\0\0\0\0\0") + GOOD + stdin(),
    "empty BEGIN": record(fcgi.BEGIN) + GOOD + stdin(),
    "HTTP": b"GET /x/1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "zeros": bytes(4096),
    "0xFF": b"\xff" * 4096,
}.items())
def test_broken_sequence(sluice, name, data):
    """F14, F16, F24: closed at once, or at the latest by the read deadline; never served."""
    with send(sluice, data) as connection:
        assert_never_served(connection, READ_DEADLINE + 1)


@pytest.mark.parametrize("name, data", {
    "full record": begin() + record(fcgi.PARAMS, VARIABLES + pair("X", "y" * (65535 - len(VARIABLES) - 6)),
                                    padding=255) + record(fcgi.PARAMS, padding=255) + record(fcgi.STDIN, padding=255),
}.items())
def test_largest_records(sluice, name, data):
    """F24: 65,535 bytes and 255 of padding; over our own limit or not, there is one answer."""
    with send(sluice, data) as connection:
        try:
            assert fcgi.Response(connection).status in (200, 431)
        except fcgi.Disconnected:
            pass


def test_random_bytes(sluice):
    """F24. Some start as a request does, so that more than the first check is reached."""
    dice = random.Random(24)
    good = request("/x/1")
    for i in range(200):
        junk = bytes(dice.randrange(256) for _ in range(dice.randrange(1, 400)))
        data = junk if i % 2 else good[:dice.randrange(len(good))] + junk
        with send(sluice, data) as connection:
            connection.socket.shutdown(socket.SHUT_WR)
            try:
                connection.read_record()
            except fcgi.Disconnected:
                pass


def test_flipped_bits(sluice):
    """A request with one byte changed: served or refused, nothing between."""
    good = bytearray(request("/x/1"))
    dice = random.Random(7)
    for i in list(range(64)) + [dice.randrange(len(good)) for _ in range(100)]:
        data = bytes(good[:i]) + bytes([good[i] ^ 1 << dice.randrange(8)]) + bytes(good[i + 1:])
        with send(sluice, data) as connection:
            connection.socket.shutdown(socket.SHUT_WR)
            try:
                connection.read_record()
            except fcgi.Disconnected:
                pass


# ABORT_REQUEST: F15


def test_abort_of_a_stream(sluice, redis):
    with send(sluice, request("/x/abort")) as connection:
        response = fcgi.Response(connection).opened()
        connection.send(record(fcgi.ABORT))
        response.rest(1)
        assert response.protocol_status == fcgi.REQUEST_COMPLETE
        assert connection.is_closed(1)
    redis.wait_subscribed("fcgi:abort", 0, 10)


def test_abort_while_the_body_is_missing(sluice):
    with send(sluice, begin() + GOOD + record(fcgi.ABORT)) as connection:
        assert_never_served(connection)


def test_abort_of_an_unknown_request(sluice):
    with send(sluice, request("/x/1")) as connection:
        response = fcgi.Response(connection).opened()
        connection.send(record(fcgi.ABORT, id=9))
        sluice_channel_works(sluice, response)


def test_abort_twice(sluice):
    with send(sluice, request("/x/1")) as connection:
        response = fcgi.Response(connection).opened()
        connection.send(record(fcgi.ABORT) * 2)
        response.rest(1)
        assert connection.is_closed(1)


# Bodies: F17


def test_body_longer_than_its_length(sluice):
    data = begin() + params(cgi_variables("/x/1", CONTENT_LENGTH="3")) + stdin(b"x" * 1000)
    with send(sluice, data) as connection:
        try:
            assert fcgi.Response(connection).status in (200, 400)
        except fcgi.Disconnected:
            pass


def test_body_shorter_than_its_length(sluice):
    data = begin() + params(cgi_variables("/x/1", CONTENT_LENGTH="1000")) + stdin(b"x")
    assert status_of(sluice, data) == 400


def test_unending_body(sluice):
    """F17: of 64 MB next to nothing is kept."""
    before = rss_bytes(sluice.worker())
    piece = record(fcgi.STDIN, b"x" * 65528) * 16
    with send(sluice, begin() + GOOD) as connection:
        try:
            for _ in range(64):
                connection.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            rec = connection.read_record()
            assert rec is None or b"Status: 413" in rec.content
        except fcgi.Disconnected:
            pass
    assert rss_bytes(sluice.worker()) - before < 4 << 20


def test_body_that_announces_too_much(sluice):
    data = begin() + params(cgi_variables("/x/1", method="POST", CONTENT_LENGTH="10000000")) + \
        record(fcgi.STDIN, b"x" * 1000)
    assert status_of(sluice, data) in (405, 413)


def test_bytes_behind_the_request(sluice):
    """While a stream is open nothing more is due from the web server: F17's end, and a flood of it."""
    with send(sluice, request("/x/1")) as connection:
        fcgi.Response(connection).opened()
        connection.send(record(fcgi.STDIN, b"x" * 100))
        connection.is_closed(0.2)  # closed or ignored


# Time: F18 - F20, F22


def test_silent_and_stalled_peers(sluice, redis):
    """F18, F19: hundreds who say nothing, or not enough; others are served meanwhile; all are closed in time."""
    good = request("/x/1")
    starts = [b"", good[:4], good[:8], begin(), begin() + record(fcgi.PARAMS, VARIABLES), begin() + GOOD[:100]]
    before = n_descriptors(sluice.worker())
    peers = [send(sluice, starts[i % len(starts)]) for i in range(500)]
    for i in range(5):
        start = time.monotonic()
        with sluice.open(f"/x/beside{i}") as stream:
            redis.publish(f"fcgi:beside{i}", "x")
            assert stream.next_event().data == "x"
        assert soon(start, 1)
    assert not peers[0].is_closed(0.5), "closed before its time"
    start = time.monotonic()
    for peer in peers:
        assert peer.is_closed(READ_DEADLINE + 2), "a stalled peer is not closed"
        peer.close()
    assert soon(start, READ_DEADLINE + 2)
    wait_for(lambda: n_descriptors(sluice.worker()) <= before, "their descriptors are closed")


def test_slow_peer_does_not_win_time(sluice):
    """F19: a byte now and then does not move the deadline."""
    data = request("/x/1")
    with sluice.connect() as connection:
        start = time.monotonic()
        i = 0
        while time.monotonic() - start < patient(READ_DEADLINE + 3):
            try:
                connection.send(data[i:i + 1])
            except (BrokenPipeError, ConnectionResetError):
                break
            i = min(i + 1, 20)
            if connection.is_closed(0.2 / SLOW):
                break
        assert READ_DEADLINE - 1 < time.monotonic() - start and soon(start, READ_DEADLINE + 2)


def test_peer_that_stays_after_the_response(sluice):
    """F20: not ours to wait for, whether it is silent or sends on."""
    with send(sluice, request("/nothing")) as connection:
        response = fcgi.Response(connection)
        response.rest()
        for _ in range(10):
            try:
                connection.send(b"\0")
            except (BrokenPipeError, ConnectionResetError):
                break
            if connection.is_closed(0.2):
                break
        else:
            pytest.fail("not closed after the response")
    with send(sluice, request("/nothing")) as connection:
        fcgi.Response(connection).rest()
        assert connection.is_closed(1)


def test_peer_that_leaves_at_any_byte(sluice):
    """F21: RST or a closed reading side, before, within and after what we write."""
    sluice.wait_subscribers(1)  # the control
    for n in list(range(0, 400, 7)):
        connection = send(sluice, request("/x/leaves"), receive_buffer=1)
        try:
            connection.socket.settimeout(patient(2))
            got = 0
            while got < min(n, 250):
                got += len(connection.socket.recv(min(n, 250) - got))
        except socket.timeout:
            pass
        connection.close()
    for _ in range(50):
        connection = send(sluice, request("/x/leaves"))
        connection.socket.shutdown(socket.SHUT_RD)
        connection.close()
    sluice.wait_subscribers(1)


def test_comings_and_goings(sluice):
    """F22: thousands of connections that come to nothing leave nothing behind."""
    worker = sluice.worker()

    def storm(n):
        for i in range(n):
            connection = sluice.connect()
            if i % 3 == 0:
                connection.send(request("/x/1")[:i % 300])
            connection.close()
    storm(500)
    before, memory = n_descriptors(worker), rss_bytes(worker)
    threads = [threading.Thread(target=storm, args=(1500,)) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    wait_for(lambda: n_descriptors(worker) <= before, "their descriptors are closed")
    assert rss_bytes(worker) - memory < 2 << 20, "memory grew"


def test_half_closing_web_server(sluice, redis):
    """lighttpd shuts its writing side down when the client has gone: the stream ends, with END_REQUEST."""
    with send(sluice, request("/x/half")) as connection:
        response = fcgi.Response(connection).opened()
        connection.socket.shutdown(socket.SHUT_WR)
        response.rest(1)
        assert response.protocol_status == fcgi.REQUEST_COMPLETE
    redis.wait_subscribed("fcgi:half", 0, 10)


# FCGI_KEEP_CONN: F23


def test_connection_is_closed_without_keep_conn(sluice):
    with send(sluice, request("/nothing")) as connection:
        response = fcgi.Response(connection)
        response.rest()
        assert (response.status, response.app_status) == (404, 0)
        assert connection.is_closed(1)


def test_keep_conn(sluice):
    """Short answers one after the other, then a stream."""
    with sluice.connect() as connection:
        for i in range(50):
            id = i % 3 + 1
            path, status = (("/nothing", 404), ("/status", 200), ("/x/:", 400), ("/x/1", 405))[i % 4]
            method = "DELETE" if status == 405 else "GET"
            response = connection.get(path, method=method, flags=fcgi.KEEP_CONN, id=id)
            response.rest()
            assert (response.status, response.protocol_status) == (status, 0)
        response = connection.get("/x/1", flags=fcgi.KEEP_CONN)
        response.opened()
        sluice_channel_works(sluice, response)


def test_keep_conn_after_a_stream_that_ended(sluice, redis):
    with sluice.connect() as connection:
        response = connection.get("/once", flags=fcgi.KEEP_CONN).opened()
        redis.publish("fcgi-once", "x")
        response.rest()
        assert response.protocol_status == 0
        response = connection.get("/once", flags=fcgi.KEEP_CONN, id=2).opened()
        redis.publish("fcgi-once", "y")
        assert response.next_event().data == "y"


def test_keep_conn_pipelined(sluice):
    """The next request may be here before we have answered the first: in turn, never mixed."""
    with sluice.connect() as connection:
        connection.send(b"".join(request("/nothing", flags=fcgi.KEEP_CONN, id=i) for i in (1, 2, 3)))
        for i in (1, 2, 3):
            try:
                response = fcgi.Response(connection, i)
            except fcgi.Disconnected:
                assert i > 1
                return
            response.rest()
            assert response.status == 404


def test_keep_conn_idle_connection_may_stay(sluice):
    """A web server keeps it for its next request."""
    with sluice.connect() as connection:
        connection.get("/nothing", flags=fcgi.KEEP_CONN).rest()
        connection.get("/nothing", flags=fcgi.KEEP_CONN).rest()


def test_keep_conn_many_at_once(sluice):
    errors = []

    def worker():
        try:
            with sluice.connect() as connection:
                for i in range(50):
                    response = connection.get("/nothing", flags=fcgi.KEEP_CONN)
                    response.rest()
                    assert response.status == 404
        except BaseException as e:
            errors.append(e)
    threads = [threading.Thread(target=worker) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors, errors[0]


def test_records_are_aligned(sluice, redis):
    """Section 3.3 asks for content padded to eight bytes; and a large event fills its records."""
    with send(sluice, request("/x/aligned")) as connection:
        fcgi.Response(connection).opened()
        redis.publish("fcgi:aligned", "x" * 200_003)
        raw = b""
        while raw.count(b"x") < 200_003:
            raw += connection.socket.recv(1 << 16)
    n = 0
    while raw:
        _, kind, _, length, padding, _ = struct.unpack(">BBHHBB", raw[:8])
        assert kind == fcgi.STDOUT and (length + padding) % 8 == 0
        raw = raw[8 + length + padding:]
        n += 1
    assert n <= 6
