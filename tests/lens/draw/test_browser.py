"""The picture in a real browser: it walks, folds, fits a phone, and asks nothing of any network."""

from types import SimpleNamespace

import pytest
from browser import CONTRAST, Browser, needs_browser

from chainrule.lens import ledger, network, picture, render

pytestmark = needs_browser

CLICK = "document.getElementById('{}').click()"
LIT = "[...document.querySelectorAll('.now > .head, .card.now')].map(c => c.textContent)"
SLIDER = "document.getElementById('slider')"
ROW = "document.querySelector('#ledger tr[aria-current]').dataset.step"
ORANGE = "document.querySelectorAll('#wires > path.lit').length"


@pytest.fixture(scope="module")
def browser():
    opened = Browser()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory, of_neuron, of_network, of_gpt):
    folder = tmp_path_factory.mktemp("pages")
    tape = network().record()
    errors = {node.id: 0.0 if node.id > 4 else 0.2 for node in tape.nodes}
    allowed = dict.fromkeys(errors, 1e-12)
    report = SimpleNamespace(verdict="wrong", summary="wrong", suspect=4, node_errors=errors, tolerance_of=allowed)
    unproved = SimpleNamespace(
        verdict="not proved",
        summary="gpt: not proved: no derivative by numbers is exact",
        suspect=None,
        node_errors=dict.fromkeys(errors, 0.0),
        tolerance_of=allowed,
    )
    found = {"neuron": of_neuron, "network": of_network, "gpt": of_gpt, "wrong": picture(tape, verified=report)}
    found["unproved"] = picture(tape, verified=unproved)
    found["values"] = picture(tape, backward=False)
    for name, shown in found.items():
        (folder / f"{name}.html").write_text(render(shown, "html"), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in found}


@pytest.fixture(scope="module")
def followed(tmp_path_factory, gpt):
    book = ledger(gpt, coordinate=("blocks.0.attention.qkv", (3, 7)), stats=False)
    page = tmp_path_factory.mktemp("followed") / "gpt.html"
    page.write_text(render(picture(gpt, book), "html"), encoding="utf-8")
    return book.coordinate, page


def test_a_followed_element_is_drawn_from_the_loss_to_the_weight(browser, followed):
    path, page = followed
    browser.open(page)
    assert "blocks.0.attention.qkv.weight[3, 7]" in browser.js("document.querySelector('.notice').textContent")
    assert browser.js("document.querySelectorAll('#panel .followed-list li').length") == len(path.steps)
    for _ in range(4):
        browser.js(CLICK.format("unfold"))
    assert browser.js("document.querySelectorAll('.card.op.followed').length") == len(path.steps)
    assert browser.js("document.querySelectorAll('.card.leaf.followed').length") == 1
    assert browser.js("document.querySelectorAll('#wires > path.followed').length") >= len(path.steps)
    browser.press("ArrowRight")
    assert "followed" in browser.js("document.querySelector('#line .way').textContent")


def test_what_autograd_keeps_is_told_of_each_operation(browser, pages):
    browser.open(pages["network"])
    browser.js("[...document.querySelectorAll('.card.op')].find(c => /relu/.test(c.textContent)).click()")
    told = browser.js("[...document.querySelectorAll('#panel dl')].map(d => d.textContent).join(' ')")
    assert "of the run forwards" in told
    assert "result" in told and "40 B" in told
    assert "kept for backward" in browser.js("document.getElementById('facts').textContent")


def test_long_names_are_cut_and_their_tooltip_has_them_whole(browser, pages):
    browser.open(pages["gpt"])
    titles = browser.js("[...document.querySelectorAll('.card')].map(c => c.title)")
    assert all(titles)
    cut = browser.js(
        "[...document.querySelectorAll('#ledger span[title]')].filter(s => /…/.test(s.textContent))"
        ".map(s => [s.textContent.length, s.title.length])"
    )
    assert all(short < whole for short, whole in cut)


def press(browser, key, place="document.body"):
    event = f"new KeyboardEvent('keydown', {{key: '{key}', bubbles: true, cancelable: true}})"
    browser.js(f"{place}.dispatchEvent({event})")


def put(browser, place, content):
    browser.js(f"(s => {{ s.value = '{content}'; s.dispatchEvent(new Event('input')) }})({place})")


