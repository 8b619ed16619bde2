"""`chainrule lens verify`: the gradients of a model, proved three ways."""

from chainrule.base import LensError
from chainrule.cli.lens_options import Flag, Level
from chainrule.cli.loading import load_torch
from chainrule.cli.named import check_subject
from chainrule.cli.options import AsJson
from chainrule.cli.output import put, say

# 2 is a user's mistake, or nothing to verify, as of every command.
EXIT_CODES = {"proved": 0, "wrong": 1, "not proved": 3}


def verify(
    what: str,
    /,
    *,
    step: Flag = False,
    coordinates: int = 64,
    seconds: float | None = None,
    level: Level = "op",
    batch: int = 2,
    tokens: int | None = None,
    layers: int | None = None,
    seed: int = 0,
    fallback: Flag = False,
    allow: tuple[str, ...] = (),
    as_json: AsJson = False,
) -> int:
    """Prove the gradients: autograd, the rules of the lens and numerical differences must give one answer.

    In float64, for every weight and at every operation. The verdict is one of three. Proved: exit code 0. Wrong: the
    first operation with a wrong gradient is named, with its line; exit code 1. Not proved: the reason is named, and
    what would prove it; exit code 3. (2 is for what cannot be verified at all.)

    For example:

    - `chainrule lens verify network`
    - `chainrule lens verify runs/NAME`
    - `chainrule lens verify runs/NAME --step`
    - `chainrule lens verify smollm2 --layers 2`
    - `chainrule lens verify my_module.py:make_model --json`
    - `chainrule lens verify my_module.py:make_model --allow "gradient reversal at line 12"`

    Parameters
    ----------
    what
        neuron, network or gpt; a run folder, a checkpoint, a Hugging Face folder or a GGUF file; smollm2; a preset;
        or a function of yours, my_module.py:make_model, that returns (model, inputs) or (model, inputs, loss).
    step
        Verify one step as it runs in training, in its own number formats and on its device, against float64.
    coordinates
        Weights to check by numerical differences.
    seconds
        Time for sampling rounding errors and for numerical differences. Default: 40.
    level
        op: the operations as PyTorch names them. core: broken into core ATen, more and simpler ones.
    batch
        Windows of text that a GPT is given.
    tokens
        Tokens of each window. Default: the context length, 128 at most, 16 of a model of more than 50 million weights.
    layers
        Only so many of a GPT's layers, the first ones: a large model is then quicker and takes less memory.
    seed
        Which windows, which weights are checked, and the random weights of a demo or preset.
    fallback
        Differentiate operations without a rule by autograd, and say so.
    allow
        A hook or custom Function that changes a gradient on purpose (clipping, reversal, straight-through), by line or
        name: "gradient reversal at line 12", layers.py:40. Several times for several.
    """
    if step and allow:
        raise LensError("--allow names hooks and Functions of a model; with --step gradients are held as they are")
    if seconds is not None and seconds <= 0:
        raise LensError(f"--seconds {seconds:g} is no time; use a number above 0")
    check_subject(what)
    load_torch()
    from chainrule.lens import Policy, opening, prove, render

    subject = opening.open_subject(what, seed=seed, batch=batch, tokens=tokens, say=say)
    subject = opening.fitted(subject, layers=layers, proving=True, say=say)
    say(f"verifying {subject.name} …")
    policy = Policy(fallback=fallback)
    with opening.running(f"{subject.name} failed"):
        if step:
            taken = opening.captured(what, subject, say=say)
            report = prove.verify(step=taken, seconds=seconds, seed=seed, policy=policy)
        else:
            report = prove.verify(
                subject, coordinates=coordinates, seconds=seconds, seed=seed, policy=policy, level=level, allow=allow
            )
    put(render(report, "json" if as_json else "text"))
    return EXIT_CODES[report.verdict]
