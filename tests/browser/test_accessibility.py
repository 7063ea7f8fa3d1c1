"""Contrast, labels, roles: axe-core looks at each page, in both colour schemes, wide and narrow."""

import npm_packages
import pytest
from conftest import wait_for
from test_gallery import PAGES, open_page, texts

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="session")
def axe():
    return (npm_packages.install() / "node_modules/axe-core/axe.min.js").read_text()


def faults(browser, axe):
    browser.execute_script(axe)
    found = browser.execute_async_script("""
        const [tags, done] = arguments;
        axe.run(document, {runOnly: {type: "tag", values: tags}, resultTypes: ["violations"]}).then(
            ({violations}) => done(violations.map(v => [v.id, v.nodes.map(n => n.html.slice(0, 120))])), error => done([String(error)]));
    """, TAGS)
    return found


@pytest.mark.parametrize("width", [1280, 320])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages(browser, demo, axe, width, scheme):
    browser.set_script_timeout(60)
    for page in PAGES:
        open_page(browser, demo, page, (width, 900), scheme)
        wait_for(lambda: all(texts(browser, "pre.code")), "how it is made")
        assert faults(browser, axe) == [], page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_first_page(browser, demo, axe, scheme):
    browser.set_script_timeout(60)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    browser.get(demo.url)
    wait_for(lambda: "live" in texts(browser, "#overall"), "it is live")
    wait_for(lambda: texts(browser, "#feed-list .source"), "the feed")
    assert faults(browser, axe) == []
