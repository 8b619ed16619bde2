"""Everything that an instrument finds is shown by one function, and what it cannot be shown as is said."""

import json

import pytest
import torch
from lens.models import MODERN

from chainrule import lens
from chainrule.base import ChainruleError, LensError
from chainrule.config import ModelConfig
from chainrule.lens.classics import Tour
from chainrule.lens.ledgers import CostTable, costs_of
from chainrule.lens.opening import look_at_token
from chainrule.lens.renderers.table import RENDERERS
from chainrule.lens.tensors import TensorList
from chainrule.model import GPT

BEGINNINGS = {"html": "<!doctype html>", "svg": "<svg", "json": "{", "md": "#", "tex": "%", "text": ""}


@pytest.fixture(scope="module")
def found():
    """One result of every instrument."""
    subject = lens.neuron()
    tape = subject.record()
    book = lens.ledger(tape, coordinate=("w", ()))
    x = torch.ones(2, 3)
    gpt = lens.Subject("small", torch.nn.Linear(3, 1), (x,), lambda out: out.sum())
    results = [
        *(book, book.coordinate, lens.verify(subject, coordinates=1), lens.picture(tape), lens.tensor(x)),
        *(TensorList("here", {"x": x}), lens.shares(x, x), lens.explain("x + 1", x=x)),
        *(lens.rule_book(), lens.find_rule("gelu"), lens.neuron_demo(), lens.network_demo(lens.network())),
        *(lens.gpt_demo(gpt, gpt.record(), "weight"), lens.tour_of_tensors()),
        lens.check(subject, ways=["eager"]),
        CostTable(tape, costs_of(tape)),
        look_at_token(GPT(ModelConfig(**MODERN)), [5, 9, 2]),
    ]
    return {type(one): one for one in results}


def test_every_result_is_tried(found):
    assert set(found) == set(RENDERERS)


@pytest.mark.parametrize("kind", RENDERERS, ids=lambda kind: kind.__name__)
def test_every_format_of_every_result_is_what_it_says(found, kind, tmp_path):
    one = found[kind]
    assert lens.formats_of(one) == lens.formats_of(kind) == tuple(RENDERERS[kind])
    for word in lens.formats_of(one):
        content = lens.render(one, word)
        assert content.startswith(BEGINNINGS[word]) and content.strip() and not content.endswith("\n\n")
        path = lens.save(one, tmp_path / "shown", word)
        assert path.read_text(encoding="utf-8") == content + "\n"
        if word == "json":
            assert isinstance(json.loads(content), dict)


def test_text_is_what_is_shown_when_nothing_is_asked(found):
    assert lens.render(found[Tour]) == lens.render(found[Tour], "text") == repr(found[Tour]).rstrip()


def test_the_ending_of_a_file_says_its_format(found, tmp_path):
    page = lens.save(found[lens.Picture], tmp_path / "graph.html")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(ChainruleError, match=r"end it in \.json, \.txt"):
        lens.save(found[lens.Report], tmp_path / "report.svg")


def test_options_go_to_the_format_that_has_them_and_none_is_not_given(found):
    assert lens.render(found[lens.Picture], "svg", depth=0)
    assert lens.render(found[lens.Picture], "md", depth=None) == lens.render(found[lens.Picture], "md")
    assert max(map(len, lens.render(found[lens.TensorView], width=60).splitlines())) <= 60


@pytest.mark.parametrize(
    ("word", "options", "message"),
    [
        ("md", {"depth": 1}, "depth=1 does not go with md; it is for text, html, svg"),
        ("svg", {"dept": 1}, "a Picture has no such option"),
        ("htlm", {}, r"Did you mean 'html'\? It has text, json, html, svg, md, tex"),
    ],
)
def test_a_format_or_an_option_that_is_not_there_is_refused_with_those_that_are(found, word, options, message):
    with pytest.raises(LensError, match=message):
        lens.render(found[lens.Picture], word, **options)


def test_what_no_instrument_found_is_refused():
    with pytest.raises(LensError, match="nothing that an instrument found; these are shown: Checked, CoordinatePath"):
        lens.render({})
