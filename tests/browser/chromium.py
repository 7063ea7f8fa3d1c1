"""A headless Chromium of one's own."""

from selenium import webdriver


def start(profile):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
                 "--no-first-run", "--disable-background-networking",
                 "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
                 "--ignore-certificate-errors",  # those of the tests are of a moment
                 f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(
        service=webdriver.ChromeService("/usr/bin/chromedriver")
        if hasattr(webdriver, "ChromeService")
        else webdriver.chrome.service.Service("/usr/bin/chromedriver"), options=options)
    # The page of a new tab, which comes late, must not take the place of the first one that is asked for.
    driver.get("data:text/plain,")
    return driver


def renew(driver):
    """As if it had just been started, which costs two seconds of a processor: one new tab, and nothing is kept of the old ones."""
    old = driver.window_handles
    driver.switch_to.new_window("tab")
    new = driver.current_window_handle
    for tab in old:
        driver.switch_to.window(tab)
        driver.close()
    driver.switch_to.window(new)
    driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"})
    driver.get("data:text/plain,")
    driver.get_log("browser")  # what they complained of
