"""`chainrule lens demo …`: the classics; each imported when it is called."""

from cyclopts import App

CLASSICS = {
    "tensors": "Ranks, dtypes, shapes, memory, NumPy, autograd: each line run for real.",
    "neuron": "One neuron: its two gradients five ways, to the last digit.",
    "network": "A small network: one training step in five stages, then trained to the end.",
    "gpt": "A GPT, tiny or of a run of yours: the ledger, one weight followed, the proof.",
}

demo = App(name="demo", help="The classics: tensors, one neuron, a small network, a GPT.")
for place, (name, sentence) in enumerate(CLASSICS.items()):
    demo.command(f"chainrule.cli.lens_demo_{name}:{name}", name=name, help=sentence, sort_key=place)
