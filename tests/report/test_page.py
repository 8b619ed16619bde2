import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from chainrule.report import write_report
from chainrule.run import append_row, run_lock

HOSTILE = [
    "</script><script>alert(1)</script>",
    "</pre></style><img src=x onerror=alert(1)>",
    "<!--<script>",
    "\x00\x1b[31m\x9b\u202e\ud800",
    "\" onmouseover='alert(1)' x=\"&lt;",
    "]]>{{x}}${y}`",
]
VOID = {"meta", "input", "rect", "br"}


class Balance(HTMLParser):
    """Notes tags that do not nest, and the attributes that could act or load."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.wrong, self.acting, self.scripts, self.words = [], [], [], 0, ""

    def handle_starttag(self, tag, attributes):
        self.scripts += tag == "script"
        self.acting += [(tag, k, v) for k, v in attributes if k.startswith("on") or k in {"src", "style"}]
        self.acting += [(tag, k, v) for k, v in attributes if k == "href" and not v.startswith("#")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.words += data


def checked(page):
    reader = Balance()
    reader.feed(page)
    reader.close()
    assert reader.wrong == []
    assert reader.open == []
    assert reader.acting == []
    assert reader.scripts == 2  # the figures and the page's own
    return reader


def test_a_finished_run_has_every_part(finished, page_of):
    reader = checked(page_of(finished))
    for part in ("How it learnt", "What it writes", "Against honest baselines", "Is it copied?", "Text and tokenizer"):
        assert part in reader.words
    for part in (
        "The machine",
        "Settings",
        "What happened",
        "chainrule quickstart --minutes 5",
        "a non-finite gradient",
    ):
        assert part in reader.words


def test_the_policy_allows_this_style_and_this_script_and_nothing_else(finished, page_of):
    page = page_of(finished)
    policy = re.search('http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#x27;", "'")
    bodies = [re.search(f"<{name}>(.*?)</{name}>", page, re.S)[1] for name in ("style", "script")]
    digests = [base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in bodies]
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}'; base-uri 'none'"
    )
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_text_of_a_run_becomes_part_of_the_page(run_maker, page_of, hostile):
    name = re.sub(r"[\x00/\ud800]", "_", hostile)
    run = run_maker(name, steps=60, text=hostile)
    append_row(run.events, {"time": hostile, "message": hostile, hostile: 1})
    append_row(run.metrics, {"kind": "train", "step": 61, "loss": hostile, hostile: hostile})
    machine = json.loads(run.machine.read_text())
    machine["machine"] |= {"cpu": hostile, "reason": hostile}
    machine["tokenizer"]["warnings"] = [hostile]
    run.machine.write_text(json.dumps(machine))
    reader = checked(page_of(run))
    shown = hostile.translate(str.maketrans(dict.fromkeys("\x00\x1b\x9b\u202e\ud800", "\ufffd")))
    assert shown in reader.words


def test_a_run_that_stopped_early_is_told_how_to_go_on(run_maker, page_of):
    run = run_maker(steps=40, finished=False)
    words = checked(page_of(run)).words
    assert "unfinished" in words
    assert f"chainrule pretrain --resume {run.path}" in words
    assert f"chainrule pretrain --config {run.config}" in words


def test_a_run_whose_writer_lives_is_running(run_maker, page_of):
    run = run_maker(steps=40, finished=False)
    with run_lock(run):
        assert "running" in checked(page_of(run)).words


def test_a_run_without_samples_has_no_samples_part(run_maker, page_of):
    run = run_maker(steps=40, finished=False, samples=False)
    words = checked(page_of(run)).words
    assert "What it writes" not in words
    assert "Is it copied?" not in words


def test_a_run_that_has_only_its_settings_has_a_page(run_maker, page_of):
    run = run_maker(steps=0, finished=False, samples=False)
    run.machine.unlink()
    run.events.unlink()
    for file in run.data.iterdir():
        if file.is_file():
            file.unlink()
    assert "Settings" in checked(page_of(run)).words


def test_torn_files_are_passed_over(run_maker, page_of):
    run = run_maker(steps=40)
    for path in (run.metrics, run.samples, run.summary, run.machine, run.data / "manifest.json"):
        path.write_bytes(path.read_bytes()[:-20])
    checked(page_of(run))


def test_a_long_run_stays_a_small_page(run_maker):
    run = run_maker(steps=2)
    with run.metrics.open("a") as metrics:
        for step in range(3, 20_000):
            row = {"kind": "train", "step": step, "tokens": step * 512, "seconds": step / 3, "loss": 2 + 1 / step}
            metrics.write(
                json.dumps(row | {"lr": 1e-3 / step, "grad_norm": 0.1 / step, "tokens_per_second": 1e4 / 3}) + "\n"
            )
    with run.samples.open("a") as samples:
        for step in range(0, 20_000, 100):
            samples.write(json.dumps({"step": step, "prompt": "a", "text": "word " * 2000}) + "\n")
    assert write_report(run).stat().st_size < 2_000_000


def places(page, *words):
    """Where the words stand in the page, in the order in which they are asked for."""
    return [page.index(word) for word in words]


def test_first_the_verdict_and_what_to_do_then_the_samples_then_the_curves(finished, page_of):
    page = page_of(finished)
    order = places(
        page,
        *("beats every baseline", 'class="tiles"', "Let it write", "<nav", 'id="samples"', 'id="learning"'),
        *('id="baselines"', 'id="hard"', 'id="copying"', 'id="data"', 'id="next"'),
    )
    assert order == sorted(order)


def test_a_run_without_a_step_has_learnt_nothing_and_offers_nothing_but_to_go_on(run_maker, page_of):
    run = run_maker(steps=0, finished=False, samples=False)
    for status in ("", "interrupted"):
        if status:
            run.summary.write_text(json.dumps({"status": status}))
        words = checked(page_of(run)).words
        assert "has learnt nothing yet" in words and "No step was made" in words
        assert f"chainrule pretrain --resume {run.path}" in words
        for absent in ("was trained", "learnt from", "chainrule generate", "chainrule export", "\u2013"):
            assert absent not in words, absent


def test_samples_begin_with_their_text_and_what_is_not_copied_is_folded_away(run_maker, page_of):
    run = run_maker(text="\n\n\nwords that stand nowhere " * 3)
    for prompt in ("\n\n", "\r\n  indented"):
        append_row(run.samples, {"step": 400, "tokens": 1, "prompt": prompt, "text": "\nfirst line"})
    page = page_of(run)
    assert not re.search(r"<pre[^>]*>(<b>)?\s*\n", page)
    assert '<pre tabindex="0">first line</pre>' in page
    part = page.split('<section id="copying"')[1].split("</section>")[0]
    assert "Nothing of the last samples lies in runs" in part and "0% copied" not in part
    assert part.index("<details>") < part.index("<figure")


def test_what_is_well_inside_is_folded_away_and_no_unit_is_drawn_that_is_alive(run_maker, page_of):
    run = run_maker()
    layers = ["blocks.0", "blocks.1"]
    append_row(run.health, {"kind": "layers", "layers": layers, "step": 0})
    columns = ("gradient", "gradient_max", "weight", "ratio", "ratio_max")
    for step in range(1, 20):
        append_row(run.health, {"kind": "norms", "step": step, "n": 1} | {key: [0.01, 0.01] for key in columns})
        look = {"units": {layer: [0.0, 0.5] for layer in layers}, "outputs": {layers[0]: [0.0, 1.0, 3.0, 0.0]}}
        append_row(run.health, {"kind": "inside", "step": step} | look)
    part = page_of(run).split('<section id="health"')[1].split("</section>")[0]
    assert part.index("Gradients reach every layer") < part.index("<details>") < part.index("<figure")
    assert "Dead units" not in part
    append_row(run.health, {"kind": "inside", "step": 20, "units": {layers[0]: [0.95, 0.99], layers[1]: [0.0, 0.5]}})
    part = page_of(run).split('<section id="health"')[1].split("</section>")[0]
    assert "<details>" not in part and "Dead units" in part


def test_times_of_phases_and_losses_by_place_are_told(finished, page_of):
    words = checked(page_of(finished)).words
    for part in (
        "Where the time went",
        "reading text",
        "What looking back is worth",
        "tokens 17 to 32",
        "one in three",
    ):
        assert part in words
    assert "Half of all the surprise lies in the hardest 50% of the pieces" in words


def test_a_run_that_goes_on_is_not_searched_for_copies_and_asks_to_be_loaded_again(run_maker, page_of):
    run = run_maker(steps=40, finished=False)
    with run_lock(run):
        page = page_of(run)
    assert 'data-running="' in page and 'id="copying"' not in page and "Step 40 of 400" in page
    assert "data-running=" not in page_of(run)


def test_a_moved_run_is_made_again_by_its_own_settings(run_maker, page_of):
    run = run_maker()
    summary = json.loads(run.summary.read_text())
    run.summary.write_text(json.dumps(summary | {"command": "chainrule pretrain --config runs/before/config.toml"}))
    words = checked(page_of(run)).words
    assert f"chainrule pretrain --config {run.config}" in words and "runs/before" not in words
