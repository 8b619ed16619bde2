"""A tokenizer.json from the disk: one of ours, or a foreign one."""

from pathlib import Path

from chainrule.base import TokenizerError, bytes_text, disk_faults
from chainrule.tokenizer.check import parsed
from chainrule.tokenizer.document import recognised
from chainrule.tokenizer.reference import check_added_tokens
from chainrule.tokenizer.tokenizer import Tokenizer

# One of 31.8 MiB that is no tokenizer is refused after 0.6 s and with 170 MiB; one of 71 MB took 1 GB and 7.5 s. The
# largest of byte-level BPE that are published have some 200,000 entries.
MOST_BYTES = 32 << 20


def load_tokenizer(path: Path, n_rows: int | None = None) -> Tokenizer:
    """The tokenizer of a tokenizer.json, or of the folder that holds one.

    A foreign file may be any byte-level BPE (GPT-2, Llama 3, Qwen, …) and keeps its words and ids. Where it normalises
    text to NFC, so do we, and text comes back normalised; characters that it has no bytes for (SmolLM2: six controls
    and planes that are not assigned) come back as U+FFFD. A limit on the length and padding that it asks for are left
    out. Raises TokenizerError, naming the file and its fault, for everything else, and where it has more than twice as
    many entries as its model has rows (`n_rows`).
    """
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        raise TokenizerError(f"{file} is not a file; give a tokenizer.json or the folder that holds one")
    with disk_faults(file, "reading"):
        size = file.stat().st_size
        content = file.read_bytes() if size <= MOST_BYTES else b""
    try:
        if size > MOST_BYTES:
            raise TokenizerError(f"is longer than {bytes_text(MOST_BYTES)}, as no byte-level BPE of words is")
        kind, document = recognised(parsed(content, n_rows))
        if kind == "file":
            check_added_tokens(document)
        return Tokenizer(document, kind=kind)
    except TokenizerError as fault:
        raise TokenizerError(f"{file}: {fault}") from None
