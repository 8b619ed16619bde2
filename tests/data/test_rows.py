import contextlib
import gzip
import json
import os

import pyarrow
import pyarrow.parquet
import pytest

from chainrule.base import DataError
from chainrule.config import TextConfig
from chainrule.data import lines, streams
from chainrule.data.documents import read_documents
from chainrule.data.files import list_files
from chainrule.data.policy import under_policy
from chainrule.data.range_ends import group_ends


def texts(path, **given):
    (file,) = list_files([str(path)]).files
    found, parts = [], []
    config = TextConfig(**given)
    for piece, _ in under_policy(read_documents(file, config), config.on_bad):
        parts.append(piece.content.decode())
        if piece.last:
            found.append("".join(parts) if piece.bad is None else None)
            parts = []
    return found


def parquet(workshop, name="a.parquet", **columns):
    path = workshop.texts / name
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


ROWS = [{"text": "one"}, {"text": 'two\n"lines", é語'}, {"text": ""}, {"text": "four"}]


def test_all_formats_give_the_same_documents(workshop):
    jsonl = workshop.write("a.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS))
    quoted = ["text"] + ['"' + row["text"].replace('"', '""') + '"' for row in ROWS]
    csv = workshop.write("a.csv", "\r\n".join(quoted) + "\r\n")
    tsv = workshop.write("a.tsv", "\n".join(quoted))
    table = parquet(workshop, text=[row["text"] for row in ROWS])
    packed = workshop.write("b.parquet.gz", gzip.compress(table.read_bytes()))
    expected = [row["text"] for row in ROWS]
    for path in (jsonl, csv, tsv, table, packed):
        assert texts(path) == expected, path


def test_blank_lines_and_byte_order_marks_are_no_rows(workshop):
    assert texts(workshop.write("a.jsonl", b'\xef\xbb\xbf\n{"text": "a"}\n  \n{"text": "b"}')) == ["a", "b"]


def test_carriage_returns_inside_a_line_stay(workshop):
    assert texts(workshop.write("a.jsonl", '{"text":\r"a"}\r\n{"text": "b"}\r\n')) == ["a", "b"]


def test_a_template_builds_the_text(workshop):
    path = workshop.write("a.jsonl", '{"title": "T", "n": 7, "body": "B"}\n')
    assert texts(path, template="{title} {{{n}}}\n\n{body}") == ["T {7}\n\nB"]
    # As a shell passes it.
    assert texts(path, template="{title}\\n{body}") == ["T\nB"]


@pytest.mark.parametrize("template", ["no column", "{}", "{0}{}", "{a", "{a.__class__}{b!r}", "{a:>10}"])
def test_a_template_that_is_not_plain_is_refused(workshop, template):
    path = workshop.write("a.jsonl", '{"a": "x", "b": "y"}\n')
    with pytest.raises(DataError, match=r"text\.template|no field 'a\.__class__'"):
        texts(path, template=template)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "a"', "malformed JSON"),
        ('{"text": "a"} {"text": "b"}', "Extra data"),
        ("[" * 100_000, "malformed JSON"),
        ("1e999", "a JSON float"),
        ('["text"]', "a JSON list"),
        ("null", "a JSON NoneType"),
        ('{"txt": "a"}', r"no field 'text'. Did you mean 'txt'\?"),
        ('{"text": null}', "is null"),
        ('{"text": 7}', "holds int"),
        ('{"text": "\\ud800"}', "lone surrogate"),
    ],
)
def test_a_bad_row_is_an_error_with_file_and_line_or_is_skipped(workshop, line, reason):
    path = workshop.write("a.jsonl", '{"text": "one"}\n' + line + '\n{"text": "three"}\n')
    with pytest.raises(DataError, match=rf"a\.jsonl:2: .*{reason}"):
        texts(path)
    assert texts(path, on_bad="skip") == ["one", None, "three"]


def test_a_lone_surrogate_is_replaced_on_request(workshop):
    path = workshop.write("a.jsonl", '{"text": "a\\ud800b \\ud83d\\ude00"}\n')
    assert texts(path, on_bad="replace") == ["a\ufffdb 😀"]


