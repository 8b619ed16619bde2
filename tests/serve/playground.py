"""The playground in a real browser, as a person uses it."""

import time

from browser import Browser, needs_browser


def in_a_browser(test):
    for mark in needs_browser:
        test = mark(test)
    return test


class Playground:
    """The page, as a person uses it."""

    def __init__(self, browser: Browser, address: str, width: int = 1280, *, dark: bool = False):
        self.browser, self.address = browser, address
        browser.open(f"{address}/", width, dark=dark)

    def js(self, code: str):
        return self.browser.js(code)

    def until(self, code: str) -> None:
        end = time.monotonic() + 20
        while not self.js(code):
            assert time.monotonic() < end, f"{code} did not come true: {self.js('document.body.innerText')}"
            time.sleep(0.03)

    def ready(self) -> None:
        self.until("['Send', 'Write'].includes(document.querySelector('.composer .main')?.textContent)")

    def press(self, name: str) -> None:
        self.js(f"[...document.querySelectorAll('button')].find(one => one.textContent.trim() === {name!r}).click()")

    def say(self, text: str) -> None:
        self.until("document.querySelector('.controls b')?.textContent !== 'no model'")
        self.js(
            "(() => { const area = document.querySelector('.composer textarea'); area.focus(); "
            f"area.value = {text!r}; area.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"
        )
        self.until("!document.querySelector('.composer .main').disabled")
        self.js("document.querySelector('.composer').requestSubmit()")
        self.until("document.querySelector('.token')")
        self.ready()

    def texts(self) -> list[str]:
        return self.js("[...document.querySelectorAll('.tokens')].map(one => one.textContent)")

    def key(self, key: str) -> None:
        self.js(
            f"document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {{key: {key!r}, bubbles: true, "
            "cancelable: true}))"
        )

    def set(self, label: str, value: str) -> None:
        self.js(
            "(() => { const field = [...document.querySelectorAll('.controls label')]"
            f".find(one => one.firstChild.textContent === {label!r}).querySelector('input'); field.value = {value!r}; "
            "field.dispatchEvent(new Event('change', {bubbles: true})); })()"
        )
