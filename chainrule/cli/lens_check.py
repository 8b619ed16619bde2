"""`chainrule lens check`: one training step in each way that it can run here, before a long run goes on with one."""

from typing import Annotated

from cyclopts import Parameter

from chainrule.base import LensError
from chainrule.cli.lens_options import Flag
from chainrule.cli.loading import load_torch
from chainrule.cli.named import check_subject
from chainrule.cli.options import AsJson
from chainrule.cli.output import put, say

Ways = Annotated[
    tuple[str, ...],
    Parameter(
        name="--way",
        negative=(),
        help="eager, compiled, bfloat16, compiled-bfloat16 or device; once for each. Default: all but "
        "compiled-bfloat16, as far as this machine can.",
    ),
]


def check(
    what: str,
    /,
    *,
    ways: Ways = (),
    seconds: float | None = None,
    batch: int = 2,
    tokens: int | None = None,
    layers: int | None = None,
    seed: int = 0,
    fallback: Flag = False,
    as_json: AsJson = False,
) -> int:
    """Run one training step eager, compiled, in bfloat16 and on another device, each held against float64.

    PyTorch's compiler has had silently wrong gradients. This holds those of your own step, parameter by parameter,
    against the rules of the lens in float64, and says how often the error is what rounding in that format explains.

    The exit code is 0 when all are right, 1 when one contradicts, 3 when one could not be judged.

    For example:

    - `chainrule lens check my_module.py:make_model`
    - `chainrule lens check runs/NAME --way compiled --way bfloat16`
    - `chainrule lens check gpt --json`

    Parameters
    ----------
    what
        A function of yours, my_module.py:make_model, that returns (model, inputs) or (model, inputs, loss); a run
        folder, a checkpoint, a Hugging Face folder or a GGUF file; smollm2; a preset; neuron, network or gpt.
    seconds
        Time for sampling rounding errors, for each way. Default: 20.
    batch
        Windows of text that a GPT is given.
    tokens
        Tokens of each window. Default: the context length, 128 at most, 16 of a model of more than 50 million weights.
    layers
        Only so many of a GPT's layers, the first ones: a large model is then quicker and takes less memory.
    seed
        Which windows, and the random weights of a demo or preset.
    fallback
        Differentiate operations without a rule by autograd, and say so.
    """
    if seconds is not None and seconds <= 0:
        raise LensError(f"--seconds {seconds:g} is no time; use a number above 0")
    check_subject(what)
    load_torch()
    from chainrule.lens import Policy, opening, prove, render

    subject = opening.open_subject(what, seed=seed, batch=batch, tokens=tokens, say=say)
    subject = opening.fitted(subject, layers=layers, proving=True, say=say)
    opening.ready_to_train(subject, ours=".py" not in what)
    with opening.running(f"{subject.name} failed"):
        checked = prove.check(
            subject, ways=ways or None, seconds=seconds, seed=seed, policy=Policy(fallback=fallback), say=say
        )
    put(render(checked, "json" if as_json else "text"))
    return checked.exit_code
