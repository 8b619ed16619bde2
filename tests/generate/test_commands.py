"""What is typed: entries of several lines, commands, and clear words for what is neither."""

import json

import pytest
from talking import base, instructed

from chainrule.base import ConfigError
from chainrule.generate import Answer, ChatSettings, Leave, Remark, read_entry, respond
from chainrule.generate.commands import COMMANDS
from chainrule.generate.entries import Entry
from chainrule.generate.talk import talk

SETTINGS = ChatSettings(temperature=2.0, max_new_tokens=8)


def entries(text: str) -> list[str]:
    lines = iter(text.splitlines())
    found = []
    while (entry := read_entry(lambda _: next(lines, None))) is not None:
        found.append(entry.text)
    return found


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("one\ntwo", ["one", "two"]),
        ("one\\\ntwo\nthree", ["one\ntwo", "three"]),
        ("one\\", ["one"]),
        ('"""\none\n\ntwo\n"""\nthree', ["one\n\ntwo", "three"]),
        ('"""one\ntwo"""', ["one\ntwo"]),
        ('"""one"""', ["one"]),
        ('"""\n\n\n"""', ["\n"]),
        ('"""one\ntwo', ["one\ntwo"]),
        ('"""', [""]),
        ("", []),
    ],
)
def test_lines_become_entries(typed, meant):
    assert entries(typed) == meant


def told(session, text: str) -> str:
    match respond(session, Entry(text)):
        case Remark(text=text):
            return text
        case Answer(pieces=pieces):
            return "".join(pieces)
        case Leave():
            return "left"


def test_help_names_every_command():
    shown = told(talk(instructed(), SETTINGS), "/help")
    assert all(f"/{name}" in shown for name in COMMANDS)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("/sytem x", r"/sytem is no command. Did you mean '/system'\? /help"),
        ("/home/me/file.txt: what is it?", "triple quotes"),
        ("/", "/ is no command"),
        ("/new now", "takes nothing after it, and was given 'now'"),
        ("/temperature warm", "a number from 0 .* not 'warm'"),
        ("/temperature", "a number from 0"),
        ("/temperature -1", "out of range"),
        ("/temperature nan", "out of range"),
        ("/seed 1.5", "a whole number; not '1.5'"),
        ("/save", "the name of a file"),
        ("/save x.jsonl", "nothing was said yet"),
        ("/retry", "nothing was said yet"),
    ],
)
def test_a_command_that_cannot_be_done_is_refused_and_nothing_changes(typed, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = talk(instructed(), SETTINGS)
    with pytest.raises(ConfigError, match=message):
        told(session, typed)
    assert session.settings == SETTINGS and session.rows() == [] and list(tmp_path.iterdir()) == []


def test_in_triple_quotes_nothing_is_a_command():
    session = talk(instructed(), SETTINGS)
    assert isinstance(respond(session, Entry("/new", literal=True)), Answer)


def test_settings_hold_from_the_next_answer_on():
    session = talk(instructed(), SETTINGS)
    told(session, "/temperature 0")
    greedy = told(session, "the cat")
    assert told(session, "/retry") == greedy
    told(session, "/temperature 3")
    told(session, "/seed 5")
    wild = told(session, "/retry")
    told(session, "/seed 5")
    assert wild == told(session, "/retry") != greedy
    told(session, "/system be brief")
    assert session.messages[0] == {"role": "system", "content": "be brief"} and told(session, "/system") == "be brief"
    told(session, "/system off")
    assert session.messages[0]["role"] == "user"
    assert "tokens read in" in told(session, "/speed")
    told(session, "/new")
    assert session.messages == () and told(session, "/quit") == "left"


def test_blank_lines_say_nothing_to_a_chat_and_let_a_base_model_go_on():
    session, draft = talk(instructed(), SETTINGS), talk(base(), SETTINGS)
    assert told(session, "  ") == "" and session.rows() == []
    told(draft, "the cat")
    assert told(draft, "")


def test_what_was_said_is_saved_as_rows_of_examples_and_no_file_is_overwritten(tmp_path):
    session, path = talk(instructed(), SETTINGS), tmp_path / "talk.jsonl"
    told(session, "/system be brief")
    told(session, 'ä "quoted"\nline')
    told(session, f"/save {path}")
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert rows == [{"messages": list(session.messages)}] and len(rows[0]["messages"]) == 3
    with pytest.raises(ConfigError, match="exists and stays as it is"):
        told(session, f"/save {path}")
    with pytest.raises(ConfigError, match="is no folder"):
        told(session, f"/save {tmp_path}/absent/talk.jsonl")
    assert [path] == list(tmp_path.iterdir())
    draft = talk(base(), SETTINGS)
    told(draft, "the cat")
    told(draft, "the dog")
    told(draft, f"/save {tmp_path / 'texts.jsonl'}")
    rows = [json.loads(line) for line in (tmp_path / "texts.jsonl").read_text("utf-8").splitlines()]
    assert [row["prompt"] for row in rows] == ["the cat", "the dog"] and all(row["completion"] for row in rows)
