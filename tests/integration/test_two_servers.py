"""Apache for the site, another for the events: the very lines of docs/howto/web-servers.md."""

import pytest

import doc_page
import webservers
from program import ROOT

STREAMS = 40
APACHE_THREADS = 8
BLOCKS = {b.marks["front"]: b.text for b in doc_page.blocks(ROOT / "docs/howto/web-servers.md") if "front" in b.marks}


class Site(webservers.Apache):
    """It knows nothing of Sluice, and has far fewer threads than there are streams."""

    def configuration(self, fragment):
        text = super().configuration(fragment)
        for old, new in (("ServerLimit 8", "ServerLimit 1"), ("ThreadsPerChild 32", f"ThreadsPerChild {APACHE_THREADS}"),
                         ("MaxRequestWorkers 256", f"MaxRequestWorkers {APACHE_THREADS}"), ("MinSpareThreads 32", "MinSpareThreads 1"),
                         (f"Include {fragment}\n", ""), (f"Include {self.folder}/sluice-come-back.conf\n", "")):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return text


class HAProxyFront(webservers.HAProxy):
    def configuration(self, fragment):
        head, _, _ = super().configuration(fragment).partition("frontend site")
        return head + BLOCKS["haproxy"].replace(":80\n", f"127.0.0.1:{self.port}\n", 1).replace(":8080", f":{self.site}")


class LighttpdFront(webservers.Lighttpd):
    def configuration(self, fragment, more=""):
        return super().configuration(fragment, BLOCKS["lighttpd"].replace("8080", str(self.site)))


@pytest.mark.parametrize("cls", [HAProxyFront, LighttpdFront], ids=lambda cls: cls.name)
def test_pages_beside_streams(launch, serve, redis, cls):
    sluice = launch({"hello": {"path": "/hello", "channels": "two"}}, server={"base": "/events"})
    site = serve(Site, sluice.path)
    front = serve(type(cls.__name__, (cls,), {"site": site.port}), sluice.path)
    streams = [front.open("/events/hello") for _ in range(STREAMS)]
    for _ in range(2 * APACHE_THREADS):
        with front.get("/index.html") as page:
            page.rest()
            assert page.status == 200 and bytes(page.body) == b"a page\n"
            assert page.headers["server"].startswith("Apache")
    redis.client().publish("two", '{"n":1}')
    for stream in streams:
        assert stream.next_message().data == '{"n":1}'
        stream.close()
