"""The site of the documentation, as files: it is searched without a network, fits narrow screens, and is light and dark."""

import subprocess

import chromium
import pytest
from conftest import TREE, wait_for
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

PAGES = ("index.html", "tutorial/php.html", "howto/sessions.html", "explanation/alerts.html", "sluice.ini.5.html", "client.html", "tree/CHANGELOG.html")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    subprocess.run([TREE / "docs" / "site" / "build", folder], check=True, capture_output=True, timeout=240)
    return folder


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    driver = chromium.start(tmp_path_factory.mktemp("chromium") / "profile")
    yield driver
    driver.quit()


def look(driver, site, page, width=1280, scheme="light"):
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    driver.get(f"file://{site}/{page}")


def found(driver):
    return [(a.find_element(By.TAG_NAME, "b").text, a.get_attribute("href")) for a in driver.find_elements(By.CSS_SELECTOR, "#found a")]


def ask(driver, words):
    field = driver.find_element(By.CSS_SELECTOR, "#words")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(words)
    return wait_for(lambda: found(driver), f"something about {words}", 20)


@pytest.mark.parametrize("words, wanted", [
    ("claim_after", "sluice.ini.5.html#claim_after"),
    ("llm tokens", "howto/tokens.html"),
    ("six connections", "howto/many-tabs.html"),
    ("phpredis session", "howto/sessions.html"),
    ("502", "explanation/trouble.html")])
def test_search(driver, site, words, wanted):
    look(driver, site, "howto/chat.html")
    assert any(href.partition(f"{site}/")[2].startswith(wanted) for _, href in ask(driver, words)[:6]), found(driver)


def test_what_is_found_is_opened(driver, site):
    look(driver, site, "tutorial/php.html")
    ask(driver, "claim_after")
    driver.find_element(By.CSS_SELECTOR, "#words").send_keys(Keys.ENTER)
    wait_for(lambda: "sluice.ini.5.html" in driver.current_url, "the page that was found", 20)


def test_nothing_is_found(driver, site):
    look(driver, site, "index.html")
    driver.find_element(By.CSS_SELECTOR, "#words").send_keys("zzzz")
    wait_for(lambda: "No page" in driver.find_element(By.CSS_SELECTOR, "#found").text, "that it says so", 20)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_pages_fit(driver, site, screenshots, width, scheme):
    for page in PAGES:
        look(driver, site, page, width, scheme)
        assert driver.execute_script("const e = document.documentElement; return e.scrollWidth - e.clientWidth") == 0, page
        colour = driver.execute_script("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0)")
        assert (colour > 384) == (scheme == "light")
        driver.save_screenshot(str(screenshots / f"docs-{page.replace('/', '-')}-{width}-{scheme}.png"))
    assert [e["message"] for e in driver.get_log("browser") if e["level"] == "SEVERE"] == []


def test_list_of_pages(driver, site):
    """Beside the text it is open, on a narrow screen it opens when it is asked for; this page is marked."""
    look(driver, site, "howto/chat.html", 1280)
    assert driver.find_element(By.CSS_SELECTOR, ".pages [aria-current]").text == "Chat"
    look(driver, site, "howto/chat.html", 390)
    pages = driver.find_element(By.CSS_SELECTOR, ".pages details")
    assert not pages.get_property("open")
    driver.find_element(By.CSS_SELECTOR, ".pages summary").click()
    wait_for(lambda: pages.get_property("open"), "the list", 20)