def test_invalid_utf8_in_a_row_names_line_and_byte(workshop):
    path = workshop.write("a.jsonl", b'{"text": "one"}\n{"text": "\xff"}\n')
    with pytest.raises(DataError, match=r"a\.jsonl:2: byte 26: invalid UTF-8"):
        texts(path)
    assert texts(path, on_bad="skip") == ["one", None]
    assert texts(path, on_bad="replace") == ["one", "\ufffd"]


def test_a_line_without_end_is_refused_before_it_fills_the_memory(workshop, monkeypatch):
    monkeypatch.setattr(lines, "MOST_LINE_BYTES", 3 << 20)
    path = workshop.write("a.jsonl", b'{"text": "one"}\n{"text": "' + b"x" * (5 << 20))
    with pytest.raises(DataError, match=r"a\.jsonl:2: the line that starts at byte 16 is longer than 3\.0 MiB"):
        texts(path)


def test_long_rows_come_in_pieces_and_lose_nothing(workshop):
    long = "word and word\n" * 100_000
    assert texts(workshop.write("a.jsonl", json.dumps({"text": long}) + "\n")) == [long]
    assert texts(workshop.write("b.csv", f'text\n"{long}"\n')) == [long]


@pytest.mark.parametrize(
    ("content", "reason"),
    [("text,b\none,2\nthree\n", "a.csv:3: 1 values for 2 columns"), ('text\n"one', "a.csv:2: malformed CSV")],
)
def test_a_malformed_table_names_its_line(workshop, content, reason):
    with pytest.raises(DataError, match=reason):
        texts(workshop.write("a.csv", content))


def test_a_quote_that_is_never_closed_costs_its_row_and_no_other(workshop):
    path = workshop.write("a.csv", 'text,b\n"unclosed,1\nnext,2\n"last\nof two lines",3\n')
    with pytest.raises(DataError, match=r"a\.csv:4: malformed CSV: .*1 lines further down|a\.csv:2: malformed CSV"):
        texts(path)
    assert texts(path, on_bad="skip") == [None, "next", "last\nof two lines"]
    path = workshop.write("b.csv", 'text,b\n"she said \\"hi\\" once",1\nplain,2\n')
    assert texts(path, on_bad="skip") == [None, "plain"]


def test_an_unclosed_quote_is_named_by_the_line_in_which_it_opens(workshop):
    with pytest.raises(DataError, match=r"a\.csv:3: malformed CSV: a quote opens in this line and is not closed"):
        texts(workshop.write("a.csv", 'text\none\n"two\nthree\nfour\n'))


def test_the_lines_of_a_row_that_was_given_back_keep_their_numbers_and_their_mended_places(workshop):
    path = workshop.write("a.csv", b'text\n"one\ncaf\xe9\n"two\n"\n')
    with pytest.raises(DataError, match=r"a\.csv:2: malformed"):
        texts(path)
    assert texts(path, on_bad="skip") == [None, None, "two\n"]
    assert texts(path, on_bad="replace") == [None, "caf\ufffd", "two\n"]
    with pytest.raises(DataError, match=r"b\.csv:3: byte 13: invalid UTF-8"):
        texts(workshop.write("b.csv", b'text\n"one\ncaf\xe9"\ntwo\n'))


def test_a_number_that_python_does_not_hold_harms_no_text_beside_it(workshop):
    assert texts(workshop.write("a.jsonl", '{"text": "one", "id": ' + "9" * 5000 + "}\n")) == ["one"]


def spoilt(column_type, values):
    """A column of text whose bytes nobody checked, as other writers leave it."""
    return pyarrow.array(values, pyarrow.binary()).view(column_type)


def test_invalid_utf8_in_a_parquet_column_is_its_rows_matter_alone(workshop):
    path = parquet(workshop, text=spoilt(pyarrow.string(), [b"one", b"a\xffb", None, "\ufffd é".encode()]))
    with pytest.raises(DataError, match=r"a\.parquet: row 2: invalid UTF-8"):
        texts(path)
    assert texts(path, on_bad="skip") == ["one", None, None, "\ufffd é"]
    assert texts(path, on_bad="replace") == ["one", "a\ufffdb", None, "\ufffd é"]


