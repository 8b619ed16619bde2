"""Which files hold many documents, and which only look like it."""

import re

import pytest

from chainrule.config import TextConfig
from chainrule.data import pieces, text
from chainrule.data.documents import read_documents
from chainrule.data.files import list_files
from chainrule.data.separators import recognised

STORIES = [f"Once upon a time there was story {index}.\nIt had two lines.\n" for index in range(8)]
MESSAGES = [
    f"From ann@example.org Mon Jan  1 10:0{index}:00 2024\nFrom: Ann\nSubject: {index}\n\nFrom here on it is text.\n\n"
    for index in range(4)
]
ANDROID = [
    "31/12/2023, 22:15 - Ann: hi\n31/12/2023, 22:16 - Bob: over\ntwo lines\n",
    "01/01/2024, 00:00 - Ann: happy\n",
]
APPLE = ["[31.12.23, 22:15:03] Ann: hi\n\u200e[31.12.23, 22:16:00] Bob: yo\n", "[01.01.24, 00:00:01] Ann: happy\n"]
AMERICAN = [
    "12/31/23, 10:15\u202fPM - Ann: hi\n12/31/23, 10:16\u202fPM - B: c\n",
    "1/1/24, 12:00\u202fAM - Ann: happy\n",
]
WIKITEXT = [" = One = \n \n some text . \n \n = = Part = = \n \n more \n \n", " = Two = \n \n other text . \n"]


def contents(path, separator="auto"):
    (file,) = list_files([str(path)]).files
    found, parts = [], []
    for piece, _ in read_documents(file, TextConfig(separator=separator)):
        parts.append(piece.content.decode())
        if piece.last:
            found.append("".join(parts))
            parts = []
    return found


@pytest.mark.parametrize("mark", ["<|endoftext|>", "</s>", "<|end_of_text|>", "<eos>", "<EOD>", "[EOS]"])
def test_known_marks_on_lines_of_their_own_part_documents(workshop, mark):
    assert contents(workshop.write("a.txt", f"{mark}\n".join(STORIES))) == STORIES
    assert contents(workshop.write("b.txt", f"{mark} \r\n".join(STORIES[:2]) + mark)) != STORIES


def test_one_mark_alone_in_a_file_parts_it_in_two(workshop):
    assert contents(workshop.write("a.txt", "<|endoftext|>\n".join(STORIES[:2]))) == STORIES[:2]


@pytest.mark.parametrize(
    ("separator", "documents"),
    [
        ("\f", STORIES),
        ("", MESSAGES),
        ("", WIKITEXT),
    ],
    ids=["form feeds", "mailbox", "wikitext"],
)
def test_files_of_many_texts_are_recognised_whatever_the_size_of_the_pieces(
    workshop, monkeypatch, separator, documents
):
    path = workshop.write("a.txt", separator.join(documents))
    assert contents(path) == documents
    assert contents(path, "none") == contents(path, "") == [separator.join(documents)]
    for size in (7, 40, 90):
        for module in (pieces, text):
            monkeypatch.setattr(module, "PIECE_BYTES", size)
        assert contents(path) == documents, size


@pytest.mark.parametrize("documents", [ANDROID, APPLE, AMERICAN], ids=["android", "apple", "american"])
def test_the_days_of_a_chat_are_documents_without_dates_and_times(workshop, monkeypatch, documents):
    path = workshop.write("a.txt", "".join(documents))
    said = ["".join(re.sub(r"^.*?(?=(?:Ann|Bob|B): )", "", line) for line in day.splitlines(True)) for day in documents]
    assert contents(path) == said and said[1] == "Ann: happy\n"
    assert contents(path, "none") == ["".join(documents)]
    for size in (90, 200):
        for module in (pieces, text):
            monkeypatch.setattr(module, "PIECE_BYTES", size)
        assert contents(path) == said, size


@pytest.mark.parametrize(
    "given",
    [
        "story one<|endoftext|>story two<|endoftext|>",
        "The mark\n<|endoftext|>\nends a text, and <|endoftext|> is one token.",
        "Write this:\n```\none\n<|endoftext|>\ntwo\n```\n",
        # Pages of a book end anywhere; those of an RFC with a number.
        "the page ends in the middle of a\f" * 9,
        "1. Words.\n\nAuthor          [Page 1]\n\fRFC 9         Title\n" * 9,
        "From here to there Mon Jan 1 10:00:00 2024\nand back.\n",
        "2024-01-01 10:00:00 INFO all is well\n" * 20,
        "[2024-01-01 10:00:00] host: all is well\n" * 20,
        "one\n---\ntwo\n***\nthree\n===\nfour\n",
        "= heading\n\ntext\n",
        "31/12/2023, 22:15 - a date at the beginning of a diary\n" + "and prose.\n" * 9,
        "",
    ],
)
def test_what_only_looks_like_many_texts_stays_one(given):
    assert recognised(given.encode()) is None


@pytest.mark.parametrize("name", ["a.py", "a.html", "a.rst"])
def test_code_and_markup_are_never_parted(workshop, name):
    path = workshop.write(name, "<|endoftext|>\n".join(STORIES))
    assert len(contents(path)) == 1


def test_a_separator_that_is_given_is_the_only_one(workshop):
    path = workshop.write("a.txt", "one\n<|endoftext|>\ntwo\n==\nthree\n")
    assert contents(path, "==") == ["one\n<|endoftext|>\ntwo\n", "three\n"]


def test_only_the_beginning_of_a_file_says_what_parts_it(workshop):
    long = "A line of prose that is long enough.\n" * 30_000
    path = workshop.write("a.txt", long + "<|endoftext|>\n" + long)
    assert contents(path) == [long + "<|endoftext|>\n" + long]


def test_none_and_the_empty_text_switch_recognition_off():
    assert TextConfig(separator="none").separator == TextConfig(separator=None).separator == ""
