import gzip
import json
import os

import pytest

from chainrule.config import TextConfig
from chainrule.data.documents import read_documents
from chainrule.data.files import JSON, list_files
from chainrule.data.json_head import HEAD_BYTES, holds_text

ROW = {"id": 7, "text": "A short text."}
SAID = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day"}]
DAYS = {"name": "A chat", "messages": [{"date": "2024-01-01T10:00:00", "from": "Ann", "text": "word " * 99}]}
LONG = "word " * HEAD_BYTES

TEXTS = {
    "an array of rows": [ROW, ROW],
    "an array of one row": [ROW],
    "conversations": [{"messages": SAID}],
    "ShareGPT": [{"id": "a", "conversations": [{"from": "human", "value": "Hello"}]}],
    "ChatGPT's export": [
        {"title": "a", "mapping": {"a": {"message": {"author": {"role": "user"}, "content": "Hello"}}}}
    ],
    "Telegram's export": DAYS,
    "a row that is longer than the head": [{"id": 7, "text": LONG}],
    "a row that goes on beyond its text": [{"text": "A short text.", "meta": LONG}],
    "a conversation that is longer than the head": [{"messages": [{"role": "user", "content": LONG}]}],
    "a chat that is longer than the head": {"name": "a", "messages": [{"date": "2024", "from": "Ann", "text": LONG}]},
    "a document by itself": {"title": "a", "text": "word " * 99},
}
OTHERS = {
    "settings": {"compilerOptions": {"strict": True}, "files": ["a", "b"]},
    "large settings": {"name": "a", "dependencies": {f"package-{index}": "1.0" for index in range(9000)}},
    "words of a menu": {"text": "Text", "save": "Save"},
    "an array of other rows": [{"id": 7, "body": "A text."}],
    "large other rows": [{"id": 7, "body": LONG, "text": "A short text."}],
    "numbers": list(range(99)),
    "nothing": [],
    "a word": "text",
}


@pytest.mark.parametrize("name", TEXTS)
def test_rows_with_text_and_conversations_are_taken_from_a_folder_and_read(workshop, name):
    workshop.write("a.json", json.dumps(TEXTS[name]))
    workshop.write("b.json.gz", gzip.compress(json.dumps(TEXTS[name], indent=2).encode()))
    (first, second) = list_files([str(workshop.texts)]).files
    assert (first.kind, second.kind, second.codec) == ("json", "json", "gzip")
    for file in (first, second):
        pieces = [piece for piece, _ in read_documents(file, TextConfig())]
        assert not any(piece.bad for piece in pieces)
        assert sum(piece.last for piece in pieces) == (len(TEXTS[name]) if isinstance(TEXTS[name], list) else 1)


@pytest.mark.parametrize("name", OTHERS)
def test_settings_and_other_rows_are_passed_over_in_a_folder(workshop, name):
    workshop.write("a.json", json.dumps(OTHERS[name]))
    workshop.write("b.txt", "text")
    listing = list_files([str(workshop.texts)])
    assert [file.kind for file in listing.files] == ["text"] and listing.ignored == {JSON: 1}


def test_objects_one_after_the_other_are_rows(workshop):
    path = workshop.write("a.json", "\n".join(json.dumps(ROW) for _ in range(3)))
    assert holds_text(str(path), "", TextConfig())
    path.write_text("\ufeff" + json.dumps(ROW) + json.dumps(ROW), encoding="utf-8")
    assert holds_text(str(path), "", TextConfig())


@pytest.mark.parametrize(
    ("settings", "taken"),
    [
        ({"field": "body"}, True),
        ({"template": "{id}: {body}"}, True),
        ({"template": "{id}: {text}"}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("body", ["A text.", LONG])
def test_the_settings_say_what_the_text_is(workshop, settings, taken, body):
    path = workshop.write("a.json", json.dumps([{"id": 7, "body": body}]))
    assert holds_text(str(path), "", TextConfig(**settings)) == taken


@pytest.mark.parametrize("content", [b"[{", b'{"text": nul', b"[" * 70_000, b"\xff\xfe[\0", b"", b"// comment\n{}"])
def test_what_is_no_json_is_no_text(workshop, content):
    assert not holds_text(str(workshop.write("a.json", content)), "", TextConfig())
    assert not holds_text(str(workshop.write("b.json.gz", gzip.compress(content)[:-9])), "gzip", TextConfig())


def test_a_pipe_and_a_broken_link_are_not_waited_for(workshop):
    os.mkfifo(workshop.texts / "a.json")
    (workshop.texts / "b.json").symlink_to("/nowhere")
    workshop.write("c.txt", "text")
    assert list_files([str(workshop.texts)]).ignored == {JSON: 2}
