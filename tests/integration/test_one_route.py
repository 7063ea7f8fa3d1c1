"""The shortest way through all of it, for `make check`: Redis, Sluice, lighttpd, a client."""

from webservers import Lighttpd


def test_an_event_comes_through_lighttpd(launch, serve, redis):
    sluice = launch({"orders": {"path": "/orders/{id}", "channels": "orders:{id}", "filter": "message.n > 1"}},
                    server={"base": "/events"})
    web = serve(Lighttpd, sluice.path)
    with web.get("/events/orders/7") as stream:
        assert stream.status == 200 and stream.headers["content-type"].startswith("text/event-stream")
        stream.opened()
        redis.publish("orders:7", '{"n":1}')
        redis.publish("orders:7", '{"n":2}')
        assert stream.next_message().data == '{"n":2}'
    with web.get("/events/nothing") as response:
        assert response.status == 404
