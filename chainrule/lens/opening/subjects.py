"""What the lens is pointed at: a demo, a run, a folder, a preset, or the user's own code."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chainrule.base import LensError, bytes_text, count_text, nearest
from chainrule.checkpoint import OpenedModel, is_word_of_a_model, open_model
from chainrule.config import PRESETS, ModelConfig, load_toml, preset, resolve
from chainrule.data import Batches, Windows, run_dataset
from chainrule.lens.classics import network, neuron
from chainrule.lens.opening.size import check_preset
from chainrule.lens.opening.user_code import Say, of_user, quiet, running
from chainrule.lens.tape import Level, Subject, Tape, in_float64
from chainrule.model import GPT, Batch
from chainrule.plan import parameters
from chainrule.run import RUNS, list_runs, model_source, run_of, sealed_path

DEMOS = ("neuron", "network", "gpt")
TOKENS = 128
LARGEST_SEED = 2**53
# Of a model of more than LARGE weights: proving SmolLM2 (135 million) takes a minute at 8 tokens, nine at 128.
LARGE, FEWER_TOKENS = 50_000_000, 16
TEXT = "The chain rule: a small change of the weight changes the sum, the sum changes the loss. "
TINY = {"vocab_size": 128, "context_length": 64, "emb_dim": 32, "n_heads": 4, "n_layers": 2, "drop_rate": 0.0}


def open_subject(
    what: str,
    *,
    seed: int = 0,
    batch: int = 2,
    tokens: int | None = None,
    double: bool = False,
    say: Say = quiet,
) -> Subject:
    """The model and the batch that `what` stands for, ready to record; in float64 with `double`.

    `what` is a demo (neuron, network, gpt), a run folder, a checkpoint, a Hugging Face folder or name, a GGUF file,
    smollm2, a preset, or a function of the user's, `my_module.py:make_model` or `package.module:make_model`. A GPT gets
    `batch` windows of `tokens` tokens (by default the whole context, 128 at most, 16 of a large model): of the run's
    own text, or random ones by `seed` where it has none. A name may be that of a run in runs/; `say` is told what takes
    time. Raises LensError when `what` is none of these, and CheckpointError or RunError for a damaged model.
    """
    if batch < 1 or (tokens is not None and tokens < 1):
        raise LensError(f"{batch} windows of {tokens} tokens are nothing to look at; use at least 1")
    if abs(seed) >= LARGEST_SEED:
        raise LensError(f"seed {seed} is too large; use a number below {LARGEST_SEED:,}")
    subject = _open(what, _Windows(seed, batch, tokens), say)
    return in_float64(subject) if double else subject


@dataclass(frozen=True)
class _Windows:
    """Which windows of text a GPT is given."""

    seed: int
    batch: int
    tokens: int | None

    def length(self, config: ModelConfig, say: Say) -> int:
        """Tokens of a window, at most the context; says when they are fewer than usual."""
        large = parameters(config).total > LARGE and self.tokens is None
        if large:
            say(f"a large model: windows of {FEWER_TOKENS} tokens; --tokens asks for longer ones")
        return min(self.tokens or (FEWER_TOKENS if large else TOKENS), config.context_length)

    def random(self, vocab_size: int, length: int) -> Tensor:
        """Random token ids [batch, length + 1] by the seed."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randint(0, vocab_size, (self.batch, length + 1), generator=generator)


def _open(what: str, windows: _Windows, say: Say) -> Subject:
    if what in DEMOS:
        return _demo(what, windows.seed)
    if ":" in what and not Path(what).exists():
        return of_user(what)
    source = model_source(what)
    if Path(source).exists() or "/" in what or is_word_of_a_model(what):
        return _of_folder(source, windows, say)
    if what in PRESETS:
        return _of_preset(what, windows, say)
    runs = [run.name for run in list_runs(RUNS)]
    raise LensError(
        f"{what!r} is no demo, run or preset.{nearest(what, [*DEMOS, *PRESETS, *runs])} "
        f"Demos: {', '.join(DEMOS)}. Presets: {', '.join(PRESETS)}. Or a run folder, a model's folder, a GGUF file, "
        "smollm2, or your own function: my_module.py:make_model"
    )


def recorded(subject: Subject, level: Level = "op", say: Say = quiet) -> Tape:
    """The tape of a subject; what goes wrong in the user's code becomes a LensError. `say` is told how far it is."""
    say(f"recording {subject.name} …")
    with running(f"{subject.name} failed"):
        tape = subject.record(level=level)
    say(f"{len(tape.nodes)} operations recorded")
    return tape


def _demo(name: str, seed: int) -> Subject:
    if name == "neuron":
        return neuron()
    if name == "network":
        return network(seed)
    model = _random_gpt(TINY, seed)
    ids = torch.tensor([list(TEXT[i : i + 33].encode()) for i in (0, 33)])
    return Subject("gpt", model.loss, (ids[:, :-1], ids[:, 1:]))


def _random_gpt(shape: dict[str, Any], seed: int) -> GPT:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GPT(ModelConfig.model_validate(shape)).eval()


def _of_preset(name: str, windows: _Windows, say: Say) -> Subject:
    config = resolve([preset(name)]).config.model
    check_preset(name, config)
    model = _random_gpt(config.model_dump(), windows.seed)
    n = sum(weight.numel() for weight in model.parameters())
    say(f"{name}: {count_text(n)} random weights, {bytes_text(4 * n)}; recording and gradients take several times that")
    ids = windows.random(config.vocab_size, windows.length(config, say))
    return Subject(name, model.loss, (ids[:, :-1], ids[:, 1:]))


def _of_folder(source: str, windows: _Windows, say: Say) -> Subject:
    opened = open_model(source)
    length = windows.length(opened.config, say)
    for reason in opened.passed_over:
        say(f"passed over: {reason}; taken instead: {opened.origin}")
    for sentence in opened.unchecked:
        say(sentence)
    found = _own_windows(Path(source), opened, windows, length)
    if found is None:
        say(f"{source} has no text of its own: {windows.batch} windows of random tokens")
        ids = windows.random(opened.config.vocab_size, length)
        batch = Batch(ids[:, :-1], ids[:, 1:])
    else:
        batch = Batch.of(found)
    inputs = (
        (batch.inputs, batch.targets) if batch.documents is None else (batch.inputs, batch.targets, batch.documents)
    )
    return Subject(source, opened.model.loss, inputs)


def _own_windows(source: Path, opened: OpenedModel, windows: _Windows, length: int) -> Windows | None:
    """Windows of the text that the run trains on, in the order of its own shuffle; None where there is no text."""
    run = run_of(source)
    if run is None or not run.manifest.is_file():
        return None
    config = resolve([load_toml(sealed_path(run, run.config))]).config
    text = run_dataset(run)
    text.check_tokenizer(opened.tokenizer.fingerprint, opened.origin)
    store = text.split("train")
    apart = not config.text.cross_documents
    batches = Batches(store, length, config.training.seed, documents=apart)
    return batches.windows(windows.seed * windows.batch, windows.batch)
