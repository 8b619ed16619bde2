"""`chainrule lens …`: the instruments; one file for each, imported when it is called."""

from cyclopts import App

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

app = App(name="lens", help=HELP)
for place, (name, sentence) in enumerate(INSTRUMENTS.items()):
    app.command(f"chainrule.cli.lens_{name}:{name}", name=name, help=sentence, sort_key=place)
