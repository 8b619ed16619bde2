"""`chainrule lens demo …`: the classics; each imported when it is called."""

from cyclopts import App

CLASSICS = {
    "tensors": "Ranks, dtypes, shapes, memory, NumPy, autograd: each line run for real.",
    "neuron": "One neuron: its two gradients five ways, to the last digit.",
    "network": "A small network: one training step in five stages, then trained to the end.",
    "gpt": "A GPT, tiny or of a run of yours: the ledger, one weight followed, the proof.",
}


def classics(called: str | None = None, place: int | None = None) -> App:
    """The application of `demo`; only the one that is `called` tells its whole help."""
    app = App(
        name="demo",
        help="The classics: tensors, one neuron, a small network, a GPT. Begin with `neuron`.",
        sort_key=place,
    )
    for order, (name, sentence) in enumerate(CLASSICS.items()):
        target = f"chainrule.cli.lens_demo_{name}:{name}"
        app.command(target, name=name, help=None if name == called else sentence, sort_key=order)
    return app


demo = classics()
