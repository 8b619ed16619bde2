"""JSON files of every make, and the conversations in them."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from chainrule.base import DataError
from chainrule.config import TextConfig
from chainrule.data import json_rows
from chainrule.data.documents import read_documents
from chainrule.data.files import list_files
from chainrule.data.policy import under_policy

ROWS = [{"text": "one"}, {"text": 'two\n"lines", é語😀'}, {"text": "three"}]
TEXTS = [row["text"] for row in ROWS]
OPENAI = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Hi?"}]},
    {"role": "assistant", "content": "Hello."},
]
SPOKEN = "System: Be brief.\n\nUser: Hi?\n\nAssistant: Hello.\n"


def texts(path, **given):
    (file,) = list_files([str(path)]).files
    config, found, parts = TextConfig(**given), [], []
    for piece, _ in under_policy(read_documents(file, config), config.on_bad):
        parts.append(piece.content.decode())
        if piece.last:
            found.append("".join(parts) if piece.bad is None else None)
            parts = []
    return found


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2, ensure_ascii=False),
        json.dumps(TEXTS),
        "\n".join(map(json.dumps, ROWS)),
        "".join(map(json.dumps, ROWS)) + "\n",
        "\ufeff " + json.dumps(ROWS),
    ],
    ids=["array", "indented", "strings", "lines", "joined", "mark"],
)
def test_arrays_objects_and_lines_give_the_same_documents_whatever_is_read_at_once(workshop, monkeypatch, content):
    path = workshop.write("a.json", content)
    for size, held in ((1 << 20, 1 << 24), (3, 1 << 24), (10, 8), (3, 1)):
        monkeypatch.setattr(json_rows, "CHUNK_BYTES", size)
        monkeypatch.setattr(json_rows, "HELD_BYTES", held)
        assert texts(path) == TEXTS


def test_one_object_is_one_document_and_an_empty_array_none(workshop):
    assert texts(workshop.write("a.json", json.dumps(ROWS[0]))) == ["one"]
    assert texts(workshop.write("b.json", " [ ] ")) == []


@pytest.mark.parametrize(
    ("content", "kept", "reason"),
    [
        ('[{"text": "one"}, {"text": "two"', ["one", None], "value 2: malformed JSON"),
        ('[{"text": "one"}, {"text": "two"}', ["one", "two", None], "truncated: the array is not closed after value 2"),
        ('[{"text": "one"} {"text": "two"}]', ["one", None], "value 2: malformed JSON .no comma"),
        ('[{"text": "one"}, 7, {"text": "two"}]', ["one", None, "two"], "value 2: a JSON int"),
        ('[{"text": "one"}, {"body": "x"}]', ["one", None], "value 2: no field 'text'"),
        ("[" * 100_000, [None], "nested too deeply"),
    ],
)
def test_bad_values_are_told_by_their_number_or_skipped(workshop, content, kept, reason):
    path = workshop.write("a.json", content)
    with pytest.raises(DataError, match=rf"a\.json: .*{reason}"):
        texts(path)
    assert texts(path, on_bad="skip") == kept


def test_a_value_that_never_ends_is_refused_before_it_fills_the_memory(workshop, monkeypatch):
    monkeypatch.setattr(json_rows, "longest_value", lambda: 3 << 20)
    with pytest.raises(DataError, match=r"value 1: malformed JSON \(longer than 3\.0 MiB"):
        texts(workshop.write("a.json", '[{"text": "' + "x" * (9 << 20)))


@pytest.mark.parametrize(
    ("begun", "part", "reason"),
    [
        (b'{"text": "', b"x", r"not closed in the 9\.0 MiB to the end of the file"),
        (b'{"text": "', b'\\"', r"not closed in the 9\.0 MiB to the end of the file"),
        (b"", b"7", r"and more that are no object, array or text"),
        (b'{"text": ["' + b"x" * (3 << 20) + b'"', b",{}", "brackets and commas that would take"),
        (b'{"text": 1', b"x", r"Expecting ',' delimiter"),
    ],
)
def test_what_makes_no_value_is_refused_while_little_of_it_is_held(workshop, monkeypatch, begun, part, reason):
    monkeypatch.setattr(json_rows, "HELD_BYTES", 2 << 20)
    path = workshop.write("a.json", begun + part * ((18 << 20 if b"," in part else 9 << 20) // len(part)))
    monkeypatch.setattr(json_rows._Text, "_read", limited(json_rows._Text._read, 4 << 20))
    with pytest.raises(DataError, match=rf"value 1: malformed JSON \(.*{reason}"):
        texts(path)


def limited(read, most):
    def limited_read(text, size):
        found = read(text, size)
        assert len(text._buffer) <= most
        return found

    return limited_read


def test_one_object_may_be_as_long_as_there_is_memory_to_parse_it_in(workshop, monkeypatch):
    monkeypatch.setattr(json_rows, "MOST_LINE_BYTES", 1 << 20)
    path = workshop.write("a.json", json.dumps({"text": "word " * 2_000_000}))
    monkeypatch.setattr(json_rows, "available_memory", lambda: 16 * (2 << 20))
    with pytest.raises(DataError, match=r"longer than 2\.0 MiB, a sixteenth of the free memory"):
        texts(path)
    monkeypatch.setattr(json_rows, "available_memory", lambda: 16 * (16 << 20))
    assert texts(path) == ["word " * 2_000_000]


def test_bytes_that_are_no_utf8_follow_the_policy(workshop):
    path = workshop.write("a.json", b'["caf\xe9", "two"]')
    with pytest.raises(DataError, match=r"value 1: invalid UTF-8 \(byte 0xe9\)"):
        texts(path)
    assert texts(path, on_bad="skip") == [None, "two"]
    assert texts(path, on_bad="replace") == ["caf\ufffd", "two"]


def test_dots_lead_into_a_row(workshop):
    path = workshop.write("a.jsonl", '{"meta": {"body": {"plain": "one"}}, "a.b": "two"}\n')
    assert texts(path, field="meta.body.plain") == ["one"]
    assert texts(path, field="a.b") == ["two"]
    assert texts(path, template="{a.b}: {meta.body.plain}") == ["two: one"]
    with pytest.raises(DataError, match=r"no field 'meta\.body\.rich'"):
        texts(path, field="meta.body.rich")
    table = pyarrow.table({"meta": [{"body": "one"}]})
    pyarrow.parquet.write_table(table, workshop.texts / "a.parquet")
    assert texts(workshop.texts / "a.parquet", field="meta.body") == ["one"]


@pytest.mark.parametrize(
    "row",
    [
        {"id": 1, "messages": OPENAI},
        {"conversations": [{"from": m["role"].replace("user", "human"), "value": m["content"]} for m in OPENAI]},
    ],
)
def test_messages_become_plain_text(workshop, row):
    assert texts(workshop.write("a.jsonl", json.dumps(row) + "\n")) == [SPOKEN]
    plain = json.loads(json.dumps(row).replace('[{"type": "text", "text": "Hi?"}]', '"Hi?"'))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([plain]), workshop.texts / "a.parquet")
    assert texts(workshop.texts / "a.parquet") == [SPOKEN]


def test_a_field_with_messages_may_be_named(workshop):
    path = workshop.write("a.jsonl", json.dumps({"text": "no", "chat": OPENAI}) + "\n")
    assert texts(path, field="chat") == [SPOKEN]


def node(parent, role, *parts):
    return {"parent": parent, "message": {"author": {"role": role}, "content": {"parts": list(parts)}}}


def test_chatgpts_export_gives_the_branch_that_was_seen_last(workshop):
    mapping = {
        "root": {"parent": None, "message": None},
        "a": node("root", "system", "hidden"),
        "b": node("a", "user", "Hi?"),
        "old": node("b", "assistant", "Away."),
        "new": node("b", "assistant", "Hello."),
    }
    export = [{"title": "t", "mapping": mapping, "current_node": "new"}]
    assert texts(workshop.write("conversations.json", json.dumps(export))) == ["User: Hi?\n\nAssistant: Hello.\n"]


def test_telegrams_export_gives_a_document_for_each_day(workshop):
    says = [
        ("2024-01-01T10:00:00", "Ann", "hi"),
        ("2024-01-01T10:01:00", "Bob", ["see ", {"type": "link", "text": "this"}]),
        ("2024-01-02T09:00:00", "Ann", "morning"),
    ]
    messages = [{"type": "message", "date": date, "from": name, "text": said} for date, name, said in says]
    messages.append({"type": "service", "date": "2024-01-02T09:01:00", "actor": "Ann", "text": ""})
    chat = {"name": "n", "type": "personal_chat", "messages": messages}
    expected = ["Ann: hi\n\nBob: see this\n", "Ann: morning\n"]
    assert texts(workshop.write("result.json", json.dumps(chat))) == expected
    assert texts(workshop.write("all.json", json.dumps({"chats": {"list": [chat, chat]}}))) == 2 * expected
