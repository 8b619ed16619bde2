"""The live page in a real browser: it draws, follows, lays runs over each other, survives, and can be sent."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from browser import CONTRAST, Browser, needs_browser
from dashboard.made import add_rows, make_run, train_rows
from dashboard.served import serving, until

from chainrule.dashboard import save_page
from chainrule.run import RunFolder, append_row

pytestmark = needs_browser
HERE = Path(__file__).resolve().parents[2]
SOURCES, BUILT = HERE / "playground", HERE / "chainrule" / "dashboard" / "page"
SHARED = ("package-lock.json", "package.json", "tsconfig.json", "vite.config.js")
HOSTILE = "<img src=x onerror=document.title=1></script><script>document.title=2</script>\u202e"
MAIN = "document.querySelector('main').innerText"
# How much longer the pictures are than empty ones of their size.
PAINTED = """[...document.querySelectorAll('.plot canvas')].map((one) => {
    const empty = Object.assign(document.createElement('canvas'), {width: one.width, height: one.height});
    return one.toDataURL().length - empty.toDataURL().length;
})"""


@pytest.fixture(scope="module")
def browser():
    opened = Browser()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched") / "runs"
    make_run(folder / "first", steps=120, settings={"optimizer": {"lr": 0.001}})
    make_run(folder / "second", steps=120, seed=1)
    make_run(folder / "third", steps=120, done=70, running=True, seed=2, text=HOSTILE)
    return folder


@pytest.fixture(scope="module")
def address(runs):
    with serving(runs) as url:
        yield url


def opened(browser, address: str, *, run: str = "", width: int = 1280, dark: bool = False) -> None:
    browser.open(f"{address}/#run={run}" if run else f"{address}/", width, dark=dark)
    until(lambda: browser.js("document.querySelectorAll('.plot canvas').length") == 5)
    until(lambda: browser.js(f"({PAINTED}).every((n) => n > 1000)"))


def press(browser, name: str) -> None:
    browser.js(f"[...document.querySelectorAll('button')].find(one => one.textContent.trim() === {name!r}).click()")


def test_the_page_in_the_package_was_built_from_these_sources():
    digest = hashlib.sha256()
    own = [f"watch/src/{path.name}" for path in (SOURCES / "watch" / "src").iterdir()]
    for name in sorted([*SHARED, "src/text.ts", "watch/index.html", *own]):
        digest.update(f"{name}\0{(SOURCES / name).read_text('utf-8')}\0".encode())
    stamp = (BUILT / "sources.sha256").read_text().strip()
    assert stamp == digest.hexdigest(), "the live page is older than its sources: make playground"


def test_the_page_asks_for_nothing_of_others_and_has_nothing_inline():
    page = (BUILT / "index.html").read_text("utf-8")
    assert {path.name for path in (BUILT / "assets").iterdir()} == {"page.js", "page.css"}
    assert "<script>" not in page and "<style" not in page and "http" not in page
    assert "innerHTML" not in "".join(path.read_text("utf-8") for path in (SOURCES / "watch" / "src").glob("*.ts*"))


def test_it_draws_itself_without_an_error_and_asks_only_its_server(browser, address):
    opened(browser, address)
    told = browser.js(MAIN)
    assert "third" in told and "EXPECTED AT THE END" in told.upper() and "step 70 of 120" in told
    assert "bias-corrected" in told and "between 2 earlier runs on this text" in told
    assert browser.js("document.querySelectorAll('.heat path').length") > 20
    assert all(url.startswith(address) for url in browser.requests()) and browser.errors() == []


def test_what_runs_write_is_never_html(browser, address):
    opened(browser, address)
    until(lambda: browser.js("document.querySelector('.round pre')?.textContent ?? ''").count("onerror"))
    assert browser.js("document.querySelectorAll('.round img, .round script').length") == 0
    assert browser.js("document.title") == "58 % · third" and "\u202e" not in browser.js("document.body.textContent")


def test_two_runs_lie_over_each_other_and_what_differs_is_told(browser, address):
    opened(browser, address, run="second")
    browser.js("document.querySelector('input[aria-label*=first]').click()")
    until(lambda: browser.js("document.querySelector('#apart-title')"))
    until(lambda: "optimizer.lr" in browser.js("document.querySelector('#apart-title').parentElement.innerText"))
    assert "0.001" in browser.js("document.querySelector('.other').textContent")
    labels = browser.js("[...document.querySelectorAll('.chart output')].slice(0, 2).map(one => one.textContent)")
    assert all("first" in label for label in labels) and "training" in labels[0] and "held out" in labels[1]
    # The address says it, so that a reload shows the same.
    assert browser.js("location.hash") == "#run=second&run=first" and browser.errors() == []


@pytest.mark.parametrize("choice", ["Tokens", "FLOPs", "Time", "All", "Log"])
def test_every_axis_and_scale_draws(browser, address, choice):
    opened(browser, address, run="second")
    press(browser, choice)
    until(
        lambda: browser.js("[...document.querySelectorAll('[aria-pressed=true]')].map(b => b.textContent)").count(
            choice
        )
    )
    until(lambda: browser.js(f"({PAINTED}).every((n) => n > 1000)"))
    assert browser.errors() == []


def test_arrow_keys_read_all_curves_at_one_place_and_a_table_stands_behind_each(browser, address):
    opened(browser, address, run="second")
    browser.js("document.querySelector('.plot').focus()")
    browser.press("Home")
    for _ in range(30):
        browser.press("ArrowRight")
    readout = "[...document.querySelectorAll('.chart output')].map(one => one.textContent)"
    until(lambda: all(text.startswith("step ") for text in browser.js(readout)))
    steps = {text.split()[1] for text in browser.js(readout)}
    assert len(steps) == 1 and 20 <= int(steps.pop()) <= 60
    assert browser.js("document.querySelector('.chart output').ariaLive") == "polite"
    browser.press("Escape")
    until(lambda: not browser.js(readout)[0].startswith("step "))
    browser.js("document.querySelector('.chart details').open = true")
    until(lambda: browser.js("document.querySelectorAll('.chart table tbody tr').length") == 12)
    assert browser.js("document.querySelector('.chart table thead').innerText").split() == [
        "step",
        "training",
        "held",
        "out",
    ]
    assert "training from" in browser.js("document.querySelector('.plot').ariaLabel")


@pytest.mark.parametrize(("width", "dark"), [(1400, False), (1400, True), (390, False), (390, True), (320, False)])
def test_nothing_is_wider_than_the_screen_and_all_can_be_read(browser, address, width, dark):
    opened(browser, address, width=width, dark=dark)
    browser.js("document.querySelector('input[aria-label*=first]').click()")
    browser.js("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    until(lambda: browser.js("document.querySelector('#apart-title')"))
    assert browser.js("[innerWidth, document.documentElement.scrollWidth]") == [width, width]
    places = (
        ".quiet",
        ".lead",
        ".tiles dt",
        ".about",
        ".ink-train",
        ".ink-held",
        ".ink-run-0",
        "b.good",
        ".pill",
        "summary",
    )
    assert {place: browser.js(CONTRAST.replace("PLACE", place)) >= 4.5 for place in places} == dict.fromkeys(
        places, True
    )
    unnamed = "[...document.querySelectorAll('button, input, select')].filter(one => !one.labels?.length && "
    assert browser.js(unnamed + "!one.ariaLabel && !one.textContent.trim()).length") == 0


def test_rows_of_another_process_a_run_that_begins_and_one_that_goes_are_seen(browser, tmp_path):
    folder = tmp_path / "runs"
    live = make_run(folder / "live", steps=100, done=20, running=True)
    with serving(folder) as url:
        opened(browser, url)
        assert "step 20 of 100" in browser.js(MAIN)
        row = json.dumps({"kind": "train", "step": 33, "tokens": 135_000, "seconds": 10.0, "loss": 3.5})
        writer = f"import sys; open(sys.argv[1], 'a').write({row + chr(10)!r})"
        subprocess.run([sys.executable, "-c", writer, str(live.metrics)], check=True)
        until(lambda: "step 33 of 100" in browser.js(MAIN))
        # A torn row is nothing yet; its other half makes it one.
        with live.metrics.open("a", encoding="utf-8") as stream:
            stream.write(row.replace("33", "44")[:30])
            stream.flush()
            until(lambda: "step 33 of 100" in browser.js(MAIN))
            stream.write(row.replace("33", "44")[30:] + "\n")
        until(lambda: "step 44 of 100" in browser.js(MAIN))
        make_run(folder / "newer", steps=40)
        until(lambda: "newer" in browser.js("document.querySelector('.runs')?.innerText ?? ''"))
        shutil.rmtree(live.path)
        until(lambda: "live" not in browser.js(MAIN + " + (document.querySelector('.runs')?.innerText ?? '')"))
        until(lambda: "newer" in browser.js(MAIN))
        assert browser.errors() == []


def test_a_fine_tuning_shows_what_it_is_looked_at_for(browser, tmp_path):
    run = make_run(tmp_path / "runs" / "taught", steps=60, running=True)
    for step, exact in ((0, 0.0), (30, 0.5), (60, 0.875)):
        append_row(run.metrics, {"kind": "answers", "step": step, "n": 8, "exact": exact, "stopped": 1.0})
    with serving(tmp_path / "runs") as url:
        browser.open(f"{url}/")
        until(lambda: "What it was taught" in browser.js("document.querySelector('main')?.innerText ?? ''"))
        until(lambda: browser.js("document.querySelectorAll('.plot canvas').length") == 6)
        press(browser, "Tokens")
        until(lambda: browser.js(f"({PAINTED}).every((n) => n > 1000)"))
        said = browser.js("[...document.querySelectorAll('.chart figcaption')].at(-1).innerText")
        assert "share of answers" in said and "exactly right 0.8750" in said and browser.errors() == []


def test_no_run_at_all_is_said_with_what_to_do(browser, tmp_path):
    with serving(tmp_path / "nothing") as url:
        browser.open(f"{url}/")
        until(lambda: "chainrule quickstart" in browser.js("document.body.innerText"))
        make_run(tmp_path / "nothing" / "first", steps=20)
        until(lambda: "first" in browser.js("document.querySelector('main')?.innerText ?? ''"))


def test_the_page_survives_the_end_and_a_new_begin_of_its_server(browser, tmp_path):
    folder = tmp_path / "runs"
    run = make_run(folder / "one", steps=100, done=30, running=True)
    with serving(folder) as url:
        opened(browser, url)
    until(lambda: "not reached" in browser.js("document.querySelector('.live').textContent"))
    assert "step 30 of 100" in browser.js(MAIN), "what is known stays"
    add_rows(run, train_rows(range(31, 41), 100))
    with serving(folder, port=int(url.rsplit(":", 1)[1])):
        until(lambda: "step 40 of 100" in browser.js(MAIN))
        assert browser.js("document.querySelector('.live').textContent") == "live"


def test_a_server_with_a_token_is_opened_by_typing_it_also_under_a_path(browser, runs):
    with serving(runs, token="a long secret", prefix="/x") as url:
        browser.open(f"{url}/")
        until(lambda: browser.js("document.querySelector('form.key input')"))
        browser.js("document.querySelector('form.key input').focus()")
        for letter in "a long secret":
            browser.press("Space" if letter == " " else letter)
        browser.press("Enter")
        until(lambda: "third" in browser.js("document.querySelector('main')?.innerText ?? ''"))


def test_runs_are_one_file_to_send_that_asks_nobody(browser, tmp_path):
    folder = tmp_path / "runs"
    make_run(folder / '<b>bold & "quoted"</script>'.replace("/", "∕"), steps=60, text=HOSTILE)
    make_run(folder / "plain", steps=60, seed=1, settings={"optimizer": {"lr": 0.001}})
    page = save_page([folder], tmp_path / "page.html")
    browser.open(page)
    until(lambda: browser.js("document.querySelectorAll('.plot canvas').length") == 5)
    until(lambda: browser.js(f"({PAINTED}).every((n) => n > 1000)"))
    assert browser.requests() == {page.as_uri()} and browser.errors() == []
    assert browser.js("document.querySelector('.live').textContent") == "saved"
    assert browser.js("document.querySelectorAll('main img, main b b, .runs b:not(.state)').length") == 0
    browser.js("document.querySelector('.runs input:not(:disabled)').click()")
    until(lambda: "optimizer.lr" in browser.js("document.querySelector('#apart-title')?.parentElement.innerText ?? ''"))
    written = page.read_text("utf-8")
    assert HOSTILE[:4] not in written and "http://" not in written.replace("http://www.w3.org", "")


def test_a_journal_of_thirty_thousand_rows_is_drawn_with_its_one_spike(browser, tmp_path):
    folder = tmp_path / "runs"
    run = make_run(folder / "long", steps=30_000, done=0, running=True)
    add_rows(run, train_rows(range(1, 30_001), 30_000, spikes=[21_234]))
    append_row(run.events, {"message": "still here"})
    with serving(RunFolder(folder).path) as url:
        browser.open(f"{url}/")
        until(lambda: "step 30,000 of 30,000" in browser.js("document.querySelector('.way')?.innerText ?? ''"), 60)
        press(browser, "All")
        browser.js("document.querySelector('.chart details').open = true")
        until(lambda: "neighbours are drawn" in browser.js(MAIN))
        # A part of it is asked for in finer pieces: the smoothing then has one row at each place, of 1,200.
        browser.drag(".plot .u-over", 0.69, 0.73)
        until(lambda: "A part of it" in browser.js(MAIN))
        until(lambda: any("/api/part?run=long&after=2" in one for one in browser.requests()))
        until(lambda: browser.js(f"({PAINTED}).every((n) => n > 1000)"))
        assert browser.errors() == []
