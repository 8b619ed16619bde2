"""What parts the columns of a table."""

import gzip

import pytest

from chainrule.base import DataError
from chainrule.config import TextConfig
from chainrule.data import all_documents


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
@pytest.mark.parametrize("wanted", ["text", "review"])
def test_the_first_line_says_by_what_columns_are_parted(workshop, sign, wanted):
    rows = [["id", "text", "review"], ["1", '"a; b, c|d\te"', "fine"], ["2", "plain", '"so; so"']]
    workshop.write("a.csv", "".join(sign.join(row) + "\r\n" for row in rows))
    found = [
        part.content.decode() for part in all_documents(TextConfig(paths=(str(workshop.texts),), field=wanted), print)
    ]
    assert found == (["a; b, c|d\te", "plain"] if wanted == "text" else ["fine", "so; so"])


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_excels_own_line_is_none_of_the_table(workshop, mark):
    workshop.write("a.csv", f"{mark}sep=;\r\nid;text\r\n1;hello\r\n")
    assert [part.content for part in all_documents(TextConfig(paths=(str(workshop.texts),)), print)] == [b"hello"]


def test_one_column_of_prose_is_not_parted_by_its_own_signs(workshop):
    workshop.write("a.csv", 'text\nwell; yes\nwell | no\n"a, b"\n')
    found = [part.content for part in all_documents(TextConfig(paths=(str(workshop.texts),)), print)]
    assert found == [b"well; yes", b"well | no", b"a, b"]


@pytest.mark.parametrize(("name", "head", "row"), [("a.csv", "text\n", "a\n"), ("a.jsonl", "", '{"text": "a"}\n')])
def test_a_compressed_file_of_more_lines_than_bytes_is_no_table(workshop, monkeypatch, name, head, row):
    monkeypatch.setattr("chainrule.data.streams.FEW_ROWS", 100)
    content = (head + row * 5000).encode()
    workshop.write(name, content)
    assert len(list(all_documents(TextConfig(paths=(str(workshop.texts / name),)), print))) == 5000
    packed = workshop.write(f"{name}.gz", gzip.compress(content))
    with pytest.raises(DataError, match=r"hold \d+ lines, more than one for each byte: this looks like a compression"):
        list(all_documents(TextConfig(paths=(str(packed),)), print))