def test_every_page_draws_itself_without_an_error_and_without_a_network(browser, pages):
    for name, page in pages.items():
        browser.open(page)
        assert browser.js("document.querySelectorAll('#wires > path').length") > 3, name
        assert browser.js("document.querySelectorAll('.card').length") > 5, name
        assert browser.requests() == {page.as_uri()}
        assert browser.errors() == [], name


def test_no_wire_is_lost_and_every_wire_leads_down(browser, pages, of_gpt):
    browser.open(pages["gpt"])
    for _ in range(4):
        ways = browser.js("[...document.querySelectorAll('#wires > path')].map(p => p.getAttribute('d'))")
        for way in ways:
            numbers = [float(word) for word in way.replace("M", " ").replace("C", " ").replace("V", " ").split()]
            assert numbers[1] < numbers[-1], way
        browser.js(CLICK.format("unfold"))
    arrows = sum(len({*value.read_by}) for value in of_gpt.values if value.box is not None)
    assert browser.js("document.querySelectorAll('#wires > path').length") == arrows


def test_the_slider_lights_the_operation_its_wires_and_its_line(browser, pages):
    browser.open(pages["neuron"])
    assert browser.js(LIT) == []
    for step, name in enumerate(["loss = ", "a = sigmoid(z)", "z = u + b", "u = x · w"], 1):
        put(browser, SLIDER, step)
        assert len(browser.js(LIT)) == 1 and browser.js(LIT)[0].startswith(name)
        assert browser.js(ROW) == str(step - 1)
        assert browser.js(ORANGE) == (2 if step == 3 else 1)
    assert browser.js("document.getElementById('line').textContent").endswith(
        "∂L/∂w = ∂L/∂u · ∂u/∂w = −0.08166 · 1.1 = −0.08983"
    )
    assert browser.js("document.querySelector('#panel h2').textContent") == "u = x · w"


def test_gradients_appear_as_the_walk_reaches_them(browser, pages):
    browser.open(pages["neuron"])
    hidden = "document.querySelectorAll('.figures .gradient.hidden').length"
    seen = [browser.js(hidden)]
    for _ in range(4):
        browser.js(CLICK.format("forth"))
        seen.append(browser.js(hidden))
    assert seen == [0, 4, 3, 1, 0]


def test_a_folded_module_is_lit_for_what_is_inside(browser, pages):
    browser.open(pages["gpt"])
    browser.js(CLICK.format("fold"))
    lit = set()
    for step in range(1, browser.js(f"+{SLIDER}.max") + 1, 6):
        put(browser, SLIDER, step)
        assert len(browser.js(LIT)) == 1
        lit.update(browser.js(LIT))
    assert all(any(f"{name} Block" in text for text in lit) for name in ("blocks.0", "blocks.1"))


def test_keys_walk_search_and_come_back(browser, pages):
    browser.open(pages["gpt"])
    press(browser, "End")
    assert browser.js("document.getElementById('forth').disabled")
    press(browser, "ArrowLeft")
    last = browser.js(ROW)
    press(browser, "Escape")
    assert browser.js("document.querySelector('#ledger tr[aria-current]')") is None
    press(browser, "/")
    assert browser.js("document.activeElement.id") == "search"
    put(browser, "document.activeElement", "blocks.1 qkv weight")
    press(browser, "Enter", "document.activeElement")
    assert "blocks.1.attention.qkv.weight" in browser.js("document.querySelector('#panel h2').textContent")
    assert browser.js("document.querySelectorAll('.box.open').length") >= 3  # the way to it is unfolded
    assert int(last) > 50


def test_modules_fold_and_unfold_by_mouse_and_by_keyboard(browser, pages):
    browser.open(pages["gpt"])
    browser.js(CLICK.format("fold"))
    cards = "document.querySelectorAll('.card').length"
    before = browser.js(cards)
    browser.js("document.querySelector('.chevron').click()")
    assert browser.js("document.activeElement.getAttribute('aria-expanded')") == "true"
    assert browser.js(cards) > before
    browser.js("document.activeElement.click()")  # what Enter and the space bar do to a button
    assert browser.js("document.activeElement.getAttribute('aria-expanded')") == "false"
    assert browser.js(cards) == before


