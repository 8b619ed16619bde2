import bz2
import gzip
import io
import json
import lzma

import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from chainrule.config import TextConfig
from chainrule.data import pieces, range_ends, text, units
from chainrule.data.documents import read_documents
from chainrule.data.files import list_files
from chainrule.data.recording import lines_before
from chainrule.data.streams import Span
from chainrule.data.units import Unit, plan_units


def parquet(**columns):
    """A file of Parquet with a row in each group."""
    content = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), content, row_group_size=1)
    return content.getvalue()


LAYOUTS = {
    "lines.jsonl": lambda parts: (
        b"\xef\xbb\xbf" + b"".join(json.dumps({"text": part}).encode() + b"\n" for part in parts)
    ),
    "parted.txt": lambda parts: "\n==  \n".join(parts).encode(),
    "one.txt": lambda parts: b"\xef\xbb\xbf" + "".join(parts).encode(),
    "no_lines.txt": lambda parts: "".join(parts).replace("\n", " ").encode(),
    "no_blanks.txt": lambda parts: "é".join(parts).replace("\n", "").replace(" ", "").encode(),
    "rows.parquet": lambda parts: parquet(text=parts),
    "table.csv": lambda parts: b"text\n" + b"".join(b'"' + part.encode() + b'"\n' for part in parts),
}


FOLDED = {
    "lines.jsonl.gz": gzip.compress,
    "parted.txt.zst": zstandard.compress,
    "one.txt.bz2": bz2.compress,
    "no_lines.txt.xz": lzma.compress,
    "no_blanks.txt.gz": gzip.compress,
}
LAYOUTS |= {name: lambda parts, name=name: FOLDED[name](LAYOUTS[name.rpartition(".")[0]](parts)) for name in FOLDED}


def read(file, config, planned):
    """All pieces of a file that was planned."""
    for unit, unfolded in planned:
        span = Span(unit.start, unit.end, unfolded.first_line if unfolded else 1)
        yield from (piece for piece, _ in read_documents(file, config, span, unfolded))


@pytest.fixture
def small(workshop, monkeypatch):
    for module in (pieces, range_ends, text):
        monkeypatch.setattr(module, "PIECE_BYTES", 700)
    monkeypatch.setattr(units, "UNIT_BYTES", 3000)
    monkeypatch.setattr(units, "UNIT_FILES", 4)
    monkeypatch.setattr(range_ends, "LOOK_BYTES", 64)
    workshop.data.mkdir()


def separator_of(name):
    return "==" if name.startswith("parted") else None


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_ranges_of_a_file_hold_its_pieces_once_and_in_order(workshop, make_prose, small, name):
    path = workshop.write(name, LAYOUTS[name]([make_prose(seed, 20 + 17 * seed % 300) for seed in range(40)]))
    (file,) = list_files([str(path)]).files
    config = TextConfig(separator=separator_of(name))
    planned = list(plan_units([file], config, workshop.data))
    found = list(read(file, config, planned))
    assert found == [piece for piece, _ in read_documents(file, config)]
    assert sum(piece.last for piece in found) == (1 if name.startswith(("one.", "no_")) else 40)
    # Much of so small a Parquet file is its list of row groups.
    text_bytes = 0.4 * file.size if name == "rows.parquet" else sum(len(piece.content) for piece in found)
    assert len(planned) == (1 if name == "table.csv" else pytest.approx(text_bytes / 3200, rel=0.4))


@pytest.mark.parametrize("name", LAYOUTS)
def test_from_the_beginning_of_any_unit_on_the_same_units_follow(workshop, make_prose, small, name):
    for index in range(9):
        workshop.write(f"a{index}.txt", "few words\n")
    workshop.write(f"b-{name}", LAYOUTS[name]([make_prose(seed) for seed in range(6)]))
    workshop.write("c.txt", make_prose(7, 100))
    files, config = list_files([str(workshop.texts)]).files, TextConfig(separator=separator_of(name))
    planned = list(plan_units(files, config, workshop.data))
    assert planned[:2] == [(Unit(0, 4), None), (Unit(4, 4), None)]
    for place, (unit, _) in enumerate(planned):
        following = list(plan_units(files, config, workshop.data, unit.file, unit.start))
        assert [unit for unit, _ in following] == [unit for unit, _ in planned[place:]]
        assert [unfolded and unfolded.first_line for _, unfolded in following] == [
            unfolded and unfolded.first_line for _, unfolded in planned[place:]
        ]


def test_rows_of_a_divided_parquet_file_are_named_by_their_number_in_it(workshop, make_prose, small):
    texts = [make_prose(seed) for seed in range(20)]
    texts[13] = None
    path = workshop.write("a.parquet", parquet(text=texts))
    (file,) = list_files([str(path)]).files
    planned = list(plan_units([file], TextConfig(), workshop.data))
    assert len(planned) > 5
    found = read(file, TextConfig(), planned)
    assert [piece.bad for piece in found if piece.bad] == [f"{path}: row 14: field 'text' is null"]


def test_a_parquet_file_without_the_column_is_bad_once(workshop, make_prose, small):
    path = workshop.write("a.parquet", parquet(body=[make_prose(seed) for seed in range(20)]))
    workshop.write("b.txt", make_prose(30, 900))
    (file,) = list_files([str(path)]).files
    assert len(list(plan_units([file], TextConfig(), workshop.data))) > 5
    report = workshop.survey(on_bad="skip").report
    assert (report["bad"], report["documents"]) == (1, 1)


def test_damage_costs_its_row_groups_and_no_others(workshop, make_prose, small):
    content = bytearray(parquet(text=[make_prose(seed) for seed in range(20)]))
    content[len(content) // 2 : len(content) // 2 + 40] = bytes(40)
    path = workshop.write("a.parquet", bytes(content))
    report = workshop.survey(paths=(str(path),), on_bad="skip").report
    assert report["bad"] == 1 and 16 <= report["documents"] <= 19


def test_what_has_no_place_to_begin_at_is_read_whole(workshop, small):
    workshop.write("a.txt", b"GIF\0" + b"\n" * 9000)
    workshop.write("b.jsonl.gz", b"x" * 9000)
    workshop.write("c.parquet", b"x" * 9000)
    files = list_files([str(workshop.texts)]).files
    planned = list(plan_units(files, TextConfig(), workshop.data))
    assert planned == [(Unit(0, 1), None), (Unit(1, 1), None), (Unit(2, 1), None)]
    assert not list(workshop.data.iterdir())


def test_lines_are_counted_from_the_last_place_in_the_same_file(tmp_path):
    path = tmp_path / "a"
    path.write_text("a\nb\n\nc")
    assert [lines_before(str(path), place) for place in (0, 1, 2, 5, 4, 6)] == [0, 0, 1, 3, 2, 3]
