"""One figure for one thing: whoever speaks of the end of a run speaks of the same number."""

import json
import os
import re
import shutil

import pytest
from browser import Browser, needs_browser

from chainrule.panel.state import PanelState
from chainrule.report import write_report
from chainrule.run import EvalRow, RunFolder, append_row, held_out_rows, last_record, read_facts, read_summary
from chainrule.verdict import compare, findings, headline, overview_or_name


def figures_of(run):
    """What the run ended with, and what its last look said: not the same numbers."""
    end, look = read_summary(run), last_record(run.metrics, EvalRow)
    assert f"{end.val_bits_per_byte:.3f}" != f"{look.val_bits_per_byte:.3f}"
    return end, look


@pytest.mark.parametrize("mark", needs_browser[:1])
def test_a_page_says_no_two_figures_for_the_end_of_a_run(finished, mark):
    if mark.args[0]:
        pytest.skip("needs chromium and playwright")
    end, look = figures_of(finished)
    browser = Browser()
    try:
        browser.open(write_report(finished))
        words = browser.js("document.body.innerText")
    finally:
        browser.close()
    for now, before in ((end.val_bits_per_byte, look.val_bits_per_byte), (end.val_loss, look.val_loss)):
        assert f"{now:.3f}" in words
        said = [float(one) for one in re.findall(r"\d+\.\d+", words)]
        assert not any(abs(one - before) < 6e-4 for one in said), before


def test_every_reader_ends_with_the_same_figure(finished):
    end, look = figures_of(finished)
    facts = read_facts(finished)
    assert (facts.bits_per_byte, facts.held_out_loss) == (end.val_bits_per_byte, end.val_loss)
    assert facts.looks[-1].val_bits_per_byte == look.val_bits_per_byte
    assert overview_or_name(finished).val_bits_per_byte == end.val_bits_per_byte
    assert compare(finished, finished).points[-1][1] == end.val_bits_per_byte
    panel = PanelState()
    for record in (look, end):
        panel.feed(record)
    assert panel.held_out.val_bits_per_byte == end.val_bits_per_byte


def test_a_baseline_between_the_last_look_and_the_end_is_passed(run_maker):
    run = run_maker()
    end, look = figures_of(run)
    between = (end.val_bits_per_byte + look.val_bits_per_byte) / 2
    summary = json.loads(run.summary.read_text())
    summary["baselines"] = {"xz_seen": between}
    run.summary.write_text(json.dumps(summary))
    facts = read_facts(run)
    assert headline(facts).mark == "good" and "beats every baseline" in headline(facts).text
    kinds = {one.kind: one.text for one in findings(facts)}
    assert "ahead" not in kinds and "xz that has seen the training text by step 400" in kinds["passed"]
    assert "last point of the held-out curve is the final figure" in kinds["final"]
    assert not any(f"{look.val_bits_per_byte:.3f}" in text for text in kinds.values())


def test_a_run_that_goes_on_has_its_newest_look_and_not_the_end_it_had(run_maker):
    run = run_maker()
    summary = json.loads(run.summary.read_text())
    run.summary.write_text(json.dumps(summary | {"status": "interrupted"}))
    append_row(run.metrics, EvalRow(450, 450 * 32, 300.0, 2.5, 1.25).row())
    assert read_facts(run).bits_per_byte == 1.25 == overview_or_name(run).val_bits_per_byte
    assert held_out_rows(run)[-1].step == 450


def test_looks_of_before_have_their_step_explained(run_maker):
    run = run_maker()
    rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    new = ("places", "place_losses", "crc")
    kept = [{key: value for key, value in row.items() if key not in new} for row in rows]
    run.metrics.write_text("".join(json.dumps(row) + "\n" for row in kept))
    (said,) = (one.text for one in findings(read_facts(run)) if one.kind == "final")
    assert "little to look back on" in said


def drawn(run):
    """The names of the runs behind the curve, in the page's figures and in its words."""
    page = write_report(run).read_text(encoding="utf-8")
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.S)[1])
    names = [one["name"] for one in figures["earlier"]]
    assert (f"hold out the same text ({', '.join(names)})" in page) == bool(names)
    return names


def test_earlier_runs_on_the_same_text_stand_behind_the_curve(finished, tmp_path):
    for name in ("first", "second"):
        shutil.copytree(finished.path, tmp_path / name)
    (tmp_path / "second" / "config.toml").touch()
    os.utime(tmp_path / "first" / "config.toml", (1, 1))
    second = RunFolder(tmp_path / "second")
    assert drawn(second) == ["first"]
    assert drawn(RunFolder(tmp_path / "first")) == []
    manifest = tmp_path / "first" / "data" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"validation"', '"other"'))
    assert drawn(second) == []
