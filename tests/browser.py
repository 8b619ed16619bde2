"""One headless chromium for the tests of pages, led by Playwright."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--disable-gpu", "--disable-quic", "--no-sandbox"]
needs_browser = [
    pytest.mark.skipif(not CHROMIUM or not find_spec("playwright"), reason="needs chromium and playwright"),
    pytest.mark.xdist_group("browser"),
]
# Pages draw when they know their size, which is after loading; on a busy machine that can be a while.
DRAWN = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"


class Browser:
    """One headless chromium and one page in it.

    Playwright lives in a thread of its own: it runs an event loop there, which in the tests' own thread would forbid
    them to run one.
    """

    def __init__(self):
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="playwright")
        self.complaints, self.asked = [], set()
        self._do(self._start)

    def _do(self, function, *arguments, **words):
        return self.thread.submit(function, *arguments, **words).result(60)

    def _start(self):
        from playwright.sync_api import sync_playwright

        self.playwright = sync_playwright().start()
        self.chromium = self.playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        self.page = None

    def _new_page(self, width, height, dark):
        if self.page is not None:
            self.page.context.close()
        size, scheme = {"width": width, "height": height}, "dark" if dark else "light"
        context = self.chromium.new_context(
            viewport=size, color_scheme=scheme, is_mobile=width < 500, has_touch=width < 500
        )
        self.page = context.new_page()
        self.complaints, self.asked = [], set()
        self.page.on("console", lambda one: one.type in ("error", "warning") and self.complaints.append(one.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.add(request.url))

    def _open(self, page, width, height, dark):
        self._new_page(width, height, dark)
        self.page.goto(page if isinstance(page, str) else page.as_uri())
        self.page.evaluate(DRAWN)

    def open(self, page, width=1280, height=900, *, dark=False):
        """A file, or an address as text, in a context of its own: nothing is kept from the page before."""
        self._do(self._open, page, width, height, dark)

    def reload(self):
        """The same page once more, in the same tab."""
        self._do(lambda: (self.page.reload(), self.page.evaluate(DRAWN)))

    def js(self, code):
        return self._do(lambda: self.page.evaluate(f"() => {{ return {code} }}"))

    def press(self, key):
        """A key of the keyboard, by its name (`ArrowLeft`), where the focus is."""
        self._do(lambda: self.page.keyboard.press(key))

    def drag(self, place, start, end):
        """From one share of an element's width to another, with the button held; `place` is its selector."""

        def move():
            self.page.locator(place).first.scroll_into_view_if_needed()
            box = self.page.locator(place).first.bounding_box()
            middle = box["y"] + box["height"] / 2
            self.page.mouse.move(box["x"] + start * box["width"], middle)
            self.page.mouse.down()
            self.page.mouse.move(box["x"] + end * box["width"], middle, steps=5)
            self.page.mouse.up()

        self._do(move)

    def print(self, path: Path):
        """The page as a PDF, as a printer gets it."""
        self._do(lambda: self.page.pdf(path=path, format="A4"))

    def paper(self, width=700):
        """Shows the page as a sheet of this width will have it, from when a printer is asked for on."""
        self.js("dispatchEvent(new Event('beforeprint'))")
        self._do(lambda: self.page.emulate_media(media="print"))
        self._do(lambda: self.page.set_viewport_size({"width": width, "height": 1000}))
        self._do(lambda: self.page.evaluate(DRAWN))

    def picture(self, path: Path, *, whole=True):
        self._do(lambda: self.page.screenshot(path=path, full_page=whole))

    def requests(self):
        """Addresses asked for since the page was opened."""
        self.js("1")  # what has happened so far is told before this is answered
        return {url for url in self.asked if not url.startswith("data:")}

    def errors(self):
        """What the page's console complained of since it was opened."""
        self.js("1")
        return self.complaints

    def close(self):
        def stop():
            self.chromium.close()
            self.playwright.stop()

        try:
            self._do(stop)
        finally:
            self.thread.shutdown()


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
