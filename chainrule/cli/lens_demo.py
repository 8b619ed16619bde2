"""`chainrule lens demo …`: the classics: tensors, one neuron, a small network, a GPT."""

import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

from chainrule.cli.lens_options import Page, PageFormat, format_asked, page_wanted
from chainrule.cli.lens_output import deliver
from chainrule.cli.loading import load_torch
from chainrule.cli.options import AsJson
from chainrule.cli.output import put, say

# As the lens would start it, by its path: importing its room would load torch before SymPy has begun to load itself.
SYMPY = (sys.executable, "-P", str(Path(__file__).parents[1] / "lens" / "classics" / "symbols.py"))
WEIGHT = "blocks.0.attention.qkv"


def tensors(*, as_json: AsJson = False) -> None:
    """Walk through tensors: ranks, dtypes, .to, view and reshape, .T, products, NumPy, autograd and devices.

    Every line of code is run, and its real output shown.

    Example: `chainrule lens demo tensors`
    """
    load_torch()
    from chainrule import lens

    put(lens.render(lens.tour_of_tensors(), "json" if as_json else "text"))


def neuron(*, out: Page = None, as_format: PageFormat = None, as_json: AsJson = False) -> None:
    """Find the two gradients of one neuron five ways: by hand, by our rules, by autograd, by numbers and by SymPy.

    For example:

    - `chainrule lens demo neuron`
    - `chainrule lens demo neuron --out neuron.html`
    """
    drawing = page_wanted(out, as_format, as_json=as_json)
    sympy = None if drawing else subprocess.Popen(SYMPY, stdin=PIPE, stdout=PIPE, encoding="utf-8")  # noqa: S603
    load_torch()
    from chainrule import lens

    if drawing:
        subject = lens.neuron()
        deliver(lens.picture(subject.record(), title=subject.name), format_asked(as_format, out), out)
    else:
        put(lens.render(lens.neuron_demo(sympy), "json" if as_json else "text"))


def network(*, seed: int = 0, out: Page = None, as_format: PageFormat = None, as_json: AsJson = False) -> None:
    """Walk through one training step: forward, loss, backward, gradients by name, update; then train to the end.

    For example:

    - `chainrule lens demo network`
    - `chainrule lens demo network --out network.html`

    Parameters
    ----------
    seed
        Of the random weights and of the example.
    """
    drawing = page_wanted(out, as_format, as_json=as_json)
    load_torch()
    from chainrule import lens

    subject = lens.network(seed)
    if drawing:
        deliver(lens.picture(subject.record(), title=subject.name), format_asked(as_format, out), out)
    else:
        put(lens.render(lens.network_demo(subject), "json" if as_json else "text"))


def gpt(
    *,
    run: str | None = None,
    layers: int | None = None,
    weight: str = WEIGHT,
    seed: int = 0,
    out: Page = None,
    as_format: PageFormat = None,
    as_json: AsJson = False,
) -> int:
    """Look at a GPT: every module in the ledger, one weight followed from the loss, and the proof of all gradients.

    For example:

    - `chainrule lens demo gpt`
    - `chainrule lens demo gpt --run runs/NAME`
    - `chainrule lens demo gpt --out gpt.html`

    Parameters
    ----------
    run
        A run folder, a checkpoint, a Hugging Face folder, a GGUF file or smollm2. Default: two layers with random
        weights.
    layers
        Only so many of its layers, the first ones.
    weight
        The weight that is followed, in its element with the largest gradient.
    seed
        Which windows of the run's text, or which random weights.
    """
    drawing = page_wanted(out, as_format, as_json=as_json)
    load_torch()
    from chainrule.lens import gpt_demo, opening, picture, render

    subject = opening.open_subject(run or "gpt", seed=seed, say=say)
    subject = opening.fitted(subject, layers=layers, proving=not drawing, say=say)
    tape = opening.recorded(subject, say=say)
    if drawing:
        deliver(picture(tape, title=subject.name), format_asked(as_format, out), out)
        return 0
    say("verifying …")
    demo = gpt_demo(subject, tape, weight)
    put(render(demo, "json" if as_json else "text"))
    if not as_json:
        source = run or "gpt"
        put(f"\nMore: `chainrule lens verify {source}`, `chainrule lens ledger {source} --module blocks.0.attention`")
    return 0 if demo.report.ok else 1
