"""The playground in a real browser, on a real server with a tiny model: chat, alternatives, two at once, any width."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser import CONTRAST
from serve.playground import Playground, in_a_browser
from serve.servers import running
from talking import base, instructed, saved

HERE = Path(__file__).resolve().parents[2]
SOURCES, BUILT = HERE / "playground", HERE / "chainrule" / "serve" / "page"
OF_THE_FOLDER = ("index.html", "package-lock.json", "package.json", "tsconfig.json", "vite.config.js")


def test_the_page_in_the_package_was_built_from_these_sources():
    digest = hashlib.sha256()
    for name in sorted([*OF_THE_FOLDER, *(f"src/{path.name}" for path in (SOURCES / "src").iterdir())]):
        digest.update(f"{name}\0{(SOURCES / name).read_text('utf-8')}\0".encode())
    stamp = (BUILT / "sources.sha256").read_text().strip()
    assert stamp == digest.hexdigest(), "the playground is older than its sources: make playground"


def test_the_page_asks_for_nothing_of_others_and_has_nothing_inline():
    page = (BUILT / "index.html").read_text("utf-8")
    assert {path.name for path in (BUILT / "assets").iterdir()} == {"page.js", "page.css"}
    assert "<script>" not in page and "<style" not in page and "http" not in page
    assert "innerHTML" not in "".join(path.read_text("utf-8") for path in (SOURCES / "src").glob("*.ts*"))


@contextmanager
def served(opened, folder: Path, **settings) -> Iterator[str]:
    """The address of a server with that model."""
    with running(saved(opened, folder), **settings) as server:
        yield server.url


@pytest.fixture(scope="module")
def chatting(tmp_path_factory):
    with served(instructed(), tmp_path_factory.mktemp("playground") / "chat") as address:
        yield address


@in_a_browser
def test_an_answer_comes_token_by_token_and_what_is_said_is_never_html(browser, chatting):
    page = Playground(browser, chatting)
    page.say("<img src=x onerror=document.title=1><b>cat</b>\u202e")
    assert page.js("document.querySelector('.asked').lastChild.textContent").startswith("<img src=x onerror")
    assert page.js("document.querySelectorAll('.turn img, .turn b, .turn [style]').length") == 0
    assert "\u202e" not in page.js("document.body.textContent") and page.js("document.title") == "Playground"
    assert page.js("document.querySelectorAll('.token').length") > 3
    shades = page.js("[...document.querySelectorAll('.token')].map(one => [one.className.split(' ')[1], one.title])")
    assert len({shade for shade, _ in shades}) > 2 and all(title.endswith(" %") for _, title in shades)
    page.say("and the dog")
    assert len(page.texts()) == 2
    assert browser.requests() and all(url.startswith(chatting) for url in browser.requests())
    assert browser.errors() == []


@in_a_browser
@pytest.mark.parametrize("kind", ["Completion", "Chat"])
def test_a_text_goes_on_from_another_token_by_mouse_and_by_keyboard(browser, chatting, kind):
    page = Playground(browser, chatting)
    page.press(kind)
    page.set("Temperature", "0")
    page.say("the cat")
    texts = page.js("[...document.querySelectorAll('.token')].map(one => one.textContent)")
    page.js("document.querySelectorAll('.token')[2].focus()")
    page.key("ArrowRight")
    assert page.js("document.activeElement.dataset.place") == "3"
    page.key("Enter")
    page.until("document.querySelectorAll('.alternatives li').length >= 5")
    page.until("document.activeElement.closest('.alternatives') !== null")
    page.key("Escape")
    page.until("!document.querySelector('.alternatives')")
    assert page.js("document.activeElement.dataset.place") == "3"
    page.js("document.querySelectorAll('.token')[3].click()")
    page.until("document.querySelector('.alternatives')")
    # At temperature 0 the first is the token that stands there.
    other = page.js("document.querySelectorAll('.alternatives .name')[1].textContent").replace("␣", " ")
    page.js("document.querySelectorAll('.alternatives li button')[1].click()")
    page.until("!document.querySelector('.alternatives')")
    page.ready()
    page.until("document.querySelectorAll('.token').length > 4")
    assert page.texts()[0].startswith("".join(texts[:3]) + other) and other != texts[3]


@in_a_browser
def test_two_stand_side_by_side_on_one_prompt_with_settings_of_their_own(browser, chatting):
    page = Playground(browser, chatting)
    page.press("Side by side")
    page.say("the cat")
    page.until("document.querySelectorAll('.tokens').length === 2")
    left, right = page.texts()
    assert left and right and left != right  # two seeds
    assert page.js("document.querySelectorAll('section')[1].getAttribute('aria-label')") == "Right"


@in_a_browser
def test_what_is_refused_is_said_and_the_conversation_goes_on(browser, chatting):
    page = Playground(browser, chatting)
    page.say("the cat")
    before = page.texts()
    page.say("x" * 400)
    page.until("document.querySelector('[role=alert]')")
    assert "256" in page.js("document.querySelector('[role=alert]').textContent") and page.texts() == before
    page.say("and the dog")
    assert len(page.texts()) == 2 and page.js("document.querySelector('[role=alert]')") is None


@in_a_browser
def test_a_base_model_goes_on_with_texts_and_a_server_that_asks_for_its_token_gets_it(browser, tmp_path):
    with served(base(), tmp_path / "base", token="secret-token") as address:
        page = Playground(browser, address)
        page.until("document.querySelector('.key input')")
        page.js(
            "(() => { const field = document.querySelector('.key input'); field.value = 'secret-token'; "
            "field.dispatchEvent(new Event('input', {bubbles: true})); })()"
        )
        time.sleep(0.1)
        page.js("document.querySelector('.key').requestSubmit()")
        page.until("document.querySelector('.switch [aria-pressed=true]')?.textContent === 'Completion'")
        page.say("the cat")
        assert page.texts()[0]


@in_a_browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (375, True), (320, False)])
def test_nothing_is_wider_than_the_screen_and_all_can_be_read(browser, chatting, width, dark):
    page = Playground(browser, chatting, width, dark=dark)
    page.press("Side by side")
    page.say("the cat " + "w" * 60)
    page.js("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    page.js("document.querySelector('.token').click()")
    assert page.js("[innerWidth, document.documentElement.scrollWidth]") == [width, width]
    assert all(page.js(CONTRAST.replace("PLACE", place)) >= 4.5 for place in (".quiet", ".token", ".asked", "h1"))
    unnamed = "[...document.querySelectorAll('button, input, select, textarea')].filter(one => !one.labels?.length && "
    assert page.js(unnamed + "!one.ariaLabel && !one.textContent.trim()).length") == 0
