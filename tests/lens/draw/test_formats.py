"""Every format holds what it should, whatever the names are, and stays within its size."""

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
import torch
from torch import nn

from chainrule.base import LensError
from chainrule.lens import formats_of, picture, record, render
from chainrule.lens.draw import to_html, to_json, to_latex, to_markdown, to_svg, to_terminal
from chainrule.lens.draw.html import MOST_BYTES
from chainrule.lens.draw.plain import KEPT, STEPS, TOO_MANY, fitted, packed
from chainrule.lens.tape import Site

NASTY = "</script><b onclick=x>&\"'\u2028\ud800 {{script}} $&"


def embedded(page):
    return json.loads(re.search(r'id="picture">(.*?)</script>', page, re.S)[1])


@pytest.fixture(scope="module")
def nasty():
    """A tape whose names and source lines try to break out."""
    holder = nn.ModuleDict({"</script><i>|`": nn.Linear(2, 1)})
    tape = record(lambda x: holder["</script><i>|`"](x).sum(), torch.ones(1, 2))
    object.__setattr__(tape.nodes[-1], "site", Site(NASTY, 1, NASTY, NASTY))
    tape.values[0].name = NASTY
    tape.target = NASTY
    return picture(tape)


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.addresses = [], []

    def handle_starttag(self, name, attributes):
        self.tags.append(name)
        self.addresses += [value for key, value in attributes if key in ("src", "href", "action", "data")]


def read(page):
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def test_no_text_breaks_out_of_the_page(nasty, of_neuron):
    page = to_html(nasty)
    assert page.encode()
    assert read(page).tags == read(to_html(of_neuron)).tags
    assert embedded(page)["sites"][-1]["code"] == NASTY.replace("\ud800", "\ufffd")
    assert page.count("</script>") == 2


def test_the_page_names_no_address_but_its_own(of_gpt):
    page = to_html(of_gpt)
    assert read(page).addresses == ["#ledger"]
    words = re.sub(r"http://www\.w3\.org/2000/svg", "", page)
    assert not re.search(r"https?://|@import|url\((?!#)|eval\(|new Function|innerHTML|insertAdjacentHTML", words)
    assert re.search(r"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-", page)


def test_no_text_breaks_out_of_the_drawing(nasty):
    tree = ET.fromstring(to_svg(nasty))
    assert {one.tag.split("}")[1] for one in tree.iter()} <= {
        *("svg", "title", "style", "defs", "marker", "path", "rect", "text", "tspan", "g")
    }
    for word in formats_of(nasty):
        assert render(nasty, word).encode("utf-8", "replace"), word


def test_cards_do_not_lie_on_each_other(of_network, of_gpt):
    for shown in (of_network, of_gpt):
        for depth in (0, 1, 9):
            tree = ET.fromstring(to_svg(shown, depth))
            cards = [
                tuple(float(one.get(key)) for key in ("x", "y", "width", "height"))
                for one in tree.iter("{http://www.w3.org/2000/svg}rect")
                if (one.get("class") or "").startswith("card")
            ]
            assert len(cards) > 5
            for i, (x, y, width, height) in enumerate(cards):
                for other_x, other_y, other_width, other_height in cards[:i]:
                    apart = other_x >= x + width or x >= other_x + other_width
                    assert apart or other_y >= y + height or y >= other_y + other_height


def test_the_terminal_keeps_within_a_hundred_columns(of_gpt, of_network, nasty):
    for shown in (of_gpt, of_network, nasty):
        for depth in (None, 0, 5):
            lines = to_terminal(shown, depth).splitlines()
            assert max(map(len, lines)) <= 100
    assert "▸ blocks.1  Block" in to_terminal(of_gpt, 0)
    assert "attention" not in to_terminal(of_gpt, 0)


def test_json_holds_every_number_exactly(of_neuron):
    content = json.loads(to_json(of_neuron))
    assert content["schema"] == 1
    by_name = {value["name"]: value for value in content["values"]}
    w = next(value for value in of_neuron.values if value.name == "w")
    assert by_name["w"]["gradient"]["number"] == w.gradient.number
    assert by_name["loss"]["shape"] == []


def test_markdown_and_latex_have_a_line_for_each_gradient(of_neuron, nasty):
    text = to_markdown(of_neuron)
    assert "| 4 | u = x · w | y = ab | 2.42 | −0.08166 | w −0.08983 |" in text
    parts = sum(len(step.parts) for step in of_neuron.steps)
    assert to_latex(of_neuron).count("&=") == parts
    assert r"\frac{\partial L}{\partial w}" in to_latex(of_neuron)
    rows = [line for line in to_markdown(nasty).splitlines() if line.startswith("| ")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) <= 3  # one count for each table


def test_a_page_that_is_too_large_says_what_was_left_out(of_gpt):
    whole = len(to_html(of_gpt).encode())
    assert whole <= MOST_BYTES
    assert not embedded(to_html(of_gpt)).get("omitted")
    for share in (0.8, 0.6, 0.5):
        page = to_html(of_gpt, most_bytes=int(whole * share))
        assert len(page.encode()) <= whole * share
        assert embedded(page)["omitted"][0] == STEPS[0][0]


def test_leaving_out_takes_pictures_first_and_numbers_last(of_gpt):
    smallest = fitted(of_gpt, 0)
    assert smallest.omitted == (*(sentence for sentence, *_ in STEPS), KEPT, TOO_MANY)
    assert all(value.gradient is None or value.gradient.heat is None for value in smallest.values)
    assert [step.incoming_norm for step in smallest.steps] == [step.incoming_norm for step in of_gpt.steps]
    sizes = [len(packed(fitted(of_gpt, limit))) for limit in (10**7, 300_000, 200_000, 0)]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("word", ["text", "html", "svg"])
def test_a_depth_below_the_outermost_is_refused(of_neuron, word):
    with pytest.raises(LensError, match="0 or more"):
        render(of_neuron, word, depth=-1)
