"""What a run tells of its time, and the page that can be watched while it goes on."""

import pytest
from heard import by_word

from chainrule.base import ChainruleError
from chainrule.report import write_report
from chainrule.run import EvalRow, PhasesRow, RunFolder, read_facts, rows_of
from chainrule.train import pretrain
from chainrule.train.live_page import LEAST_SECONDS, LivePage


class EndedError(ChainruleError):
    """Ends a run from outside."""


def test_a_run_leaves_what_its_report_shows(layers, tmp_path):
    pages = []

    def report(run, seconds):
        page = write_report(run, seconds)
        pages.append((read_facts(run).status, page.read_text(encoding="utf-8")))
        return page

    summary = pretrain(layers(), tmp_path / "run", report=report)
    run = RunFolder(tmp_path / "run")
    # While it went on the page loaded itself again; at the end it does not.
    assert [status for status, _ in pages] == ["running", "finished"]
    assert ["data-running" in page for _, page in pages] == [True, False]
    rows = list(rows_of(run.phases, PhasesRow))
    assert [row.step for row in rows] == [0, 4, 8, 12]
    assert {"step", "data", "look", "save"} <= set(rows[-1].spent) and "page" in rows[1].spent
    assert rows[-1].memory_bytes is None or rows[-1].memory_bytes > 2**20
    facts = read_facts(run)
    looks = list(rows_of(run.metrics, EvalRow))
    assert all(len(row.places) == len(row.place_losses) > 2 for row in looks)
    assert facts.surprise and "".join(facts.surprise[0].pieces)
    assert facts.bits_per_byte == summary.val_bits_per_byte
    assert "Which words are hard" in pages[-1][1] and "Where the time went" in pages[-1][1]


def test_a_look_at_a_whole_text_is_the_figure_of_the_end(layers, tmp_path):
    summary = pretrain(layers(training={"eval_tokens": 10**6}), tmp_path / "run")
    *_, last = rows_of(RunFolder(tmp_path / "run").metrics, EvalRow)
    assert (last.val_loss, last.val_bits_per_byte) == (summary.val_loss, summary.val_bits_per_byte)
    assert summary.best.val_loss == summary.val_loss or summary.best.step != summary.step


def test_a_run_that_is_ended_says_so_on_its_page(layers, tmp_path):
    def end(kind, row):
        if kind == "train" and row["step"] == 6:
            raise EndedError

    with pytest.raises(EndedError):
        pretrain(layers(), tmp_path / "run", report=write_report, watch=by_word(end))
    page = RunFolder(tmp_path / "run").report.read_text(encoding="utf-8")
    assert "data-running" not in page and "pretrain --resume" in page


def test_a_start_that_fails_leaves_no_page(layers, tmp_path):
    with pytest.raises(ChainruleError):
        pretrain(layers(model={"vocab_size": 3}), tmp_path / "run", report=write_report)
    assert not (tmp_path / "run").exists()


def test_pages_take_a_hundredth_of_the_time(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    written = []

    def report(run, seconds):
        written.append(now[0])
        now[0] += 0.5
        return tmp_path

    page = LivePage(RunFolder(tmp_path), report)
    for _ in range(400):
        page.refresh()
        now[0] += 1.0
    assert len(written) == 400 // 50 and LEAST_SECONDS < 50
    page.close()
    assert len(written) == 400 // 50 + 1
    quiet = LivePage(RunFolder(tmp_path), None)
    quiet.refresh()
    quiet.close()
