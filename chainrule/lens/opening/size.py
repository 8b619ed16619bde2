"""What looking at a GPT takes in memory, said before it is begun; and the same model with fewer layers."""

from torch import Tensor, nn

from chainrule.base import LensError, available_memory, bytes_text, count_text
from chainrule.config import ModelConfig
from chainrule.lens.opening.user_code import Say, quiet
from chainrule.lens.tape import Subject
from chainrule.model import GPT
from chainrule.plan import parameters

# Numbers kept at the peak, measured on SmolLM2 (2 to 30 layers, 4 to 256 tokens) within a third: of each weight its
# value and gradients as each engine has them, of each token the logits and their like, and what its layers compute.
OF_A_WEIGHT = {"recording": 2.0, "proving": 5.5}
LOGITS, OF_A_LAYER = 6.5, 60
FLOAT32, FLOAT64 = 4, 8
SHORT_TOKENS = 8


def fitted(subject: Subject, *, layers: int | None = None, proving: bool = False, say: Say = quiet) -> Subject:
    """The subject, of a GPT the first `layers` layers alone (None: all).

    Raises LensError when what it would take (to record it, or to prove it in float64) is more than the memory that can
    be had, with the flags that make it fit, and for layers of what is no GPT or of which there are none.
    """
    model = _model_of(subject)
    if model is None:
        if layers is not None:
            raise LensError(f"--layers leaves out layers of a GPT, and {subject.name} is none; leave it out")
        return subject
    if layers is not None:
        _keep_layers(model, layers, subject.name, say)
    ids = next(one for one in subject.inputs if isinstance(one, Tensor))
    _check(subject.name, model, (ids.shape[0], ids.shape[1]), proving=proving)
    return subject


def check_preset(name: str, config: ModelConfig) -> None:
    """Raises LensError for a preset whose random weights alone are more than the memory that can be had."""
    needed = FLOAT32 * parameters(config).total
    if needed > available_memory():
        raise LensError(
            f"{name} has {count_text(parameters(config).total)} weights, {bytes_text(needed)}, and "
            f"{bytes_text(available_memory())} of memory can be had here; take a smaller preset"
        )


def needed_bytes(model: GPT, n_layers: int, n_tokens: int, *, proving: bool) -> int:
    """Memory at the peak of recording (in the weights' own format) or proving (in float64) so much of the model."""
    config = model.config
    of_layers = sum(one.numel() for one in model.blocks.parameters()) // max(1, len(model.blocks))
    weights = sum(one.numel() for one in model.parameters()) - (len(model.blocks) - n_layers) * of_layers
    of_a_token = LOGITS * config.vocab_size + OF_A_LAYER * n_layers * config.emb_dim
    numbers = OF_A_WEIGHT["proving" if proving else "recording"] * weights + of_a_token * n_tokens
    double = proving or model.token_embedding.weight.element_size() == FLOAT64
    return int(numbers * (FLOAT64 if double else FLOAT32))


def _model_of(subject: Subject) -> GPT | None:
    owner = getattr(subject.target, "__self__", None)
    return owner if isinstance(owner, GPT) else None


def _keep_layers(model: GPT, layers: int, name: str, say: Say) -> None:
    there = len(model.blocks)
    if not 1 <= layers <= there:
        raise LensError(f"--layers {layers}: {name} has {there}; use 1 to {there}")
    model.blocks = nn.ModuleList(list(model.blocks)[:layers])
    say(f"the first {layers} of {there} layers; the others are left out, so that the loss is not the model's own")


def _check(name: str, model: GPT, shape: tuple[int, int], *, proving: bool) -> None:
    rows, length = shape
    there, layers = available_memory(), len(model.blocks)
    needed = needed_bytes(model, layers, rows * length, proving=proving)
    if needed <= there:
        return
    what = "proving its gradients in float64" if proving else "recording it with its gradients"
    raise LensError(
        f"{name} has {count_text(sum(one.numel() for one in model.parameters()))} weights: {what} on {rows} windows of "
        f"{length} tokens takes about {bytes_text(needed)} of memory, and {bytes_text(there)} can be had here. "
        + _remedy(model, rows * length, there, proving=proving)
    )


def _remedy(model: GPT, n_tokens: int, there: int, *, proving: bool) -> str:
    """The flags that make it fit: a shorter text if that is enough, else fewer layers too."""
    short = min(SHORT_TOKENS, n_tokens)
    text = f"--batch 1 --tokens {short}"
    fits = (n for n in range(len(model.blocks), 0, -1) if needed_bytes(model, n, short, proving=proving) <= there)
    layers = next(fits, None)
    if layers is None:
        return "Not even one layer of it fits; look at a smaller model"
    return f"Shorten it: {text}" + (f" --layers {layers}" if layers < len(model.blocks) else "")
