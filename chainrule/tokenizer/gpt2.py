"""GPT-2's published vocabulary: found on this machine or fetched once, and never used unless its hashes are right."""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from chainrule.base import DiskError, TokenizerError, bytes_text, disk_faults, write_bytes
from chainrule.tokenizer.alphabet import unwritten
from chainrule.tokenizer.document import document_of
from chainrule.tokenizer.tokenizer import Tokenizer

SOURCE = "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main"
HASHES = {
    "encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    "vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
}
HUGGING_FACE_NAMES = {"encoder.json": "vocab.json", "vocab.bpe": "merges.txt"}
LARGEST_BYTES = 4_000_000
PATIENCE_SECONDS = 20

Paths = Mapping[str, Path]
Contents = Mapping[str, bytes]


def gpt2_tokenizer(folder: Path | None = None, *, source: str = SOURCE) -> Tokenizer:
    """GPT-2's 50,257 entries, from `folder`, or else from the first place that has them.

    The places: $TIKTOKEN_CACHE_DIR, our own cache, the Hugging Face cache, then the network address `source`; what
    comes from there goes into our own cache. A folder holds encoder.json and vocab.bpe, or the same two as vocab.json
    and merges.txt. Raises TokenizerError, saying which files to put where, when the published ones are not found.
    """
    contents = _local(folder) if folder is not None else _found() or _fetched(source)
    # The ids of encoder.json follow from the merges; its hash vouches for that, and a test compares them.
    merges = [line.split() for line in contents["vocab.bpe"].decode().splitlines()[1:]]
    return Tokenizer(document_of([(unwritten(left), unwritten(right)) for left, right in merges]), kind="gpt2")


def own_cache() -> Path:
    """Where a fetched vocabulary is kept: ~/.cache/chainrule/gpt2, or under $XDG_CACHE_HOME."""
    return _cache_home() / "chainrule" / "gpt2"


def _local(folder: Path) -> Contents:
    paths = _in_folder(folder)
    if paths is None:
        raise TokenizerError(
            f"{folder} does not hold GPT-2's vocabulary; put encoder.json and vocab.bpe there "
            "(or vocab.json and merges.txt, as Hugging Face names the same files)"
        )
    return _checked(paths)


def _found() -> Contents | None:
    for paths in _places():
        with suppress(TokenizerError, DiskError):  # a cache may hold another model's files; the next place may be right
            return _checked(paths)
    return None


def _places() -> Iterator[Paths]:
    if cache := os.environ.get("TIKTOKEN_CACHE_DIR"):
        # tiktoken names a file by the hash of its address.
        yield {name: Path(cache) / hashlib.sha1(f"{SOURCE}/{name}".encode()).hexdigest() for name in HASHES}  # noqa: S324
    home = Path(os.environ.get("HF_HOME") or _cache_home() / "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    for folder in (own_cache(), *sorted(hub.glob("models--*gpt2*/snapshots/*"))):
        if paths := _in_folder(folder):
            yield paths


def _in_folder(folder: Path) -> Paths | None:
    for names in ({name: name for name in HASHES}, HUGGING_FACE_NAMES):
        paths = {name: folder / other for name, other in names.items()}
        if all(path.is_file() for path in paths.values()):
            return paths
    return None


def _checked(paths: Paths) -> Contents:
    contents = {}
    for name, path in paths.items():
        if not path.is_file():
            raise TokenizerError(f"{path} is missing")
        with disk_faults(path, "reading"), path.open("rb") as stream:
            content = stream.read(LARGEST_BYTES + 1)
        if len(content) > LARGEST_BYTES:
            raise TokenizerError(f"{path} is longer than {bytes_text(LARGEST_BYTES)}, and so not GPT-2's {name}")
        contents[name] = _verified(name, content, str(path))
    return contents


def _verified(name: str, content: bytes, origin: str) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    if digest != HASHES[name]:
        raise TokenizerError(
            f"{origin} is not GPT-2's published {name}: its SHA-256 is {digest}, not {HASHES[name]}; "
            f"replace it with {SOURCE}/{name}"
        )
    return content


def _fetched(source: str) -> Contents:
    try:
        contents = {name: _verified(name, _download(f"{source}/{name}"), f"{source}/{name}") for name in HASHES}
    except (OSError, http.client.HTTPException) as fault:
        raise TokenizerError(
            f"GPT-2's vocabulary is not on this machine, and {source} does not answer ({fault}). Fetch "
            f"{' and '.join(f'{SOURCE}/{name}' for name in HASHES)} elsewhere and put both files into {own_cache()}, "
            "or into any folder that vocabulary.path names"
        ) from None
    with suppress(OSError, DiskError):  # a cache that cannot be written costs the next fetch, not this one
        own_cache().mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            write_bytes(own_cache() / name, content)
    return contents


def _download(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310
            content: bytes = answer.read(LARGEST_BYTES)
    except urllib.error.HTTPError as refusal:
        refusal.close()  # it holds the connection open
        raise
    return content


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
