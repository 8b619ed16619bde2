"""GPT-2's vocabulary; against the published files where they lie beside the repository, in ../shared/data/gpt2."""

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import regex

from chainrule.base import TokenizerError
from chainrule.config import VocabularyConfig
from chainrule.tokenizer import Tokenizer, build_tokenizer, gpt2, load_tokenizer
from chainrule.tokenizer.alphabet import written
from chainrule.tokenizer.build import check_vocab_size
from chainrule.tokenizer.gpt2 import gpt2_tokenizer

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "gpt2"
needs_published = pytest.mark.skipif(
    not (PUBLISHED / "vocab.bpe").is_file(), reason="the published files are not in ../shared/data/gpt2"
)
NOWHERE = "http://127.0.0.1:9"
TINY = {"encoder.json": b'{"tiny": true}', "vocab.bpe": "#version: 0.2\nt h\nĠ th\n".encode()}
WORDS = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without caches, for which two tiny files are the published ones."""
    for name in ("TIKTOKEN_CACHE_DIR", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(gpt2, "HASHES", {name: hashlib.sha256(content).hexdigest() for name, content in TINY.items()})
    return tmp_path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a web server that serves tmp_path/web and counts what it is asked."""
    (tmp_path / "web").mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(tmp_path / "web"))

        def log_message(self, *args: object) -> None:
            with (tmp_path / "asked").open("a") as stream:
                stream.write(self.path + "\n")

    with http.server.HTTPServer(("127.0.0.1", 0), Quiet) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def put(folder: Path, names: dict[str, str] | None = None, **changes: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in TINY.items():
        (folder / (names or {}).get(name, name)).write_bytes(changes.get(name.split(".")[0], content))
    return folder


def assert_tiny(tokenizer: Tokenizer) -> None:
    assert (tokenizer.kind, tokenizer.vocab_size, tokenizer.end_of_text) == ("gpt2", 259, 258)
    assert tokenizer.token_bytes[256:] == (b"th", b" th", b"")


@pytest.mark.parametrize("names", [None, gpt2.HUGGING_FACE_NAMES])
def test_a_folder_holds_the_files_under_either_name(bare_machine: Path, names: dict[str, str] | None) -> None:
    assert_tiny(gpt2_tokenizer(put(bare_machine / "mine", names)))


def test_a_folder_without_the_files_is_told_what_to_hold(bare_machine: Path) -> None:
    with pytest.raises(
        TokenizerError, match=rf"{bare_machine} does not hold .* encoder.json and vocab.bpe .*merges.txt"
    ):
        gpt2_tokenizer(bare_machine)


@pytest.mark.parametrize("damaged", ["encoder", "vocab"])
def test_a_folder_with_other_files_is_refused_with_both_hashes(bare_machine: Path, damaged: str) -> None:
    folder = put(bare_machine / "mine", **{damaged: b"something else"})
    given = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(TokenizerError, match=rf"{damaged}\.\w+ is not GPT-2's published {damaged}.* is {given}, not "):
        gpt2_tokenizer(folder)


def test_a_file_that_is_longer_than_the_published_is_not_read_to_its_end(bare_machine: Path) -> None:
    folder = put(bare_machine / "mine")
    with (folder / "encoder.json").open("r+b") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(TokenizerError, match=r"encoder\.json is longer than .* and so not GPT-2's encoder\.json"):
        gpt2_tokenizer(folder)


def test_the_cache_of_tiktoken_is_looked_into(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The names are tiktoken's: the SHA-1 of the address that it fetches from.
    names = {
        "encoder.json": "6c7ea1a7e38e3a7f062df639a5b80947f075ffe6",
        "vocab.bpe": "6d1cbeee0f20b3d9449abfede4726ed8212e3aee",
    }
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(put(bare_machine / "tiktoken", names)))
    assert_tiny(gpt2_tokenizer(source=NOWHERE))


@pytest.mark.parametrize("variable", ["HF_HOME", "HF_HUB_CACHE", None])
def test_the_cache_of_hugging_face_is_looked_into(
    bare_machine: Path, variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = bare_machine / "cache" / "huggingface" if variable is None else bare_machine / "elsewhere"
    if variable:
        monkeypatch.setenv(variable, str(home))
    hub = home if variable == "HF_HUB_CACHE" else home / "hub"
    put(hub / "models--distilgpt2" / "snapshots" / "1", gpt2.HUGGING_FACE_NAMES, vocab=b"another model")
    put(hub / "models--openai-community--gpt2" / "snapshots" / "2", gpt2.HUGGING_FACE_NAMES)
    assert_tiny(gpt2_tokenizer(source=NOWHERE))


def test_what_the_network_gives_is_kept(bare_machine: Path, server: str) -> None:
    put(bare_machine / "web")
    assert_tiny(gpt2_tokenizer(source=server))
    assert (bare_machine / "asked").read_text().count("vocab.bpe") == 1
    assert_tiny(gpt2_tokenizer(source=NOWHERE))


def test_a_cache_that_cannot_be_written_does_not_matter(bare_machine: Path, server: str) -> None:
    put(bare_machine / "web")
    (bare_machine / "cache").write_text("not a folder")
    assert_tiny(gpt2_tokenizer(source=server))


def test_what_the_network_changed_is_refused_and_not_kept(bare_machine: Path, server: str) -> None:
    put(bare_machine / "web", vocab=b"changed on the way")
    with pytest.raises(TokenizerError, match=rf"{server}/vocab.bpe is not GPT-2's published vocab.bpe"):
        gpt2_tokenizer(source=server)
    assert not gpt2.own_cache().exists()


@pytest.mark.parametrize("source", [NOWHERE, "server"])
def test_without_a_network_it_is_said_which_files_go_where(bare_machine: Path, source: str, server: str) -> None:
    address = server if source == "server" else source  # the server has no such files: it answers with 404
    with pytest.raises(TokenizerError) as refusal:
        gpt2_tokenizer(source=address)
    for part in (address, f"{gpt2.SOURCE}/encoder.json", f"{gpt2.SOURCE}/vocab.bpe", str(gpt2.own_cache())):
        assert part in str(refusal.value)
    assert "vocabulary.path" in str(refusal.value)


class OpenAIsEncoder:
    """encoder.py of OpenAI's gpt-2 repository, retold: the definition of the published ids."""

    def __init__(self, folder: Path) -> None:
        self.ids: dict[str, int] = json.loads((folder / "encoder.json").read_text())
        lines = (folder / "vocab.bpe").read_text().split("\n")[1:-1]
        self.ranks = {tuple(line.split()): rank for rank, line in enumerate(lines)}

    def encode(self, text: str) -> list[int]:
        return [self.ids[part] for word in WORDS.findall(text) for part in self.parts(written(word.encode()))]

    @cache  # noqa: B019
    def parts(self, word: str) -> tuple[str, ...]:
        parts = tuple(word)
        while len(parts) > 1:
            best = min(pairwise(parts), key=lambda pair: self.ranks.get(pair, 10**9))
            if best not in self.ranks:
                break
            merged: list[str] = []
            for part in parts:
                if merged and (merged[-1], part) == best:
                    merged[-1] += part
                else:
                    merged.append(part)
            parts = tuple(merged)
        return parts


@pytest.fixture(scope="module")
def published() -> Tokenizer:
    return gpt2_tokenizer(PUBLISHED)


@needs_published
def test_the_published_files_have_the_published_hashes() -> None:
    for name, digest in gpt2.HASHES.items():
        assert hashlib.sha256((PUBLISHED / name).read_bytes()).hexdigest() == digest


@needs_published
def test_the_published_entries_have_their_published_ids(published: Tokenizer) -> None:
    assert (published.kind, published.vocab_size, published.end_of_text) == ("gpt2", 50257, 50256)
    ids = json.loads((PUBLISHED / "encoder.json").read_text())
    assert published._document["model"]["vocab"] == ids


@needs_published
def test_texts_have_the_ids_of_the_published_encoder(published: Tokenizer, texts: list[str]) -> None:
    encoder = OpenAIsEncoder(PUBLISHED)
    for text, ids in zip(texts, published.encode_batch(texts), strict=True):
        assert ids.tolist() == encoder.encode(text) == published.encode(text)
    assert published.encode("Hello, world!") == [15496, 11, 995, 0]


@needs_published
def test_the_published_vocabulary_is_known_again(published: Tokenizer, tmp_path: Path) -> None:
    published.save(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert (loaded.kind, loaded.fingerprint) == ("gpt2", published.fingerprint)


@needs_published
def test_transformers_reads_the_published_vocabulary_with_the_same_ids(
    published: Tokenizer, texts: list[str], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    published.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert len(theirs) == 50257
    assert theirs.convert_tokens_to_ids("<|endoftext|>") == 50256
    for text in texts:
        if "<|endoftext|>" not in text:
            assert theirs.encode(text, add_special_tokens=False) == published.encode(text)


@needs_published
def test_the_configuration_leads_to_the_published_vocabulary(published: Tokenizer) -> None:
    config = VocabularyConfig(kind="gpt2", path=str(PUBLISHED))
    assert build_tokenizer(config, 50257, list).fingerprint == published.fingerprint
    with pytest.raises(TokenizerError, match=r"50257 entries.*vocab_size is 4096"):
        check_vocab_size(published, 4096)
