"""The reference is what the docstrings say today, and leaves nothing out."""

import importlib.util
from pathlib import Path

from chainrule.cli.verbs import VERBS
from chainrule.config import PRESETS, Config, section_type

DOCS = Path(__file__).resolve().parents[2] / "docs"


def maker():
    spec = importlib.util.spec_from_file_location("make_reference", DOCS / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_on_disk_is_what_the_docstrings_say():
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    assert page == maker().page(), "docs/reference.md is stale: run `make reference`"


def test_the_table_of_thresholds_is_what_the_judgements_use():
    page = (DOCS / "lens" / "health.md").read_text(encoding="utf-8")
    assert page == maker().with_thresholds(page), "docs/lens/health.md is stale: run `make reference`"
    assert "| vanishing | a block's gradient is 1/100 of another's (serious: 1/1000, or 0) |" in page


def test_every_setting_verb_and_preset_is_in_it():
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    keys = [key for name in Config.model_fields for key in section_type(name).model_fields]
    for word in (*(f"| `{key}` |" for key in keys), *(f"### `chainrule {verb}" for verb in VERBS), *PRESETS):
        assert word in page, word
    assert "| `gpt2-124m` | 124,412,160 |" in page
