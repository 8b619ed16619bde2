"""Both engines are held against each other; the tests that need the accelerator are skipped where it is absent."""

import importlib.util
import random

import pytest

from chainrule.tokenizer import fast, learn, reference, train_bpe
from chainrule.tokenizer.document import Merge

needs_gigatoken = pytest.mark.skipif(
    importlib.util.find_spec("gigatoken") is None, reason="gigatoken (the extra `fast`) is not installed"
)


@pytest.fixture
def always_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learn, "WORTH_BYTES", 0)
    monkeypatch.setattr(learn, "WORTH_BYTES_PER_ENTRY", 0)


def of_reference(documents: list[bytes], n_entries: int) -> list[Merge]:
    return reference.learn([document.decode() for document in documents], n_entries)


@needs_gigatoken
def test_both_engines_make_the_same_vocabulary_of_the_same_text(always_worth_it, texts, monkeypatch, capfd) -> None:
    fastest = train_bpe(texts, 2000)
    assert fastest.made_by == fast.name()
    monkeypatch.setattr(learn, "WORTH_BYTES", 10**9)
    plain = train_bpe(texts, 2000)
    assert plain.made_by.startswith(reference.NAME)
    assert plain.fingerprint == fastest.fingerprint
    assert plain.vocab_size == 2000
    assert capfd.readouterr() == ("", "")


@needs_gigatoken
def test_both_engines_break_ties_alike() -> None:
    generator = random.Random(0)
    tasks = []
    for alphabet in ("ab", "acgt", "abcdefgh ", "aé猫 \n", "01 '-", "<|endoftext|> ", "\x00\x1c\x85\u2028 x"):
        documents = ["".join(generator.choices(alphabet, k=300)).encode() for _ in range(20)]
        n_entries = 257 + len(of_reference(documents, 5_000)) // 2
        tasks.append((documents, n_entries))
    assert fast.learn(tasks, 60) == [of_reference(*task) for task in tasks]


@needs_gigatoken
@pytest.mark.parametrize(("texts", "size"), [(["one two three", "aaaaaaaa"], 5000), (["ab ac"], 260), (["x y z"], 259)])
def test_where_no_pairs_are_left_the_reference_decides(always_worth_it, texts: list[str], size: int) -> None:
    documents = [text.encode() for text in texts]
    merges, made_by = learn.learn(documents, size)
    assert "no pairs left" in made_by
    assert merges == of_reference(documents, size)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda tasks, limit: [[(b"a", b"b")], [(b"x", b"y")]], "other merges"),
        (lambda tasks, limit: (_ for _ in ()).throw(fast.FastFailedError("it broke")), "it broke"),
    ],
)
def test_an_accelerator_that_disagrees_or_fails_is_not_used_and_that_is_recorded(
    always_worth_it, texts, monkeypatch, fault, said
) -> None:
    monkeypatch.setattr(fast, "learn", fault)
    merges, made_by = learn.learn([text.encode() for text in texts], 500)
    assert merges == of_reference([text.encode() for text in texts], 500)
    assert made_by.startswith(reference.NAME) and said in made_by


def test_without_the_accelerator_the_reference_learns(always_worth_it, texts, monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    tokenizer = train_bpe(texts, 400)
    assert "gigatoken is not installed" in tokenizer.made_by
    assert tokenizer.vocab_size == 400
    tokenizer.encode_batch(texts)
    assert "gigatoken is not installed" in tokenizer.engine


@needs_gigatoken
@pytest.mark.parametrize(
    "child", ["raise SystemExit(3)", "print('no JSON')", "import os; os.abort()", "while True: pass"]
)
def test_a_child_that_dies_talks_nonsense_or_hangs_is_a_failure_of_the_accelerator(monkeypatch, child) -> None:
    monkeypatch.setattr(fast, "CHILD", child)
    with pytest.raises(fast.FastFailedError, match="training failed with"):
        fast.learn([([b"some text"], 260)], 0.5)


def test_the_probe_ends_between_characters() -> None:
    head = learn._head(["猫".encode() * 5, b"abc"], 7)
    assert head == ["猫猫".encode(), b"a"]
    assert learn._head([b"ab", b"cd", b"ef"], 3) == [b"ab", b"c"]
