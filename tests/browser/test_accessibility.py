"""Contrast, labels, roles: axe-core looks at each page, in both colour schemes, wide and narrow."""

import subprocess
import tarfile

import pytest
from conftest import TREE, wait_for
from test_gallery import PAGES, open_page, texts

AXE = "axe-core@4.14.1"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="session")
def axe():
    """Its program, from npm; kept in build/."""
    folder = TREE / "build" / "npm"
    program = folder / "package" / "axe.min.js"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            packed = subprocess.run(["npm", "pack", "--silent", AXE], cwd=folder, capture_output=True, text=True, timeout=90, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"axe-core cannot be had from npm here ({type(error).__name__})")
        with tarfile.open(folder / packed.stdout.split()[-1]) as archive:
            archive.extract("package/axe.min.js", folder)
    return program.read_text()


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