def test_the_panel_tells_value_gradient_formula_source_and_pictures(browser, pages):
    browser.open(pages["gpt"])
    browser.js(CLICK.format("unfold"))
    browser.js(CLICK.format("unfold"))
    browser.js("[...document.querySelectorAll('.card.op')].find(c => /layer_norm/.test(c.textContent)).click()")
    heads = browser.js("[...document.querySelectorAll('#panel h3')].map(h => h.textContent.split(' ')[0])")
    assert heads == ["Formula", "Value", "Gradient", "Cost", "Source", "Joined"]
    assert browser.js("document.querySelectorAll('#panel canvas.heat').length") == 2
    painted = "[...document.querySelector('canvas.heat').getContext('2d').getImageData(0, 0, 8, 8).data]"
    assert len(set(browser.js(painted))) > 8
    assert browser.js("document.querySelector('#panel pre').textContent")


def test_where_gradients_meet_it_says_how_many(browser, pages):
    browser.open(pages["gpt"])
    mark = "document.querySelector('.card.leaf .met').textContent"
    assert browser.js(mark) == "Σ 2"
    browser.js("document.querySelector('.card.leaf:has(.met)').click()")
    assert "2 contributions meet here" in browser.js("document.querySelector('#panel').textContent")


def test_the_banner_and_the_operations_say_the_same(browser, pages):
    browser.open(pages["unproved"])
    notice = browser.js("document.getElementById('notices').textContent")
    assert "Not proved." in notice
    assert "no derivative by numbers is exact" in notice
    assert browser.js("document.querySelectorAll('.card .proof.right').length") == 0
    assert browser.js("document.querySelectorAll('.card .proof.agrees').length") > 0


def test_a_wrong_gradient_is_shown_where_it_is(browser, pages):
    browser.open(pages["wrong"])
    assert browser.js("document.querySelectorAll('.card .proof.wrong').length") == 1
    assert browser.js("document.querySelectorAll('.card .proof.follows').length") == 4
    assert browser.js("document.querySelectorAll('.card .proof.right').length") == 2
    assert browser.js("document.querySelectorAll('.legend .proof').length") == 3
    assert "hands on are wrong" in browser.js("document.getElementById('panel').textContent")
    card, pane = "document.querySelector('.card:has(.proof.wrong)')", "document.getElementById('graph')"
    top, bottom, least, most = browser.js(
        f"[{card}, {pane}].flatMap(e => [e.getBoundingClientRect().top, e.getBoundingClientRect().bottom])"
    )
    assert least <= top < bottom <= most


def test_the_table_says_the_same_as_the_graph(browser, pages, of_gpt):
    browser.open(pages["gpt"])
    browser.js(CLICK.format("as-table"))
    assert browser.js("document.querySelectorAll('#table tbody tr').length") == len(of_gpt.ops)
    assert browser.js("document.querySelectorAll('#table thead th[scope=col]').length") == 11
    heads = browser.js("[...document.querySelectorAll('#table thead th')].map(h => h.textContent)")
    assert [one for one in heads if one in ("time", "memory", "FLOPs", "kept")] == ["time", "memory", "FLOPs", "kept"]
    assert browser.js("getComputedStyle(document.getElementById('graph')).display") == "none"


def test_every_control_has_a_name(browser, pages):
    browser.open(pages["gpt"])
    named = "b => b.getAttribute('aria-label') || b.textContent.trim()"
    assert browser.js(f"[...document.querySelectorAll('button, input')].every({named})")
    assert browser.js("document.getElementById('slider').getAttribute('aria-valuetext')") == "all gradients shown"
    assert browser.js("document.getElementById('line').getAttribute('aria-live')") == "polite"


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, False), (390, True), (320, False)])
def test_nothing_is_wider_than_the_screen(browser, pages, width, dark):
    for name in ("neuron", "gpt", "wrong"):
        browser.open(pages[name], width, dark=dark)
        browser.js(CLICK.format("unfold"))
        press(browser, "ArrowRight")
        assert browser.js("[innerWidth, document.documentElement.scrollWidth]") == [width, width], name


def test_on_a_phone_the_panel_comes_up_and_goes(browser, pages):
    browser.open(pages["gpt"], 390, 844)
    shown = "getComputedStyle(document.getElementById('panel')).visibility"
    assert browser.js(shown) == "hidden"
    browser.js("document.querySelector('.card.op').click()")
    assert browser.js(shown) == "visible"
    browser.js("document.querySelector('#panel .close').click()")
    assert browser.js("document.getElementById('panel').classList.contains('up')") is False