def test_a_flipped_byte_is_damage_where_pages_have_checksums(workshop):
    path = workshop.texts / "a.parquet"
    table = pyarrow.table({"text": [f"some text {index}" for index in range(50)]})
    options = {"compression": "none", "use_dictionary": False, "write_page_checksum": True}
    pyarrow.parquet.write_table(table, path, **options)
    content = bytearray(path.read_bytes())
    content[content.index(b"some text 7")] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.parquet: damaged or truncated Parquet data: .*CRC"):
        texts(path)


def test_rows_before_the_place_at_which_a_file_is_truncated_are_kept(workshop):
    rows = "".join(f'{{"text": "row {index} {os.urandom(20).hex()}"}}\n' for index in range(5000))
    whole = gzip.compress(rows.encode())
    path = workshop.write("a.jsonl.gz", whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.jsonl\.gz: truncated at byte"):
        texts(path)
    *kept, last = texts(path, on_bad="skip")
    assert last is None and 1000 < len(kept) < 3000
    assert kept == [json.loads(row)["text"] for row in rows.splitlines()[: len(kept)]]


def test_rows_of_the_wrong_length_are_skipped_on_request(workshop):
    assert texts(workshop.write("a.csv", "text,b\none,2\nthree\nfour,5\n"), on_bad="skip") == ["one", None, "four"]


def test_a_parquet_file_with_any_damaged_byte_in_its_footer_ends_no_process(workshop):
    """pyarrow throws what Python cannot catch when it is asked of a column whose statistics are wrong."""
    path = workshop.texts / "a.parquet"
    table = pyarrow.table({"text": ["Once upon a time", "there was a fox"], "n": [1, 2]})
    pyarrow.parquet.write_table(table, path, row_group_size=1)
    sound = path.read_bytes()
    length = int.from_bytes(sound[-8:-4], "little")
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        for place in range(len(sound) - 8 - length, len(sound) - 8):
            for value in (0, sound[place] ^ 1, sound[place] ^ 2, sound[place] ^ 4):
                path.write_bytes(sound[:place] + bytes([value]) + sound[place + 1 :])
                with contextlib.suppress(DataError, MemoryError):
                    texts(path)
                    with path.open("rb") as raw:
                        list(group_ends(list_files([str(path)]).files[0], raw, 0, 1) or ())
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_table_without_the_column_is_refused_or_left_out_as_a_whole(workshop, name):
    path = parquet(workshop, body=["one"]) if name.endswith("parquet") else workshop.write(name, "body\none\n")
    with pytest.raises(DataError, match=r"no field 'text'.*'body'"):
        texts(path)
    assert texts(path, on_bad="skip") == [None]
    assert texts(path, field="body") == ["one"]


def test_nulls_and_numbers_in_a_parquet_file_name_their_row(workshop):
    with pytest.raises(DataError, match="row 2: field 'text' is null"):
        texts(parquet(workshop, text=["one", None]))
    with pytest.raises(DataError, match="row 1: field 'text' holds int"):
        texts(parquet(workshop, text=[1]))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_parquet_file_is_refused(workshop, share):
    path = parquet(workshop, text=["some text " * 50] * 200)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataError, match=r"a\.parquet: truncated"):
        texts(path)


def test_damage_inside_a_parquet_file_is_refused(workshop):
    path = parquet(workshop, text=[f"some text {index} " * 50 for index in range(200)])
    content = bytearray(path.read_bytes())
    content[20:200] = bytes(180)
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        texts(path)


@pytest.mark.parametrize("values", [["0" * (4 << 20)], ["0" * (1 << 20)] * 4])
def test_a_bomb_in_a_parquet_file_is_refused(workshop, monkeypatch, values):
    monkeypatch.setattr(streams, "RATIO_FROM", 1 << 20)
    monkeypatch.setattr(streams, "RATIO", 10)
    path = workshop.texts / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": values}), path, compression="zstd")
    with pytest.raises(DataError, match="compression bomb"):
        texts(path)
