"""The automatic choice: model, batch and steps that fit a machine, a text and a time budget.

The constants at the top are the whole recipe; everything below is arithmetic on them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.base import ConfigError
from chainrule.config import Config, Layer, modern, resolve
from chainrule.plan.cost import Machine, tokens_per_second
from chainrule.plan.memory import memory_bytes


@dataclass(frozen=True)
class Rung:
    """A size of model, and how many tokens a run must be able to learn from before this size pays."""

    emb_dim: int
    n_heads: int
    n_layers: int
    context_length: int
    vocab_size: int
    wanted_tokens: float


# Compute-optimal is about 20 tokens a parameter for runs of days (Hoffmann et al., arXiv 2203.15556). In minutes the
# text is short and the steps are few: on the standard library 2.2M parameters with 2.3M tokens, one each, gave 1.25
# bits per byte. So the wanted tokens a parameter rise along the ladder, from a half to 20. Between three and four
# layers quickstarts decided: where four would see 1.8M tokens three won by 0.05, where they see 3.1M four won by 0.006.
LADDER = (
    Rung(128, 4, 4, 256, 2048, 0),
    Rung(192, 3, 3, 256, 2048, 1e6),
    Rung(192, 3, 4, 256, 2048, 2.6e6),
    Rung(256, 4, 6, 256, 4096, 4e6),
    Rung(384, 6, 8, 512, 8192, 30e6),
    Rung(512, 8, 10, 512, 16384, 150e6),
    Rung(768, 12, 12, 1024, 32768, 1e9),
    Rung(1024, 16, 24, 1024, 32768, 6e9),
    Rung(1536, 24, 32, 2048, 32768, 20e9),
)
# Batch that wastes no tokens: 0.581 D^0.571 for a run of D tokens (Step Law, arXiv 2503.04715). On a CPU 2,048
# tokens keep the cores busy; half of that learns 0.02 bits a byte more from as many tokens (1.4M) and sees a seventh
# fewer of them in the same time, which costs 0.05 (docs/LOG.md). A GPU wants 32,768.
BATCH_FACTOR, BATCH_POWER = 0.581, 0.571
LEAST_BATCH = {"cpu": 2048, "mps": 8192, "cuda": 32768}
# Windows begin as a quarter of the context and double twice (docs/LOG.md; SkyLadder, arXiv 2503.15450, finds the same
# for models of up to 3B). A start with a head of the token before was tried for widths of up to 192.
FIRST_WINDOWS = 4
PREVIOUS_TOKEN_UP_TO = 256
# Steps that Muon's momentum remembers, 1 / (1 - momentum): a fortieth of the run, within these bounds (docs/LOG.md).
# With 200 steps 0.8 learnt 0.043 nats a character more than 0.95, which still remembers the beginning in the decay.
REMEMBERED_SHARE, LEAST_MOMENTUM, MOST_MOMENTUM = 1 / 40, 0.8, 0.95
LEAST_STEPS = 200  # below that the warm-up and the decay have no room
# Repeating a text up to 4 times is nearly as good as new text, and worth little beyond 16 (arXiv 2305.16264).
MOST_EPOCHS = 16
DROPOUT_FROM_EPOCHS, DROPOUT = 4, 0.1
# A vocabulary entry needs to be seen: at most one entry for this many bytes of text.
BYTES_PER_ENTRY = 2000
LEAST_VOCABULARY = 512
# Of the budget, what is not training: start-up and tokenizer; reading and encoding the text; looks at the held-out
# text, samples, the final evaluation and the report.
START_SECONDS = 15.0
# For each core; 10 GB of .jsonl took 220 s on two, 23 MB a second each; small and compressed files take longer.
PREPARED_BYTES_PER_SECOND = 15e6
LOOKING_SHARE = 0.12
# Intervals, as shares of the run; a save at least every ten minutes.
N_EVALS, N_SAMPLES, N_SAVES = 20, 12, 4
SAVE_SECONDS = 600.0
# Of the run's computation; a look costs a third of learning from the same tokens. In a quickstart of five minutes a
# planned 5 % were 6.6 % of the seconds, beside 1.6 % for samples, pages, windows and saves.
EVAL_SHARE = 0.02
MEMORY_SHARE = 0.7  # of the machine's memory, with a micro-batch of 8 windows
DEFAULT_MINUTES = 15.0


def choose(
    machine: Machine, *, minutes: float | None = None, text_bytes: int | None = None, layers: Sequence[Layer] = ()
) -> Layer:
    """Settings that make the best of `minutes` (15 when None) on this machine, for `with_automatic`.

    `layers` are all that the user gave. A preset, or all of emb_dim, n_layers and n_heads, fixes the shape: then only
    batch, steps and intervals are chosen. Raises ConfigError for a budget that is no time, or that another layer's
    training.steps contradicts.
    """
    _check_budget(minutes, layers)
    minutes = DEFAULT_MINUTES if minutes is None else minutes
    seconds = training_budget(machine, minutes, text_bytes)
    shape = {} if _shape_is_given(layers) else _shape(machine, seconds, text_bytes, layers)
    config = resolve(with_automatic(layers, Layer("automatic", shape))).config
    tokens = tokens_per_second(config.model, machine) * seconds
    unique = math.inf if text_bytes is None else max(text_bytes, 1) / bytes_per_token(config)
    values = {section: dict(settings) for section, settings in shape.items()}
    if shape and tokens / unique > DROPOUT_FROM_EPOCHS:
        values["model"]["drop_rate"] = DROPOUT
    if shape:
        values["schedule"] |= _growth(config)
        values["training"] = _first_weights(config)
    values["training"] = values.get("training", {}) | _portions(
        config, machine, min(tokens, MOST_EPOCHS * unique), config.training.steps if _steps_are_given(layers) else None
    )
    if config.optimizer.kind == "muon":
        momentum = momentum_for(values["training"]["steps"])
        values["optimizer"] = values.get("optimizer", {}) | {"momentum": momentum}
    return Layer(f"automatic: {minutes:g} minutes on {machine.device}", values)


def with_automatic(layers: Sequence[Layer], automatic: Layer) -> list[Layer]:
    """`layers` with the automatic choice after the presets and before file and flags."""
    presets = [layer for layer in layers if _is_preset(layer)]
    return [*presets, automatic, *(layer for layer in layers if not _is_preset(layer))]


def training_budget(machine: Machine, minutes: float, text_bytes: int | None) -> float:
    """Seconds that are left for training steps, after start-up, preparation and looking; at least a quarter."""
    preparing = (text_bytes or 0) / (PREPARED_BYTES_PER_SECOND * machine.cores)
    return max((minutes * 60 - START_SECONDS - preparing) * (1 - LOOKING_SHARE), minutes * 15)


def momentum_for(steps: int) -> float:
    """Muon's momentum in a run of so many steps: 0.8 up to 200 of them, 0.95 from 800 on."""
    return round(min(MOST_MOMENTUM, max(LEAST_MOMENTUM, 1 - 1 / (REMEMBERED_SHARE * steps))), 4)


