"""What another model needs for a run's own held-out text: a known mark on the scale of bits per byte."""

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from chainrule.base import ConfigError
from chainrule.checkpoint import OpenedModel
from chainrule.data import Dataset, DocumentPart, run_dataset
from chainrule.evaluate.documents import score_documents
from chainrule.evaluate.held_out import run_beside
from chainrule.evaluate.measure import Measurement
from chainrule.evaluate.scoring import Scoring
from chainrule.evaluate.texts import encode_texts
from chainrule.run import Anchor, RunFolder, append_row, run_of, sealed_path
from chainrule.tokenizer import Tokenizer, load_tokenizer

# Enough for three digits; GPT-2 124M takes a minute or two for them on a few cores.
ANCHOR_TOKENS = 65_536


def measure_anchor(model: OpenedModel, source: str, run: RunFolder, **given: Any) -> Measurement:
    """`model` (opened from `source`) on the held-out text of `run`, byte for byte, in the model's own tokens.

    Each document is read alone, behind one end-of-text, by windows that overlap by half, as the run scores itself.
    `given` are settings of `Scoring`; None leaves what is usual, which is ANCHOR_TOKENS tokens, evenly spread. Appended
    to the run's anchors.jsonl, where the report finds it. Raises ConfigError for a run on its own text, DataError for
    one whose prepared text is gone.
    """
    own = run_of(Path(source))
    if own is not None and own.path.resolve() == run.path.resolve():
        raise ConfigError(f"--on {run.path} is the run itself; its own figure comes from `chainrule evaluate {source}`")
    dataset = run_dataset(run_beside(run.path))
    tokenizer = load_tokenizer(sealed_path(run, run.tokenizer))
    dataset.check_tokenizer(tokenizer.fingerprint, str(run.tokenizer))
    texts = encode_texts(held_out_documents(dataset, tokenizer, run.name), model.tokenizer)
    context = model.config.context_length
    usual = Scoring(max_tokens=ANCHOR_TOKENS, stride=max(1, context // 2))
    scoring = replace(usual, **{key: value for key, value in given.items() if value is not None})
    total = score_documents(model.model, texts, model.tokenizer.byte_lengths, scoring).total
    of_bytes = int(model.tokenizer.byte_lengths[texts.tokens].sum())
    anchor = Anchor(
        name=Path(source).name or source,
        bits_per_byte=total.bits_per_byte,
        time=time.strftime("%Y-%m-%dT%H:%M:%S"),
        parameters=sum(one.numel() for one in model.model.parameters()),
        n_bytes=total.n_bytes,
        of_bytes=of_bytes,
        how=f"windows of {context} moving by {scoring.stride}, each document alone, its end not counted",
    )
    append_row(run.anchors, anchor.row())
    said = (
        f"{total.n_bytes:,} of {of_bytes:,} held-out bytes of {run.path}: {anchor.how}",
        f"kept in {run.anchors}; `chainrule report {run.path}` draws it beside the run",
    )
    return Measurement(total, scoring.row(), said)


def held_out_documents(dataset: Dataset, tokenizer: Tokenizer, name: str) -> Iterator[DocumentPart]:
    """The held-out documents of a prepared text as the bytes that they were; `name` is their source."""
    store = dataset.split("validation")
    edges = [0, *store.document_ends().tolist()]
    for number, (start, end) in enumerate(pairwise(edges), 1):
        content = tokenizer.decode_bytes(store.read(start, end - start))  # its end-of-text has no bytes
        yield DocumentPart(name, name, number, content.decode("utf-8", "replace").encode(), last=True)
