"""docs/text.md promises what is read."""

import re
from pathlib import Path

from chainrule.data.folders import LEFT_OUT
from chainrule.data.formats import kind_and_codec
from chainrule.data.whole_files import WHOLE_FILES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "text.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("| file |")[2].partition("\n\n")[0]


def test_every_suffix_of_the_table_is_read_and_every_reader_is_in_it():
    said = set(re.findall(r"(?<![\w.])\.[a-z]+\b", TABLE))
    assert all(kind_and_codec(f"a{suffix}")[0] for suffix in said)
    assert {suffix for one in WHOLE_FILES.values() for suffix in one.suffixes} - {".docm"} <= said


def test_every_folder_that_is_left_out_is_said():
    assert all(name in PAGE for name in LEFT_OUT - {"__MACOSX"})
