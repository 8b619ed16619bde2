"""The ledger's own page: whole without a script, walked with one, safe, the same numbers as the text."""

import re

import pytest
import torch
from browser import Browser, needs_browser
from torch import nn

from chainrule import lens
from chainrule.config import ModelConfig
from chainrule.lens.ledgers import ledger_html
from chainrule.model import GPT

SHAPE = {"vocab_size": 64, "context_length": 16, "emb_dim": 16, "n_heads": 2, "n_layers": 2}


def gpt_tape():
    torch.manual_seed(0)
    model = GPT(ModelConfig.model_validate(SHAPE))
    ids = torch.randint(0, 64, (2, 9))
    return lens.record(model.loss, ids[:, :-1], ids[:, 1:])


@pytest.fixture(scope="module")
def book():
    return lens.ledger(gpt_tape(), coordinate=("blocks.0.attention.qkv", (3, 7)), stats=False)


def test_it_is_not_the_graphs_page(book):
    page = lens.render(book, "html", title="gpt")
    assert page != lens.render(lens.picture(book.tape, book, title="gpt"), "html")
    assert page.count('class="step') == len(book.rows)
    assert "http" not in re.sub(r"http-equiv", "", page)


def test_every_step_says_where_its_gradient_goes(book):
    page = ledger_html(book)
    targets = set(re.findall(r'href="#([\w-]+)"', page))
    places = set(re.findall(r' id="([\w-]+)"', page))
    assert targets <= places
    assert {f"leaf-{leaf.value}" for leaf in book.leaves} <= targets


def test_the_followed_element_stands_above_with_its_gradient(book):
    page = ledger_html(book)
    assert "blocks.0.attention.qkv.weight[3, 7]" in page
    assert f"{book.coordinate.gradient:.8g}" in page
    assert page.count("step followed") == len(book.coordinate.steps)
    assert "followed" not in re.sub(
        r"<style>.*?</style>", "", ledger_html(lens.ledger(book.tape, stats=False)), flags=re.S
    )


def test_names_and_lines_of_a_program_cannot_become_markup():
    class Evil(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))

        def forward(self):
            return (self.weight * 2).sum()  # <script>alert(1)</script>

    page = ledger_html(lens.ledger(lens.record(Evil())), "<b>&")
    assert "<script>alert" not in page
    assert "&lt;b&gt;&amp;" in page


@pytest.fixture(scope="module")
def browser():
    opened = Browser()
    yield opened
    opened.close()


class TestInABrowser:
    pytestmark = needs_browser

    @pytest.fixture
    def page(self, book, tmp_path, browser):
        path = lens.save(book, tmp_path / "ledger.html")
        browser.open(path, 1400, 900)
        return browser

    def test_it_asks_for_nothing_and_complains_of_nothing(self, page):
        assert len(page.requests()) == 1
        assert page.errors() == []

    def test_keys_walk_and_the_place_is_told(self, page, book):
        page.press("ArrowRight")
        page.press("ArrowRight")
        assert page.js("document.querySelector('[aria-current]').id") == "step-2"
        assert page.js("document.getElementById('place').textContent") == f"step 2 of {len(book.rows)}"
        page.press("End")
        assert page.js("document.querySelector('[aria-current]').id") == f"step-{len(book.rows)}"
        assert page.js("document.getElementById('forth').disabled")
        page.press("Escape")
        assert page.js("document.querySelector('[aria-current]')") is None

    def test_a_link_goes_to_the_step_and_opens_its_module(self, page):
        page.js("document.querySelectorAll('#steps details').forEach((one) => { one.open = false; })")
        page.js("document.querySelector('#step-1 a[href^=\"#step-\"]').click()")
        page.js("new Promise((done) => setTimeout(done, 100))")
        current = page.js("document.querySelector('[aria-current]').id")
        assert current == page.js("document.querySelector('#step-1 a[href^=\"#step-\"]').hash.slice(1)")
        assert page.js("document.querySelector('[aria-current]').closest('details').open")

    @pytest.mark.parametrize("width", [1400, 390])
    def test_nothing_is_wider_than_the_screen(self, book, tmp_path, browser, width):
        browser.open(lens.save(book, tmp_path / "ledger.html"), width, 800, dark=width < 500)
        assert browser.js("document.documentElement.scrollWidth") == width

    def test_on_paper_all_modules_are_open(self, page, book):
        page.js("document.querySelectorAll('#steps details').forEach((one) => { one.open = false; })")
        page.paper()
        shown = "[...document.querySelectorAll('.step')].filter((one) => one.getClientRects().length).length"
        assert page.js(shown) == len(book.rows)
        assert page.js("getComputedStyle(document.getElementById('walk')).display") == "none"
