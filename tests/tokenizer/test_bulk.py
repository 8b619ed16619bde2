import importlib.util
import signal

import numpy as np
import pytest

from chainrule.base import Interrupted
from chainrule.tokenizer import Tokenizer, train_bpe
from chainrule.tokenizer.fast import Fast, FastFailedError, _guarded
from chainrule.tokenizer.reference import NAME

needs_gigatoken = pytest.mark.skipif(
    importlib.util.find_spec("gigatoken") is None, reason="gigatoken (the extra `fast`) is not installed"
)


@pytest.fixture
def fresh(texts: list[str]) -> Tokenizer:
    return train_bpe(texts[1:2], 600)


@needs_gigatoken
@pytest.mark.parametrize("kind", ["bpe", "bytes", "chars"])
def test_the_accelerator_encodes_where_it_agrees(kind: str, every_kind: dict[str, Tokenizer], texts: list[str]) -> None:
    tokenizer = every_kind[kind]
    ids = tokenizer.encode_batch(texts)
    assert tokenizer.engine.startswith("gigatoken")
    assert [part.tolist() for part in ids] == [part.tolist() for part in tokenizer._reference.encode_batch(texts)]


@needs_gigatoken
def test_one_wrong_id_on_the_sample_and_the_accelerator_is_out(fresh: Tokenizer, texts, monkeypatch) -> None:
    right = Fast.encode
    monkeypatch.setattr(
        Fast, "encode", lambda self, text: right(self, text)[:-1] if "turtle" in text else right(self, text)
    )
    ids = fresh.encode_batch([texts[4]])
    assert fresh.engine == f"{NAME} (gigatoken gives other ids on a sample)"
    assert ids[0].tolist() == fresh.encode(texts[4])


@needs_gigatoken
def test_an_accelerator_that_breaks_on_the_way_is_replaced(fresh: Tokenizer, texts, monkeypatch) -> None:
    fresh.encode_batch(texts)
    assert fresh.engine.startswith("gigatoken")

    def broken(self: Fast, text: str) -> None:
        raise FastFailedError("it broke")

    monkeypatch.setattr(Fast, "encode", broken)
    assert np.array_equal(fresh.encode_batch(texts)[0], fresh.encode(texts[0]))
    assert fresh.engine == f"{NAME} (it broke)"


@needs_gigatoken
def test_a_panic_in_rust_is_a_failure_like_any_other(bpe: Tokenizer, monkeypatch) -> None:
    class PanicException(BaseException):
        """As pyo3 raises it."""

    class Panicking:
        def encode(self, text: str) -> None:
            raise PanicException("index out of bounds")

    engine = Fast(bpe._document)
    engine._engine = Panicking()
    with pytest.raises(FastFailedError, match="index out of bounds"):
        engine.encode("x")


def test_no_engine_is_chosen_before_it_is_needed(fresh: Tokenizer) -> None:
    assert fresh.encode("abc")
    assert fresh.engine == ""


def test_a_signal_that_comes_while_the_accelerator_computes_is_not_its_failure() -> None:
    def end(number: int, frame: object) -> None:
        raise Interrupted(number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        with pytest.raises(Interrupted):
            _guarded(lambda: signal.raise_signal(signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, before)
    with pytest.raises(FastFailedError, match="planted"):
        _guarded(planted)


def planted() -> None:
    raise ValueError("planted")