def bytes_per_token(config: Config) -> float:
    """What a token of text will stand for, before a tokenizer exists: 0.3 bytes for each bit of a byte-pair entry."""
    one = config.vocabulary.kind in ("bytes", "chars")
    return 1.0 if one else max(1.0, 0.3 * math.log2(config.model.vocab_size))


def _check_budget(minutes: float | None, layers: Sequence[Layer]) -> None:
    if minutes is None:
        return
    if not (0 < minutes < math.inf):
        raise ConfigError(f"minutes={minutes:g} is no time to train in; give a positive number such as 5")
    if _steps_are_given(layers):
        raise ConfigError(f"training.steps is given, and minutes={minutes:g} would choose it; give one of the two")


def _steps_are_given(layers: Sequence[Layer]) -> bool:
    return any("steps" in layer.values.get("training", {}) for layer in layers)


def _is_preset(layer: Layer) -> bool:
    return layer.source.startswith("preset ")


def _shape_is_given(layers: Sequence[Layer]) -> bool:
    given = {key for layer in layers for key in layer.values.get("model", {})}
    return any(map(_is_preset, layers)) or given >= {"emb_dim", "n_layers", "n_heads"}


def _shape(
    machine: Machine, seconds: float, text_bytes: int | None, layers: Sequence[Layer]
) -> dict[str, dict[str, Any]]:
    """The highest rung whose wanted tokens fit in the time and whose training fits in memory."""
    fitting = [LADDER[0]]
    for rung in LADDER[1:]:
        config = resolve([Layer("ladder", _rung_values(rung, text_bytes))]).config
        tokens = tokens_per_second(config.model, machine) * seconds
        memory = memory_bytes(config, micro_batch=8, device=machine.device).total
        if tokens >= rung.wanted_tokens and memory <= MEMORY_SHARE * machine.memory_bytes:
            fitting.append(rung)
    values = _rung_values(fitting[-1], text_bytes)
    given = {key: value for layer in layers for key, value in layer.values.get("model", {}).items()}
    width = given.get("emb_dim")
    if isinstance(width, int) and width % values["model"]["n_heads"]:  # what is no number is refused by the schema
        values["model"]["n_heads"] = math.gcd(width, max(width // 64, 1))
    kind = next((v["kind"] for layer in layers if "kind" in (v := layer.values.get("vocabulary", {}))), "bpe")
    if kind != "bpe":
        del values["model"]["vocab_size"]
    return values


def _rung_values(rung: Rung, text_bytes: int | None) -> dict[str, dict[str, Any]]:
    most = rung.vocab_size if text_bytes is None else max(LEAST_VOCABULARY, text_bytes / BYTES_PER_ENTRY)
    vocab_size = min(rung.vocab_size, 2 ** int(math.log2(most)))
    shape = modern(rung.emb_dim, rung.n_heads, rung.n_layers, rung.context_length, vocab_size)
    return {section: dict(settings) for section, settings in shape.items()}


def _growth(config: Config) -> dict[str, Any]:
    """Where windows begin, when the context halves twice into whole numbers."""
    whole = config.model.context_length
    return {} if whole % FIRST_WINDOWS else {"first_window": whole // FIRST_WINDOWS}


def _first_weights(config: Config) -> dict[str, Any]:
    """The start with a head of the token before, for shapes that can have one and widths near those that were tried."""
    fits = config.model.no_previous_token is None and config.model.emb_dim <= PREVIOUS_TOKEN_UP_TO
    return {"first_weights": "previous-token"} if fits else {}


def _portions(config: Config, machine: Machine, tokens: float, given_steps: int | None) -> dict[str, Any]:
    """Batch, steps and intervals of a run of about `tokens` tokens, or of the steps that were given."""
    window = config.model.context_length
    least = LEAST_BATCH[machine.device.partition(":")[0]]
    wanted = max(least, BATCH_FACTOR * tokens**BATCH_POWER)
    batch_tokens = window * max(1, round(min(wanted, tokens / LEAST_STEPS) / window))
    steps = given_steps or max(1, round(tokens / batch_tokens))
    step_seconds = batch_tokens / tokens_per_second(config.model, machine)
    evaluated = 3 * EVAL_SHARE * steps * batch_tokens / N_EVALS
    return {
        "batch_tokens": batch_tokens,
        "steps": steps,
        "eval_every": _interval(steps, N_EVALS),
        "eval_tokens": window * max(8, round(evaluated / window)),
        "sample_every": _interval(steps, N_SAMPLES),
        "save_every": max(1, min(_interval(steps, N_SAVES), round(SAVE_SECONDS / step_seconds))),
    }


def _interval(steps: int, times: int) -> int:
    return max(1, math.ceil(steps / times))
