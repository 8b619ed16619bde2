"""The page in a real browser: it draws, switches, fits a phone, and asks nothing of any network."""

import pytest
from browser import CONTRAST, Browser, needs_browser

from chainrule.report import write_report
from chainrule.run import run_lock

pytestmark = needs_browser


@pytest.fixture(scope="module")
def browser():
    opened = Browser()
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
    assert browser.js("document.querySelectorAll('[data-chart]:not([hidden]) svg').length") == 7
    assert browser.js(f"{CURVE}.length") > 1000
    assert browser.js("document.querySelector('[data-chart=loss] .readout').textContent").startswith(" training 2.")
    assert browser.requests() == {page.as_uri()}
    assert browser.errors() == []


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
    shown = "[...document.querySelectorAll('[data-chart]:not([hidden]) .readout')]"
    readouts = f"{shown}.map(r => r.textContent.match(/^step (\\d+)/)[1])"
    loss, bits, *others = map(int, browser.js(readouts))
    assert [at for at in others if abs(at - loss) > 13] == []
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


def test_paper_has_everything_and_cuts_nothing(browser, page, tmp_path):
    browser.open(page, 1600, dark=True)
    browser.paper()
    assert browser.js("document.documentElement.scrollWidth <= innerWidth")
    assert browser.js("document.querySelectorAll('details:not([open])').length") == 0
    wide = "[...document.querySelectorAll('.plot svg')].map(one => one.getBoundingClientRect().right)"
    assert max(browser.js(wide)) <= 700
    texts = "[...document.querySelectorAll('pre')].filter(one => one.offsetParent)"
    assert browser.js(f"{texts}.filter(one => one.scrollHeight > one.clientHeight + 2).length") == 0
    assert browser.js("getComputedStyle(document.body).colorScheme") != "dark"
    assert browser.js(f"{CURVE}.length") > 1000
    browser.js("dispatchEvent(new Event('afterprint'))")
    assert browser.js("document.querySelectorAll('details[open]').length") == 0
    browser.print(tmp_path / "report.pdf")
    assert browser.errors() == []


def test_a_plot_without_a_width_is_not_drawn_and_complains_of_nothing(browser, page):
    browser.open(page)
    browser.js("document.querySelector('.charts').style.display = 'none'")
    browser.js("document.querySelector('[data-value=all]').click()")
    browser.js("document.querySelector('.charts').style.cssText = 'display: block; width: 30px'")
    browser.js("document.querySelector('[data-value=log]').click()")
    assert browser.errors() == []


def test_both_rates_are_drawn_in_numbers_that_can_be_read(browser, page):
    browser.open(page)
    rates = browser.js("document.querySelector('[data-chart=lr] .readout').textContent")
    assert "Muon" in rates and "AdamW" in rates
    assert "0.0000" not in rates
    assert browser.js("document.querySelectorAll('[data-chart=lr] path').length") >= 2


def test_a_page_of_a_run_that_goes_on_keeps_what_was_chosen_when_it_loads_again(browser, run_maker):
    run = run_maker(steps=200, finished=False)
    with run_lock(run):
        running = write_report(run)
    browser.open(running)
    assert "loads itself again" in browser.js("document.getElementById('news').textContent")
    browser.js("document.querySelector('[data-value=tokens]').click()")
    browser.js("(s => { s.value = 1; s.dispatchEvent(new Event('input')) })(document.getElementById('round'))")
    browser.js("scrollTo({top: 400, behavior: 'instant'})")
    write_report(run)  # it has ended meanwhile: the page that comes now loads itself no more
    browser.reload()
    assert browser.js("[...document.querySelectorAll('[aria-pressed=true]')].map(b => b.dataset.value)") == [
        "tokens",
        "zoom",
    ]
    assert browser.js("document.getElementById('round-step').textContent") == "step 50"
    assert browser.js("document.documentElement.dataset.running") is None
    assert browser.errors() == []
