"""docs/adapters.md: its Python runs as it stands there, block after block, and its command works."""

import re
import shlex
from pathlib import Path

import pytest
from finetune_models import made, opened

from chainrule.cli import main
from chainrule.export import export

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "adapters.md").read_text(encoding="utf-8")


def test_what_the_page_shows_works(tmp_path, monkeypatch, capsys):
    pytest.importorskip("transformers")
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    export(opened(made("llama")), Path("my_model"))
    rows = [f"text number {number},{'even' if number % 2 == 0 else 'odd'}\n" for number in range(20)]
    Path("rows.csv").write_text("text,label\n" + "".join(rows))
    for language, content in re.findall(r"```(\w+)\n(.*?)```", PAGE, re.S):
        if language == "python":
            exec(compile(content, "docs/adapters.md", "exec"), {})
        else:
            for line in content.splitlines():
                assert main(shlex.split(line)[1:]) == 0, line
    told = capsys.readouterr().out
    assert "with the adapter my_adapter" in told and "pairs are preferred" in told and "macro-F1" in told
    assert Path("out/model.safetensors").is_file()