def test_it_is_dark_where_the_system_is_and_the_button_turns_it(browser, pages):
    paper = "getComputedStyle(document.body).backgroundColor"
    browser.open(pages["neuron"], dark=True)
    dark = browser.js(paper)
    browser.js(CLICK.format("theme"))
    light = browser.js(paper)
    browser.js("localStorage.clear()")
    browser.open(pages["neuron"])
    assert browser.js(paper) == light != dark


def test_text_can_be_read_on_its_ground(browser, pages):
    for dark in (False, True):
        browser.open(pages["wrong"], dark=dark)
        browser.js(CLICK.format("forth"))
        for place in ("#facts", ".card .value", ".card .gradient", ".quiet", ".proof.wrong", ".proof.follows", "small"):
            assert browser.js(CONTRAST.replace("PLACE", place)) >= 4.5, (place, dark)


def test_without_gradients_there_is_no_walk(browser, pages):
    browser.open(pages["values"])
    assert browser.js("document.getElementById('walk').hidden")
    assert "no gradients" in browser.js("document.getElementById('ledger').textContent")


# Each wire's ends on the screen, and by how far they miss the nearest edge of a box or card above and below.
MISSES = """(() => {
    const frame = document.getElementById("wires").getScreenCTM();
    const shown = [...document.querySelectorAll(".card, .box > .head, .box")].map(one => one.getBoundingClientRect());
    const miss = (x, y, edge) => Math.min(...shown.filter(one => one.left - 2 <= x && x <= one.right + 2)
        .map(one => Math.abs(one[edge] - y)));
    return [...document.querySelectorAll("#wires > path")].flatMap(path => {
        const [a, b] = [path.getPointAtLength(0), path.getPointAtLength(path.getTotalLength())]
            .map(one => one.matrixTransform(frame));
        return [miss(a.x, a.y, "bottom"), miss(b.x, b.y, "top")];
    });
})()"""


@pytest.mark.parametrize("name", ["neuron", "gpt"])
def test_on_paper_every_wire_meets_its_boxes(browser, pages, name):
    browser.open(pages[name], 1900, 1000)
    for _ in range(3):
        browser.js(CLICK.format("unfold"))
    assert max(browser.js(MISSES)) < 8
    browser.paper()
    assert max(browser.js(MISSES)) < 8
    right, width = browser.js(
        "[document.getElementById('canvas').getBoundingClientRect().right, document.documentElement.clientWidth]"
    )
    assert right <= width, "nothing is cut"
    assert browser.js("document.getElementById('ledger').getBoundingClientRect().height") > 100
    browser.js("dispatchEvent(new Event('afterprint'))")
    assert browser.errors() == []


def test_the_legend_lies_over_nothing_and_names_stand_whole(browser, pages):
    browser.open(pages["gpt"])
    assert browser.js("document.getElementById('graph').contains(document.getElementById('key'))") is False
    for _ in range(12):
        press(browser, "ArrowRight")
        assert "…" not in browser.js("document.getElementById('line').textContent")
    # No figure of the chain rule leaves its column.
    over = "[...document.querySelectorAll('#ledger td')].filter(cell => cell.scrollWidth > cell.clientWidth + 1).length"
    assert browser.js(over) == 0
    words = (
        "[...document.querySelectorAll('.tools button')].filter(one => one.offsetParent).map(one => one.textContent)"
    )
    assert {"Fold", "Unfold", "Fit"} <= set(browser.js(words))


def test_a_phone_sees_all_of_the_graph_and_comes_to_the_chain_rule_by_one_touch(browser, pages):
    browser.open(pages["gpt"], 390, 844)
    sides = "(r => [r.left, r.right])(document.querySelector('.root').getBoundingClientRect())"
    left, right = browser.js(sides)
    assert 0 <= left < right <= 390
    height = "document.getElementById('ledger').getBoundingClientRect().height"
    assert browser.js(height) == 0
    browser.js(CLICK.format("as-ledger"))
    assert browser.js(height) > 200
    assert browser.js("document.getElementById('ledger').getBoundingClientRect().top") < 844 / 2
