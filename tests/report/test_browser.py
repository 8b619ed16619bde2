"""The page in a real browser: it draws, switches, fits a phone, and asks nothing of any network."""

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from chainrule.report import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars"
)
pytestmark = [
    pytest.mark.skipif(not CHROMIUM or not DRIVER, reason="needs chromium and chromedriver on this machine"),
    pytest.mark.xdist_group("browser"),
]


class Browser:
    """One headless chromium behind chromedriver, spoken to in W3C WebDriver's JSON over HTTP."""

    def __init__(self, profile: Path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.process = subprocess.Popen([DRIVER, f"--port={port}", "--log-level=OFF"], stdout=-3, stderr=-3)
        self.session = f"http://127.0.0.1:{port}/session"
        self._wait_until_up(f"http://127.0.0.1:{port}/status")
        options = {"binary": CHROMIUM, "args": [*QUIET.split(), f"--user-data-dir={profile}"]}
        logs = {"browser": "ALL", "performance": "ALL"}
        wanted = {"browserName": "chrome", "goog:loggingPrefs": logs, "goog:chromeOptions": options}
        self.session += "/" + self.call("POST", "", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def _wait_until_up(self, address):
        for _ in range(200):
            try:
                urllib.request.urlopen(address, timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.session + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["value"]

    def cdp(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, page, width=1280, height=900, *, dark=False):
        self.log("performance")
        self.cdp(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.cdp("Emulation.setEmulatedMedia", features=[scheme])
        self.call("POST", "/url", {"url": page.as_uri()})

    def js(self, code):
        return self.call("POST", "/execute/sync", {"script": f"return {code}", "args": []})

    def log(self, kind):
        return self.call("POST", "/se/log", {"type": kind})

    def requests(self):
        """Addresses asked for since the page was opened."""
        messages = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        asked = {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}
        return {url for url in asked if not url.startswith(("chrome:", "data:"))}  # the browser's own first tab

    def close(self):
        try:
            self.call("DELETE", "")
        finally:
            self.process.terminate()
            self.process.wait(10)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def page(finished):
    return write_report(finished)


PLOT = "document.querySelector('[data-chart=loss] .plot')"
CURVE = "document.querySelector('[data-chart=loss] path.train').getAttribute('d')"
LABELS = "document.querySelector('[data-chart=loss] .plot').textContent"
PAPER = "getComputedStyle(document.body).backgroundColor"


def test_the_page_draws_itself_without_an_error_and_without_a_network(browser, page):
    browser.open(page)
    assert browser.js("document.querySelectorAll('[data-chart]:not([hidden]) svg').length") == 5
    assert browser.js(f"{CURVE}.length") > 1000
    assert browser.js("document.querySelector('[data-chart=loss] .readout').textContent").startswith(" training 2.")
    assert browser.requests() == {page.as_uri()}
    assert browser.log("browser") == []


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (375, False), (375, True), (320, False)])
def test_nothing_is_wider_than_the_screen(browser, page, width, dark):
    browser.open(page, width, dark=dark)
    browser.js("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    assert browser.js("[innerWidth, document.documentElement.scrollWidth]") == [width, width]


def test_the_switches_redraw_every_curve(browser, page):
    browser.open(page)
    seen, labels = {browser.js(CURVE)}, {browser.js(LABELS)}
    for value in ("all", "log", "seconds", "tokens"):
        browser.js(f"document.querySelector('[data-value={value}]').click()")
        assert value in browser.js("[...document.querySelectorAll('[aria-pressed=true]')].map(b => b.dataset.value)")
        seen.add(browser.js(CURVE))
        labels.add(browser.js(LABELS))
    # In this run tokens and seconds are multiples of steps: those switches move the numbers below, not the curve.
    assert (len(seen), len(labels)) == (3, 5)
    assert not any("NaN" in path or "Infinity" in path for path in seen)


def test_the_pointer_and_the_arrow_keys_read_all_curves_at_one_place(browser, page):
    browser.open(page)
    browser.js(
        f"{PLOT}.dispatchEvent(new PointerEvent('pointermove', {{clientX: {PLOT}.getBoundingClientRect().x + 200}}))"
    )
    readouts = "[...document.querySelectorAll('.readout')].map(r => r.textContent.match(/^step (\\d+)/)[1])"
    loss, bits, *others = map(int, browser.js(readouts))
    assert others == [loss] * 3
    assert abs(bits - loss) <= 13  # the nearest look at held-out text, every 25 steps
    browser.js("document.querySelector('[data-chart=lr] .plot').focus()")
    key = "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}))"
    browser.js(key)
    assert int(browser.js(readouts)[0]) > loss


def test_the_slider_shows_one_round_of_samples(browser, page):
    browser.open(page)
    shown = "[...document.querySelectorAll('.round:not([hidden])')].map(round => round.dataset.step)"
    assert browser.js(shown) == ["400"]
    slider = "const s = document.getElementById('round'); s.value = 0; s.dispatchEvent(new Event('input'))"
    browser.js(f"(() => {{ {slider} }})()")
    assert browser.js(shown) == ["0"]
    assert browser.js("document.getElementById('round-step').textContent") == "step 0"


def test_it_is_dark_where_the_system_is_and_the_button_turns_it(browser, page):
    browser.open(page, dark=True)
    dark = browser.js(PAPER)
    browser.js("document.getElementById('theme').click()")
    light = browser.js(PAPER)
    browser.open(page)
    assert browser.js(PAPER) == light != dark
    browser.js("localStorage.clear()")


def test_text_can_be_read_on_its_ground(browser, page):
    for dark in (False, True):
        browser.open(page, dark=dark)
        for place in (".lead", "p.note", ".facts th", ".source", ".pill", "b.note"):
            assert browser.js(CONTRAST.replace("PLACE", place)) >= 4.5, (place, dark)


# The contrast ratio of WCAG 2 between an element's colour and the page's.
CONTRAST = """(() => {
    const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const light = (colour) => {
        const [r, g, b] = colour.match(/[\\d.]+/g).map((v) => linear(v / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ink = light(getComputedStyle(document.querySelector("PLACE")).color);
    const paper = light(getComputedStyle(document.body).backgroundColor);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
})()"""
