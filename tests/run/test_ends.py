"""Rows that were cut off at the end of a journal are missed by what was written behind them."""

from chainrule.run import RunFolder, Summary, append_row, journal_ends, looked_back_on, lost_ends, unused_parts
from chainrule.run.seal import write_run_json


def written(path, n=5, text="a"):
    path.mkdir(exist_ok=True)
    run = RunFolder(path)
    for step in range(1, n + 1):
        append_row(run.metrics, {"step": step, "text": text})
        append_row(run.events, {"message": text})
    return run


def test_a_journal_that_ends_earlier_or_is_another_runs_is_named(tmp_path):
    run, other = written(tmp_path / "run"), written(tmp_path / "other", 9, "b")
    ends = journal_ends(looked_back_on(run))
    assert set(ends) == {"metrics.jsonl", "events.jsonl"} and ends["metrics.jsonl"]["number"] == 5
    append_row(run.metrics, {"step": 6})
    assert lost_ends(run, ends, "step 5") == []
    lines = run.metrics.read_bytes().splitlines(keepends=True)
    for content in (b"".join(lines[:4]), other.metrics.read_bytes(), b""):
        run.metrics.write_bytes(content)
        assert "metrics.jsonl lacks row 5 as it was when step 5 was written" in lost_ends(run, ends, "step 5")[0]
    run.metrics.unlink()
    assert len(lost_ends(run, ends, "step 5")) == 1
    assert lost_ends(run, {"x": 3, "metrics.jsonl": {"number": "a"}}, "step 5") == [] == lost_ends(run, None, "step 5")


def test_who_looks_at_a_run_names_what_its_summary_was_written_behind(tmp_path):
    run = written(tmp_path / "run")
    write_run_json(run, run.summary, {**Summary("finished").row(), "journals": journal_ends(run.journals)})
    assert unused_parts(run) == []
    run.metrics.write_bytes(b"".join(run.metrics.read_bytes().splitlines(keepends=True)[:-1]))
    assert "metrics.jsonl lacks row 5" in unused_parts(run)[0]
