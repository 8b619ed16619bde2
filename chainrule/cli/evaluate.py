"""`chainrule evaluate`: how surprised a model is by held-out text, over all and by source."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from chainrule.base import ConfigError
from chainrule.cli.generate import opened
from chainrule.cli.options import AsJson, Device, model_source
from chainrule.cli.output import print_json, print_table, say
from chainrule.config import TextConfig

if TYPE_CHECKING:
    from chainrule.checkpoint import OpenedModel
    from chainrule.data import TokenStore
    from chainrule.evaluate import Scores


def evaluate(
    source: str,
    /,
    *texts: str,
    max_tokens: int | None = None,
    stride: int | None = None,
    micro_batch: int = 8,
    precision: Literal["float32", "bfloat16"] = "float32",
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Measure loss, perplexity and bits per byte, of everything and by source.

    Without texts it is the run's own held-out text; with texts all of them, whole, in the model's own tokens.

    For example:

    - `chainrule evaluate runs/NAME`
    - `chainrule evaluate runs/NAME other_texts/ --stride 128`
    - `chainrule evaluate gpt2 my_texts/ --json`

    Parameters
    ----------
    source
        A run folder, a checkpoint, a Hugging Face folder, or a name on the Hugging Face hub.
    texts
        Folders, files or globs of text.
    max_tokens
        Take only so many, from windows spread evenly over the text.
    stride
        Tokens from one window to the next. Smaller gives each token more to look back on, and takes longer. Default:
        the context length.
    micro_batch
        Windows of one forward pass.
    precision
        Number format of matrix products.
    """
    for name, value in (("max_tokens", max_tokens), ("stride", stride), ("micro_batch", micro_batch)):
        if value is not None and value < 1:
            raise ConfigError(f"{name}={value} measures nothing; use at least 1")
    model = opened(source, device)
    limits = {"max_tokens": max_tokens, "stride": stride, "micro_batch": micro_batch}
    with stores(model, model_source(source), texts) as found:
        scores = total([_score(model, store, precision, limits) for store in found])
    if as_json:
        by_source = {name: part.figures() for name, part in scores.by_source.items()}
        print_json({"model": model.origin, **scores.figures(), "by_source": by_source})
        return
    say(model.origin)
    rows = [(name, *_figures(part)) for name, part in scores.by_source.items()] if len(scores.by_source) > 1 else []
    columns = ("source", "bits/byte", "loss", "perplexity", "tokens", "bytes")
    print_table("", columns, [*rows, ("everything", *_figures(scores))])


@contextmanager
def stores(model: "OpenedModel", source: str, texts: Sequence[str]) -> Iterator[list["TokenStore"]]:
    """The token stores to measure on: the run's held-out split, or `texts` prepared in a temporary folder."""
    from chainrule.data import open_dataset, survey, write_shards

    if not texts:
        yield [open_dataset(_data_of(Path(source))).split("validation")]
        return
    with tempfile.TemporaryDirectory(prefix="chainrule-") as name:
        folder = Path(name)
        found = survey(TextConfig(paths=tuple(texts)), folder)
        write_shards(found, model.tokenizer, folder, context_length=1)  # however short, it is measured
        dataset = open_dataset(folder)
        yield [dataset.split("train"), dataset.split("validation")]


def total(parts: Sequence["Scores"]) -> "Scores":
    """One score over several stores."""
    from chainrule.evaluate import Scores

    def added(several: Sequence["Scores"], by_source: dict[str, "Scores"]) -> "Scores":
        nats, tokens, size = (sum(getattr(one, key) for one in several) for key in ("nats", "n_tokens", "n_bytes"))
        return Scores(nats, int(tokens), int(size), by_source)

    names = dict.fromkeys(name for part in parts for name in part.by_source)
    by_source = {name: added([p.by_source[name] for p in parts if name in p.by_source], {}) for name in names}
    return added(parts, by_source)


def _data_of(source: Path) -> Path:
    """The token shards beside a model: of the run, or of the run that a checkpoint lies in."""
    for folder in (source, source.parent.parent):
        if (folder / "data" / "manifest.json").is_file():
            return folder / "data"
    raise ConfigError(
        f"{source} has no held-out text of its own; name the text: `chainrule evaluate {source} my_texts/`"
    )


def _score(model: "OpenedModel", store: "TokenStore", precision: str, limits: dict[str, Any]) -> "Scores":
    import torch

    from chainrule.evaluate import score

    autocast = torch.bfloat16 if precision == "bfloat16" else None
    return score(model.model, store, model.tokenizer.byte_lengths, autocast=autocast, **limits)


def _figures(scores: "Scores") -> tuple[str, ...]:
    figures = f"{scores.bits_per_byte:.4f}", f"{scores.loss:.4f}", f"{scores.perplexity:.2f}"
    return *figures, f"{scores.n_tokens:,}", f"{scores.n_bytes:,}"
