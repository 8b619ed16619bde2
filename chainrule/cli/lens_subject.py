"""What the lens is pointed at on the command line: a demo, a run, a folder, a preset, or the user's own code."""

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from chainrule.base import ChainruleError, LensError, nearest
from chainrule.cli.options import RUNS, model_source

if TYPE_CHECKING:
    from chainrule.lens import Level, Subject, Tape

DEMOS = ("neuron", "network", "gpt")
TOKENS = 128
TEXT = "The chain rule: a small change of the weight changes the sum, the sum changes the loss. "
TINY = {"vocab_size": 128, "context_length": 64, "emb_dim": 32, "n_heads": 4, "n_layers": 2, "drop_rate": 0.0}


def open_subject(
    what: str, *, seed: int = 0, batch: int = 2, tokens: int | None = None, double: bool = False
) -> "Subject":
    """The model and the batch that `what` stands for, ready to record; in float64 with `double`.

    `what` is a demo (neuron, network, gpt), a run folder, a checkpoint, a Hugging Face folder, a preset, or a function
    of the user's, `my_module.py:make_model` or `package.module:make_model`. A GPT gets `batch` windows of `tokens`
    tokens (by default the whole context, 128 at most): of the run's own text, or random ones by `seed` where it has
    none. Raises LensError when `what` is none of these, and CheckpointError or RunError for a damaged model.
    """
    if batch < 1 or (tokens is not None and tokens < 1):
        raise LensError(f"{batch} windows of {tokens} tokens are nothing to look at; use at least 1")
    subject = _open(what, seed, batch, tokens)
    if not double:
        return subject
    from chainrule.lens import in_float64

    return in_float64(subject)


def _open(what: str, seed: int, batch: int, tokens: int | None) -> "Subject":
    from chainrule.config import PRESETS

    if what in DEMOS:
        return _demo(what, seed)
    if ":" in what and not Path(what).exists():
        return _of_user(what)
    source = model_source(what)
    if Path(source).exists() or "/" in what:
        return _of_folder(source, seed, batch, tokens)
    if what in PRESETS:
        return _of_preset(what, seed, batch, tokens)
    runs = [path.name for path in RUNS.iterdir()] if RUNS.is_dir() else []
    raise LensError(
        f"{what!r} is no demo, run or preset.{nearest(what, [*DEMOS, *PRESETS, *runs])} "
        f"Demos: {', '.join(DEMOS)}. Presets: {', '.join(PRESETS)}. Or a run folder, a model's folder, or your own "
        "function: my_module.py:make_model"
    )


def recorded(subject: "Subject", level: "Level" = "op") -> "Tape":
    """The tape of a subject, said on standard error; what goes wrong in the user's code becomes a LensError."""
    from chainrule.cli.output import say

    say(f"recording {subject.name} …")
    tape: Tape = running(f"{subject.name} failed", lambda: subject.record(level=level))
    say(f"{len(tape.nodes)} operations recorded")
    return tape


def _demo(name: str, seed: int) -> "Subject":
    import torch

    from chainrule.lens import Subject, network, neuron

    if name == "neuron":
        return neuron()
    if name == "network":
        return network(seed)
    model = _random_gpt(TINY, seed)
    ids = torch.tensor([list(TEXT[i : i + 33].encode()) for i in (0, 33)])
    return Subject("gpt", model.loss, (ids[:, :-1], ids[:, 1:]))


def _random_gpt(shape: dict[str, Any], seed: int) -> Any:
    import torch

    from chainrule.config import ModelConfig
    from chainrule.model import GPT

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GPT(ModelConfig.model_validate(shape)).eval()


def _of_preset(name: str, seed: int, batch: int, tokens: int | None) -> "Subject":
    from chainrule.base import bytes_text, count_text
    from chainrule.cli.output import say
    from chainrule.config import preset, resolve
    from chainrule.lens import Subject

    config = resolve([preset(name)]).config.model
    model = _random_gpt(config.model_dump(), seed)
    n = sum(weight.numel() for weight in model.parameters())
    say(f"{name}: {count_text(n)} random weights, {bytes_text(4 * n)}; recording and gradients take several times that")
    ids = _random_ids(config.vocab_size, batch, tokens or min(config.context_length, TOKENS), seed)
    return Subject(name, model.loss, (ids[:, :-1], ids[:, 1:]))


def _of_folder(source: str, seed: int, batch: int, tokens: int | None) -> "Subject":
    import torch

    from chainrule.checkpoint import open_model
    from chainrule.cli.output import say
    from chainrule.lens import Subject

    opened = open_model(source)
    length = min(tokens or TOKENS, opened.config.context_length)
    found = _own_windows(Path(source), seed, batch, length)
    if found is None:
        say(f"{source} has no text of its own: {batch} windows of random tokens")
        ids, documents = _random_ids(opened.config.vocab_size, batch, length, seed), None
    else:
        ids = torch.from_numpy(found.ids).long()
        documents = None if found.documents is None else torch.from_numpy(found.documents)[:, :-1]
    inputs = (ids[:, :-1], ids[:, 1:]) if documents is None else (ids[:, :-1], ids[:, 1:], documents)
    return Subject(source, opened.model.loss, inputs)


