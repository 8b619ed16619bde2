"""`chainrule lens …`: the instruments; one file for each, imported when it is called."""

from collections.abc import Sequence

from cyclopts import App

from chainrule.cli.lens_demo import classics

INSTRUMENTS = {
    "demo": "The classics: tensors, one neuron, a small network, a GPT.",
    "graph": "The recorded operations as a picture.",
    "ledger": "The chain rule, line by line, from the loss back to a weight.",
    "verify": "Prove the gradients: rules, autograd and numbers.",
    "tensor": "One tensor: form, memory, values.",
    "explain": "The shapes of an expression, step by step.",
    "rules": "Every rule of differentiation with its formula.",
    "spike": "Replay a step that spiked and name the culprit.",
}

HELP = """See tensors, the computational graph and every gradient, and prove them.

Begin with `chainrule lens demo neuron`. Then on your own: `chainrule lens ledger runs/NAME`, `chainrule lens verify
runs/NAME`, `chainrule lens verify my_module.py:make_model`.
"""


def instruments(called: Sequence[str] = (), place: int | None = None) -> App:
    """The application of `lens`; only what stands first in `called` tells its whole help. `place` is its own place."""
    app = App(name="lens", help=HELP, sort_key=place)
    for order, (name, sentence) in enumerate(INSTRUMENTS.items()):
        if name == "demo" and "demo" in called[:1]:
            app.command(classics(next(iter(called[1:]), None), order))
        else:
            target = f"chainrule.cli.lens_{name}:{name}"
            app.command(target, name=name, help=None if name in called[:1] else sentence, sort_key=order)
    return app


app = instruments()
