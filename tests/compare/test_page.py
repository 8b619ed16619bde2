"""The comparison's page: it stands alone, fits any screen, and no text of a run becomes a part of it."""

import shutil

import pytest
from browser import Browser, needs_browser

from chainrule.compare import compare_runs, write_comparison
from chainrule.run import RunFolder


@pytest.fixture(scope="module")
def written(trained, tmp_path_factory):
    runs = tmp_path_factory.mktemp("compared")
    for name in ("a0", "a1", "b0", "b1"):
        shutil.copytree(trained / name, runs / name)
    samples = runs / "a0" / "summary.json"
    samples.write_text(samples.read_text().replace('"the "', '"the <script>alert(1)</script>"'))
    found = compare_runs([RunFolder(runs / "a0"), RunFolder(runs / "b0")])
    return found, write_comparison(found, runs)


@pytest.mark.xdist_group("compared")
def test_the_page_holds_the_sentence_the_tables_and_three_pictures(written):
    found, page = written
    content = page.read_text(encoding="utf-8")
    assert page.name == "compare-a0-b0.html"
    assert found.judged[0].verdict.text in content
    assert content.count("<svg role") == 3 and "optimizer.lr" in content
    assert "<script" not in content


@pytest.fixture(scope="module")
def browser():
    opened = Browser()
    yield opened
    opened.close()


@needs_browser[0]
@needs_browser[1]
@pytest.mark.parametrize(("width", "dark"), [(1400, False), (390, True)])
def test_it_fits_the_screen_and_asks_nothing(browser, written, width, dark):
    browser.open(written[1], width, dark=dark)
    assert browser.js("[innerWidth, document.documentElement.scrollWidth]") == [width, width]
    assert browser.js("document.querySelectorAll('.line-chart path').length") == 6
    assert browser.errors() == [] and browser.requests() == {written[1].as_uri()}
