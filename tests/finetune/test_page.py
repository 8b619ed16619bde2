"""The page on fine-tuning is walked: its commands, in order, with a small base model."""

import re
import runpy
import shlex
from pathlib import Path

import pytest
from finetune.conftest import make_base

from chainrule.cli import main
from chainrule.finetune.rows import read_rows
from chainrule.run import RunFolder, read_summary, read_tuning

HERE = Path(__file__).resolve().parents[2]
PAGE = (HERE / "docs" / "finetune.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
TINY = [
    "--machine.threads",
    "1",
    "--optimizer.kind",
    "adamw",
    "--training.steps",
    "2",
    "--no-probe",
    "--batch-examples",
    "4",
]


def test_the_commands_of_the_page_do_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_base(tmp_path / "runs" / "base", context_length=128)
    monkeypatch.setattr("sys.argv", ["closed_answer_rows.py", "rows.jsonl"])
    runpy.run_path(str(HERE / "examples" / "closed_answer_rows.py"), run_name="__main__")
    rows = read_rows(["rows.jsonl"])
    assert dict(rows.shapes) == {"completion": 1000}
    example = re.search(r"```json\n(.*?)\n```", PAGE, re.S)
    assert example and example[1] in Path("rows.jsonl").read_text()
    Path("rows.jsonl").write_text("".join(Path("rows.jsonl").read_text().splitlines(keepends=True)[:40]))

    make, tune, resume = COMMANDS
    assert make.endswith("examples/closed_answer_rows.py rows.jsonl")
    words = shlex.split(tune.replace("NAME", "base"))[1:]
    assert main([*words, *TINY]) == 0
    said, shown = capfd.readouterr()
    assert "40 prompts with completions" in said
    assert "what is learnt is green" in shown and "»998«»<|im_end|>«" in shown
    assert "chainrule chat runs/rows-1" in said
    run = RunFolder(Path("runs/rows-1"))
    assert read_summary(run).status == "finished" and read_tuning(run) is not None
    words = shlex.split(resume.replace("NAME", "rows-1"))[1:]
    assert main([*words[:-1], "0.02"]) == 0
    assert read_summary(run).step > 2


def test_what_is_typed_wrongly_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (model := tmp_path / "model").mkdir()
    for words, message in (
        (["finetune"], "needs a model and examples"),
        (["finetune", str(model), "y.jsonl", "--column", "a"], "is no pair"),
        (["finetune", "x", "y.jsonl", "--on-bad", "replace"], "use error or skip"),
        (["finetune", str(model), "y.jsonl", "--objective", "dpp"], "objective='dpp' is unknown"),
        (["finetune", str(tmp_path / "x"), "y.jsonl", "--resume"], "name the run alone"),
        (["finetune", str(tmp_path / "x"), "--resume"], "x"),
    ):
        assert main([*words, "--runs-folder", str(tmp_path)]) == 2
        assert message in capsys.readouterr().err
