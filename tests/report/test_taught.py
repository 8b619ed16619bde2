"""The page of a fine-tuning shows what was learnt of the first examples, and how answers and margins went."""

import json
import re

import pytest
from finetune.conftest import make_base, write
from finetune.test_tune import FAST

from chainrule.config import Layer
from chainrule.finetune import TuningSettings, finetune
from chainrule.report import write_report
from chainrule.run import RunFolder


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a run that learns from two pairs of which one tries to be HTML."""
    folder = tmp_path_factory.mktemp("taught")
    base = make_base(folder / "base", loud=25.0)
    told = [{"prompt": f"say <b>{n}</b>", "chosen": f"yes <i>{n}", "rejected": f"no {n}"} for n in range(6)]
    rows = write(folder / "pairs.jsonl", told)
    settings = TuningSettings(epochs=2, probe=False, objective="dpo", adapter="lora")
    finetune(str(base), [str(rows)], folder / "run", settings=settings, layers=[Layer("test", FAST)])
    return write_report(RunFolder(folder / "run")).read_text()


def test_the_first_examples_are_marked_from_the_tensors(page: str) -> None:
    part = page.split('<section id="taught"')[1].split("</section>")[0]
    figures = re.findall(r"<figure class=\"copied\">(.*?)</figure>", part, re.S)
    assert len(figures) == 2 and "rejected" in figures[1] and "rejected" not in figures[0]
    assert re.search(r"<mark>yes &lt;i&gt;\d&lt;?|<mark>yes &lt;i&gt;\d", figures[0]), "escaped, and the answer alone"
    assert "say &lt;b&gt;" in figures[0] and "<b>0</b>" not in part
    assert re.search(r"<mark>no \d", figures[1])


def test_margins_and_answers_are_drawn_where_there_are_some(page: str) -> None:
    for chart in ("answers", "margin", "judged"):
        assert f'data-chart="{chart}"' in page
    assert 'data-chart="base"' not in page, "no base text was known"
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.S)[1].replace("\\u003c", "<"))  # type: ignore[index]
    taught = figures["taught"]
    assert taught["margin"][0] == 0 and len(taught["margin"]) == len(taught["step"]) == len(taught["tokens"])
    assert "An adapter (LoRA of rank 16) around weights that stay learnt which of two answers is better (DPO)" in page


def test_what_is_said_of_pretraining_alone_is_left_out(page: str) -> None:
    assert "guessing among" not in page and 'id="copying"' not in page and "of the preferences" in page