def _own_windows(source: Path, seed: int, batch: int, length: int) -> Any:
    """Windows of the text that the run trains on, in the order of its own shuffle; None where there is no text."""
    from chainrule.config import load_toml, resolve
    from chainrule.data import Batches, open_dataset

    for run in (source, source.parent.parent):
        if (run / "data" / "manifest.json").is_file() and (run / "config.toml").is_file():
            config = resolve([load_toml(run / "config.toml")]).config
            store = open_dataset(run / "data", verify=False).split("train")
            apart = not config.text.cross_documents
            return Batches(store, length, config.training.seed, documents=apart).windows(seed * batch, batch)
    return None


def _random_ids(vocab_size: int, batch: int, length: int, seed: int) -> Any:
    import torch

    return torch.randint(0, vocab_size, (batch, length + 1), generator=torch.Generator().manual_seed(seed))


def _of_user(what: str) -> "Subject":
    """What the user's function returns, as a subject."""
    place, _, name = what.rpartition(":")
    with _beside(Path(place).parent if place.endswith(".py") else Path()):
        return _made_by(what, _import(place), name)


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """What is imported is looked for in `folder` first, as Python does for a script; afterwards there last.

    Left in front, a file called random.py would stand for Python's own in all that is imported later.
    """
    where = str(folder.resolve())
    sys.path.insert(0, where)
    try:
        yield
    finally:
        sys.path.remove(where)
        if where not in sys.path:
            sys.path.append(where)


def _made_by(what: str, module: ModuleType, name: str) -> "Subject":
    """What the function of that name in the module returns, as a subject."""
    place = what.rpartition(":")[0]
    if not hasattr(module, name):
        own = [key for key, one in vars(module).items() if not key.startswith("_") and callable(one)]
        raise LensError(f"{place} has no {name!r}.{nearest(name, own)}")
    found = getattr(module, name)
    from chainrule.lens import Subject

    if isinstance(found, Subject):
        return found
    if not callable(found):
        raise LensError(f"{what} is not a function but one {type(found).__name__}; {RETURNS}")
    return as_subject(_calling(what, found), what)


RETURNS = "it should return (model, inputs), (model, inputs, loss) or a chainrule.lens.Subject"


def as_subject(made: Any, what: str) -> "Subject":
    """A subject from what a function made; raises LensError saying what it should be."""
    from chainrule.lens import Subject

    if isinstance(made, Subject):
        return made
    if not isinstance(made, tuple) or len(made) not in (2, 3) or not callable(made[0]):
        given = f"a tuple of {len(made)}" if isinstance(made, tuple) else f"one {type(made).__name__}"
        raise LensError(f"{what} returned {given}; {RETURNS}")
    target, inputs, *loss = made
    if loss and not callable(loss[0]):
        raise LensError(f"{what} returned a loss that is a {type(loss[0]).__name__}, not a function of the output")
    if isinstance(inputs, dict):
        return Subject(what, target, (), loss[0] if loss else None, inputs)
    return Subject(what, target, tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,), *loss)


def _import(place: str) -> ModuleType:
    """The module at a path or of a dotted name; raises LensError with the module's own error and its line."""
    if not place.endswith(".py"):
        found: ModuleType = running(f"{place} does not import", lambda: importlib.import_module(place))
        return found
    path = Path(place)
    if not path.is_file():
        beside = [one.name for one in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise LensError(f"{place} is not a file.{nearest(path.name, beside)}")
    name = f"chainrule_subject_{path.stem}"  # a file called random.py must not stand for Python's own
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    load = spec.loader.exec_module
    try:
        running(f"{place} does not import", lambda: load(module))
    except LensError:
        del sys.modules[name]
        raise
    return module


def _calling(what: str, function: Callable[[], Any]) -> Any:
    return running(f"{what} failed", function)


def running(failing: str, call: Callable[[], Any]) -> Any:
    """What `call` returns; whatever goes wrong in the user's code becomes a LensError with its line."""
    try:
        return call()
    except ChainruleError:
        raise
    except Exception as fault:
        frames = traceback.extract_tb(fault.__traceback__)
        skipped = ("importlib", "site-packages", str(Path(__file__).parent.parent))
        own = [frame for frame in frames if not any(part in frame.filename for part in skipped)]
        place = f" at {own[-1].filename}:{own[-1].lineno}" if own else ""
        cuda = any(word in str(fault) for word in ("CUDA", "cuda"))
        advice = "; the lens works on the CPU: make model and inputs without .cuda() or device='cuda'" if cuda else ""
        raise LensError(f"{failing}: {type(fault).__name__}: {fault}{place}{advice}") from fault
