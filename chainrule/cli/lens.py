"""`chainrule lens …` and `chainrule lens demo …`: the instruments and the classics, imported when one is called."""

from collections.abc import Sequence

from cyclopts import App

INSTRUMENTS = {
    "demo": "The classics: tensors, one neuron, a small network, a GPT.",
    "graph": "The recorded operations as a picture.",
    "ledger": "The chain rule, line by line, from the loss back to a weight.",
    "verify": "Prove the gradients: rules, autograd and numbers.",
    "check": "One training step eager, compiled, in bfloat16, on a GPU: right or not.",
    "token": "What the probability of one token of a text hangs on.",
    "tensor": "One tensor: form, memory, values.",
    "explain": "The shapes of an expression, step by step.",
    "rules": "Every rule of differentiation with its formula.",
    "spike": "Replay a step that spiked and name the culprit.",
}

CLASSICS = {
    "tensors": "Ranks, dtypes, shapes, memory, NumPy, autograd: each line run for real.",
    "neuron": "One neuron: its two gradients five ways, to the last digit.",
    "network": "A small network: one training step in five stages, then trained to the end.",
    "gpt": "A GPT, tiny or of a run of yours: the ledger, one weight followed, the proof.",
}

HELP = """See tensors, the computational graph and every gradient, and prove them.

Begin with `chainrule lens demo neuron`. Then on your own: `chainrule lens ledger runs/NAME`, `chainrule lens verify
runs/NAME`, `chainrule lens verify my_module.py:make_model`.

Where you name code, as `file.py:function` or `package.module:function`, that code is imported and runs with all your
rights: give only what you would run yourself. Runs, folders of weights, GGUF, safetensors and NumPy files run no code.
"""


def instruments(called: Sequence[str] = (), place: int | None = None) -> App:
    """The application of `lens`; only what stands first in `called` tells its whole help. `place` is its own place."""
    app = App(name="lens", help=HELP, sort_key=place)
    for order, (name, sentence) in enumerate(INSTRUMENTS.items()):
        if name == "demo" and "demo" in called[:1]:
            app.command(classics(next(iter(called[1:]), None), order))
        else:
            target = f"chainrule.cli.lens_{name}:{name}" if name != "demo" else "chainrule.cli.lens:demo"
            app.command(target, name=name, help=None if name in called[:1] else sentence, sort_key=order)
    return app


def classics(called: str | None = None, place: int | None = None) -> App:
    """The application of `demo`; only the one that is `called` tells its whole help."""
    app = App(
        name="demo",
        help="The classics: tensors, one neuron, a small network, a GPT. Begin with `neuron`.",
        sort_key=place,
    )
    for order, (name, sentence) in enumerate(CLASSICS.items()):
        target = f"chainrule.cli.lens_demo:{name}"
        app.command(target, name=name, help=None if name == called else sentence, sort_key=order)
    return app


demo = classics()
app = instruments()
