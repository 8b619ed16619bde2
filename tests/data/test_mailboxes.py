import pytest

from chainrule.base import DataError
from chainrule.config import TextConfig
from chainrule.data import all_documents
from chainrule.data.mailboxes import MOST_MESSAGE

START = b"From ann@example.org Mon Jan  1 10:00:00 2024\n"
LETTER = b"From: Ann\nSubject: %d\nContent-Transfer-Encoding: base64\n\naGVsbG8=\n\n"
QUOTED = b"From: Ann\nSubject: q\n\n>From here on.\nIn the text: From me.\n\n"


def documents(path, **settings):
    told = []
    parts = all_documents(TextConfig(paths=(str(path),), **settings), told.append)
    return [part.content.decode() for part in parts if not part.bad], told


def test_each_message_is_a_document(workshop):
    workshop.write("a.mbox", START + LETTER % 1 + START + LETTER % 2 + START + QUOTED)
    found, told = documents(workshop.texts)
    assert found == ["1\n\nhello\n", "2\n\nhello\n", "q\n\nFrom here on.\nIn the text: From me.\n"]
    assert not told


def test_a_mailbox_without_suffix_is_known_by_its_beginning(workshop):
    path = workshop.write("Inbox", START + LETTER % 1)
    assert documents(path) == (["1\n\nhello\n"], [])


def test_what_is_no_mailbox_is_told_and_the_rest_is_read(workshop):
    path = workshop.write("a.mbox", b"a diary\n")
    workshop.write("b.txt", "text")
    found, told = documents(workshop.texts)
    assert found == ["text"] and "is no mailbox" in told[0]
    with pytest.raises(DataError, match="is no mailbox"):
        documents(path)


def test_a_message_that_is_too_long_costs_itself_alone(workshop, monkeypatch):
    assert MOST_MESSAGE > 100 << 20
    monkeypatch.setattr("chainrule.data.mailboxes.MOST_MESSAGE", 200)
    workshop.write("a.mbox", START + LETTER % 1 + START + b"Subject: x\n\n" + b"long\n" * 90 + START + LETTER % 3)
    found, told = documents(workshop.texts, on_bad="skip")
    assert found == ["1\n\nhello\n", "3\n\nhello\n"] and "message 2: is longer than" in told[0]
