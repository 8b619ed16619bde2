"""The playground on a run: a slider over its checkpoints, two of them side by side, the lens on one token."""

from typing import Any

import pytest
from browser import CONTRAST
from serve.playground import Playground, in_a_browser
from serve.servers import running

STEPS = [2, 4, 6, 8]


@pytest.fixture
def page(browser: Any, tale: Any) -> Playground:
    """The page of the run, where texts are short and the same each time."""
    page = Playground(browser, tale.url)
    page.until("document.querySelector('.checkpoints')")
    page.set("Temperature", "0")
    page.set("Most tokens", "12")
    return page


def slide(page: Playground, place: int) -> None:
    page.js(
        f"(() => {{ const slider = document.querySelector('.checkpoints input'); slider.value = {place}; "
        "slider.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )
    page.until(f"document.querySelector('.controls b').textContent === 'tale@{STEPS[place]}'")


def of_step(tale: Any, step: int, prompt: str = "Story 3") -> str:
    return tale.completion(prompt, model=f"tale@{step}", max_tokens=12)["choices"][0]["text"].strip()


def written(tale: Any) -> int:
    """Tokens that the server has written."""
    lines = tale.client.get("/metrics").text.splitlines()
    (line,) = [one for one in lines if one.startswith("chainrule_generated_tokens_total ")]
    return int(float(line.split()[-1]))


@in_a_browser
def test_the_slider_writes_the_prompt_at_each_step_and_coming_back_asks_for_nothing(page, tale, browser):
    page.say("Story 3")
    seen = {tale.opened.step: page.texts()[0]}
    for place in (0, 2):
        slide(page, place)
        page.ready()
        seen[STEPS[place]] = page.texts()[0]
    assert {step: text.strip() for step, text in seen.items()} == {step: of_step(tale, step) for step in seen}
    before = written(tale)
    slide(page, 0)
    assert page.texts()[0] == seen[2] and page.js("document.querySelectorAll('.asked').length") == 1
    slide(page, 2)
    assert page.texts()[0] == seen[6] and written(tale) == before
    assert browser.errors() == []


@in_a_browser
def test_a_step_is_said_with_its_loss_and_keys_move_from_one_to_the_next(page, tale, browser):
    first = page.js("document.querySelector('.checkpoints input').getAttribute('aria-valuetext')")
    (run,) = tale.client.get("/checkpoints").json()["data"]
    losses = {one["step"]: one["val_loss"] for one in run["checkpoints"]}
    assert first.startswith(f"step {tale.opened.step}, held-out loss {losses[tale.opened.step]:.3f}, ")
    assert "step " in page.js("document.querySelector('.curve svg').getAttribute('aria-label')")
    slide(page, 3)
    page.js("document.querySelector('.checkpoints input').focus()")
    browser.press("ArrowLeft")
    page.until("document.querySelector('.controls b').textContent === 'tale@6'")
    assert f"held-out loss {losses[6]:.3f}" in page.js("document.querySelector('.checkpoints').innerText")


@in_a_browser
def test_a_slider_that_goes_on_while_a_text_is_written_shows_that_step_alone(page, tale):
    page.set("Most tokens", "50")
    page.say("Story 3")
    for place in (0, 1, 2):
        slide(page, place)
    page.ready()
    slide(page, 1)
    page.until("document.querySelector('.composer .main').textContent === 'Stop'")
    page.until("document.querySelector('.token')")
    slide(page, 2)
    page.ready()
    expected = tale.completion("Story 3", model="tale@6", max_tokens=50)["choices"][0]["text"]
    assert page.texts()[0].strip() == expected.strip()


@in_a_browser
def test_one_press_writes_at_every_step_and_then_the_slider_never_waits(page, tale):
    page.say("Story 3")
    page.press("Write at every step")
    page.until("document.querySelectorAll('.tick.written').length === 4")
    page.ready()
    expected = [of_step(tale, step) for step in STEPS]
    before = written(tale)
    for place in range(4):
        slide(page, place)
        assert page.texts()[0].strip() == expected[place]
    assert written(tale) == before
    page.set("Temperature", "0.5")
    assert page.js("document.querySelectorAll('.tick.written').length") == 0  # other settings, other texts


@in_a_browser
def test_two_checkpoints_stand_side_by_side_and_what_differs_is_underlined(page, tale):
    page.press("Side by side")
    names = page.js("[...document.querySelectorAll('.controls b')].map(one => one.textContent)")
    assert names[0] == f"tale@{tale.opened.step}" and names[1] == f"tale@{2 if tale.opened.step != 2 else 4}"
    page.say("Story 3")
    page.until("document.querySelector('.compared')")
    # What is not underlined is a sequence of words that both have.
    plain = "[...document.querySelectorAll('.tokens')].map(side => [...side.querySelectorAll('.token:not(.differs)')]"
    left, right = page.js(plain + ".map(one => one.textContent).join('').replace(/\\s/g, ''))")
    assert left == right
    texts = page.texts()
    same = texts[0].split() == texts[1].split()
    assert (page.js("document.querySelectorAll('.token.differs').length") == 0) == same


@in_a_browser
def test_two_models_stand_side_by_side_and_each_writes_its_own(browser, chat_folder, base_folder):
    with running(chat_folder, base_folder, name="one") as server:
        page = Playground(browser, server.url)
        page.press("Side by side")
        page.press("Completion")
        page.until("document.querySelector('.controls b')?.textContent !== 'no model'")
        names = page.js("[...document.querySelectorAll('.controls b')].map(one => one.textContent)")
        assert names == ["one", "base"] and page.js("document.querySelector('.checkpoints')") is None
        page.js(
            "[...document.querySelectorAll('.controls label')].filter(one => one.firstChild.textContent === "
            "'Temperature').forEach(one => { const field = one.querySelector('input'); field.value = 0; "
            "field.dispatchEvent(new Event('change', {bubbles: true})); })"
        )
        page.say("the cat")
        for text, name in zip(page.texts(), names, strict=True):
            assert server.completion("the cat", model=name, max_tokens=64)["choices"][0]["text"].strip() == text.strip()
        assert page.js("document.querySelectorAll('.token.differs').length") > 0


@in_a_browser
def test_a_token_opens_the_lens_which_tells_where_its_probability_hangs(page, browser):
    page.say("<b>Story</b>")
    token = "document.querySelectorAll('.token')[3]"
    share = page.js(f"{token}.title")
    page.js(f"{token}.click()")
    page.until("document.querySelector('.alternatives')")
    page.press("Why this token?")
    page.until("document.querySelector('.why table')")
    assert share in page.js("document.querySelector('.why').innerText")
    modules = page.js("[...document.querySelectorAll('.why tbody th')].map(one => one.textContent)")
    assert modules == ["final_norm", "blocks.1", "blocks.0", "token_embedding"]
    assert page.js("document.querySelector('.places').textContent").startswith("<b>Story</b>")
    assert page.js("document.querySelectorAll('.places b, .why [style]').length") == 0
    shades = "[...document.querySelectorAll('.places span')].map(one => one.className.split(' ')[0])"
    before = page.js(shades)
    assert len(before) == len("<b>Story</b>") + 4 and before[-1] == "asked-for" and "g9" in before
    page.press("final_norm")
    # What is behind the last norm at earlier places, the loss of one token does not see.
    page.until(f"{shades}.filter(one => one === 'g0').length === {len(before) - 2}")
    page.press("Save the whole graph")
    page.until("document.querySelector('.why [role=status]').textContent.includes('is saved')")
    page.js("document.querySelector('.why').close()")
    page.until("!document.querySelector('.why')")
    assert page.js("document.querySelector('.alternatives') !== null")
    assert browser.errors() == []


@in_a_browser
def test_what_the_lens_refuses_is_said_in_its_window(page, monkeypatch):
    page.say("Story 3")
    page.js("document.querySelectorAll('.token')[1].click()")
    page.until("document.querySelector('.alternatives')")
    monkeypatch.setattr("chainrule.serve.own_routes.MOST_DRAWN", 10)
    page.press("Why this token?")
    page.until("document.querySelector('.why table')")
    page.press("Save the whole graph")
    page.until("document.querySelector('.why [role=status]').textContent.includes('up to 10 weights')")


@in_a_browser
@pytest.mark.parametrize(("width", "dark"), [(1400, True), (390, False), (320, True)])
def test_slider_and_lens_fit_the_screen_and_can_be_read(browser, tale, width, dark):
    page = Playground(browser, tale.url, width, dark=dark)
    page.set("Most tokens", "12")
    page.say("Story 3 " + "w" * 40)
    page.js("document.querySelectorAll('.token')[2].click()")
    page.until("document.querySelector('.alternatives')")
    page.press("Why this token?")
    page.until("document.querySelector('.why table')")
    assert page.js("[innerWidth, document.documentElement.scrollWidth]") == [width, width]
    inside = page.js("(box => [box.scrollWidth, box.clientWidth])(document.querySelector('.why'))")
    assert inside[0] <= inside[1] <= width
    places = (".under .quiet", ".curve .high", ".why .quiet", ".why thead th", ".places", ".why h3")
    assert all(page.js(CONTRAST.replace("PLACE", place)) >= 4.5 for place in places)
