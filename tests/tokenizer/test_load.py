import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from transformers import PreTrainedTokenizerFast

from chainrule.base import DiskError, TokenizerError
from chainrule.tokenizer import Tokenizer, load_tokenizer
from chainrule.tokenizer.document import canonical, document_of

# As Llama 3 and Qwen have them: another expression, words that are looked up whole, marks that are text, NFC.
LLAMA_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def foreign(bpe: Tokenizer, gpt2_words: bool = False) -> dict[str, Any]:
    document = json.loads(canonical(bpe._document))
    split = {"type": "Split", "pattern": {"Regex": LLAMA_WORDS}, "behavior": "Isolated", "invert": False}
    bytes_only = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    if not gpt2_words:
        document["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, bytes_only]}
    document["normalizer"] = {"type": "NFC"}
    document["model"]["ignore_merges"] = True
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    document["added_tokens"] += [
        {"id": 1000, "content": "<think>", "special": False, **plain},
        {"id": 1001, "content": "<|im_start|>", "special": True, **plain},
    ]
    return document


@pytest.fixture(params=["own words", "GPT-2's words"])
def foreign_file(bpe: Tokenizer, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(foreign(bpe, gpt2_words=request.param == "GPT-2's words"), indent=2))
    return path


def test_a_foreign_vocabulary_gives_the_ids_that_transformers_gives(foreign_file: Path, texts: list[str]) -> None:
    ours = load_tokenizer(foreign_file)
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(foreign_file))
    assert ours.kind == "file"
    for text in [*texts[:1], *texts[5:], "I think<think>\n\nit is 12345</think>. cafe\u0301 e \u0301"]:
        if "<|endoftext|>" not in text:
            ids = theirs.encode(text, add_special_tokens=False)
            assert ours.encode(text) == ours.encode_batch([text])[0].tolist() == ids
        assert ours.decode(ours.encode_batch([text])[0]) == unicodedata.normalize("NFC", text)


def test_marks_of_a_foreign_vocabulary_are_text_and_control_tokens_are_not(foreign_file: Path) -> None:
    ours = load_tokenizer(foreign_file)
    assert (ours.vocab_size, ours.end_of_text) == (1002, 999)
    assert ours.token_bytes[999:] == (b"", b"<think>", b"")
    assert 1001 not in ours.encode("<|im_start|>user")
    assert ours.encode("<think>") == [1000]


def test_a_foreign_vocabulary_is_saved_with_the_same_ids(foreign_file: Path, tmp_path: Path) -> None:
    ours = load_tokenizer(foreign_file)
    ours.save(tmp_path / "saved.json")
    again = load_tokenizer(tmp_path / "saved.json")
    assert again.fingerprint == ours.fingerprint
    engine = tokenizers.Tokenizer.from_file(str(tmp_path / "saved.json"))
    assert engine.encode("It's <think> 1234\r\n", add_special_tokens=False).ids == ours.encode("It's <think> 1234\r\n")


def test_a_vocabulary_of_ours_is_known_however_it_was_rewritten(bpe: Tokenizer, tmp_path: Path) -> None:
    bpe.save(tmp_path / "tokenizer.json")
    tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json")).save(str(tmp_path / "rewritten.json"), pretty=True)
    rewritten = load_tokenizer(tmp_path / "rewritten.json")
    assert (rewritten.kind, rewritten.fingerprint) == ("bpe", bpe.fingerprint)


@pytest.mark.parametrize("name", ["<|end_of_text|>", "</s>", "<｜end▁of▁sentence｜>"])
def test_the_end_of_text_is_known_by_its_published_names(bpe: Tokenizer, tmp_path: Path, name: str) -> None:
    content = canonical(bpe._document).decode().replace("<|endoftext|>", name)
    (tmp_path / "tokenizer.json").write_text(content)
    assert load_tokenizer(tmp_path).end_of_text == 999


def test_a_vocabulary_without_an_end_of_text_is_refused(tmp_path: Path) -> None:
    content = canonical(document_of([])).decode().replace("<|endoftext|>", "<|pad|>")
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(TokenizerError, match=r"tokenizer.json: .* no control token that ends a text"):
        load_tokenizer(tmp_path)


def test_ids_of_added_tokens_that_no_other_reader_would_use_are_refused(bpe: Tokenizer, tmp_path: Path) -> None:
    document = foreign(bpe)
    document["added_tokens"][1]["id"] = 1005  # `tokenizers` numbers added tokens itself, one after the other
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(TokenizerError, match=r"'<think>' has the id 1005 .* reads as 1000"):
        load_tokenizer(tmp_path)


def test_an_expression_that_the_engine_cannot_read_is_named_with_the_file(bpe: Tokenizer, tmp_path: Path) -> None:
    document = foreign(bpe)
    document["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {"Regex": "("}
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(TokenizerError, match=r"tokenizer.json: .*cannot be used by tokenizers"):
        load_tokenizer(tmp_path)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.json"):
        with pytest.raises(TokenizerError, match=r"is not a file; give a tokenizer\.json"):
            load_tokenizer(path)


def test_an_unreadable_file_is_named(bpe: Tokenizer, tmp_path: Path, monkeypatch) -> None:
    bpe.save(tmp_path)

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DiskError, match=r"reading .*tokenizer.json: permission was denied"):
        load_tokenizer(tmp_path)
