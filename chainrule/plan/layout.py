"""How a run lies over ranks: which dimension has how many, and what must divide."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from chainrule.base import ConfigError
from chainrule.config import Config, ModelConfig

DIMENSIONS = ("dp", "fsdp", "tp", "pp")
# Copies of groups that share weights, in one word: hsdp=2x4 is dp=2,fsdp=4.
HYBRID = re.compile(r"hsdp\s*=\s*([1-9][0-9]{0,6})\s*[x×]\s*([1-9][0-9]{0,6})")
Recompute = Literal["none", "attention", "all"]


@dataclass(frozen=True)
class Layout:
    """Ranks by dimension: `dp` copies, `fsdp` that share weights, `tp` that share matrices, `pp` stages.

    Each stage has its blocks in `chunks` pieces (interleaved 1F1B). `recompute`: what is computed anew in the backward
    pass. Where `tp` is more than one the norms are shared out along the text (sequence parallel), unless it is off.
    """

    dp: int = 1
    fsdp: int = 1
    tp: int = 1
    pp: int = 1
    micro_batch: int = 1
    chunks: int = 1
    recompute: Recompute = "none"
    sequence_parallel: bool = True

    @property
    def ranks(self) -> int:
        """All of them."""
        return self.dp * self.fsdp * self.tp * self.pp

    @property
    def readers(self) -> int:
        """Ranks that read different text."""
        return self.dp * self.fsdp

    def micro_batches(self, batch_windows: int) -> int:
        """Forward passes of each reader in one update."""
        return max(1, batch_windows // (self.readers * self.micro_batch))

    def text(self) -> str:
        """As --parallel takes it: fsdp=8,tp=2."""
        parts = {"dp": self.dp, "fsdp": self.fsdp, "tp": self.tp, "pp": self.pp}
        return ",".join(f"{name}={n}" for name, n in parts.items() if n > 1) or "dp=1"


def parse_layout(text: str) -> Layout:
    """`fsdp=8,tp=2,pp=2`; `hsdp=2x4` is `dp=2,fsdp=4`.

    Raises ConfigError for a dimension that is not known, given twice, or no whole number.
    """
    found: dict[str, int] = {}
    text = HYBRID.sub(r"dp=\1,fsdp=\2", text)
    for part in text.split(","):
        name, _, number = (word.strip() for word in part.partition("="))
        if name not in DIMENSIONS or name in found or not re.fullmatch(r"[1-9][0-9]{0,6}", number):
            raise ConfigError(
                f"{text!r} is no layout: {part!r} should be one of {', '.join(DIMENSIONS)} with a number, each once, "
                "as in fsdp=8,tp=2,pp=2"
            )
        found[name] = int(number)
    dp, fsdp, tp, pp = (found.get(name, 1) for name in DIMENSIONS)
    return Layout(dp, fsdp, tp, pp)


def layout_of(text: str, ranks: int) -> Layout:
    """The layout that the words say for so many processes; no words: weights are shared by all of them.

    Raises ConfigError where they come to another number, with the words or the command that would do.
    """
    layout = parse_layout(text) if text.strip() else Layout(fsdp=ranks)
    if layout.pp > 1 and layout.tp > 1:
        raise ConfigError(
            f"machine.parallel={text}: stages (pp) with matrices that are shared (tp) are planned and simulated here, "
            "and not trained; use one of the two, with dp and fsdp"
        )
    if layout.ranks == ranks:
        return layout
    if ranks == 1:
        raise ConfigError(
            f"machine.parallel={text} lies on {layout.ranks} processes, and this one is alone; start it with --launch "
            f"local:{layout.ranks} or torchrun --nproc-per-node {layout.ranks} -m chainrule …, or alone, with "
            "--machine.parallel dp=1"
        )
    raise ConfigError(
        f"machine.parallel={text} lies on {layout.ranks} processes, and {ranks} were started; the numbers must "
        f"multiply to {ranks}, as in fsdp={ranks}"
    )


def check_trained(config: Config, layout: Layout) -> None:
    """Raises ConfigError with all of a model and a batch that does not divide by the layout, and what would."""
    wrong = list(misfits(config.model, layout, config.batch_windows))
    lengths = {"context_length": config.model.context_length, "schedule.first_window": config.schedule.first_window}
    wrong += [
        f"{name}={n} is not divided by tp={layout.tp}; use {n + -n % layout.tp}"
        for name, n in lengths.items()
        if n % layout.tp
    ]
    if (share := config.batch_windows // layout.readers) < layout.pp:
        wrong.append(
            f"a batch of {config.batch_windows} windows gives each reader {share}, and each of {layout.pp} stages "
            f"needs one; use {layout.readers * layout.pp} or more"
        )
    if wrong:
        raise ConfigError(f"machine.parallel={layout.text()}: {'; '.join(wrong)}")


def misfits(model: ModelConfig, layout: Layout, batch_windows: int) -> Iterator[str]:
    """What does not divide, and what would."""
    if model.n_kv_heads % layout.tp:
        yield f"n_kv_heads={model.n_kv_heads} is not divided by tp={layout.tp}; use {_fitting(model.n_kv_heads)}"
    if model.hidden_dim % layout.tp:
        yield f"hidden_dim={model.hidden_dim} is not divided by tp={layout.tp}; use {_fitting(model.hidden_dim)}"
    stages = layout.pp * layout.chunks
    if model.n_layers % stages:
        yield f"n_layers={model.n_layers} is not divided into {stages} stages; use {_fitting(model.n_layers)}"
    together = layout.readers * layout.micro_batch
    if batch_windows % together:
        yield (
            f"a batch of {batch_windows} windows is not divided by dp x fsdp x micro_batch = {together}; "
            f"use {together * max(1, round(batch_windows / together))}"
        )


def check_layout(model: ModelConfig, layout: Layout, batch_windows: int) -> None:
    """Raises ConfigError with all that does not divide."""
    if wrong := list(misfits(model, layout, batch_windows)):
        raise ConfigError("; ".join(wrong))


def _fitting(n: int) -> str:
    return "one of " + ", ".join(str(k) for k in range(1, n + 1) if n % k == 0 and k <= 64)
