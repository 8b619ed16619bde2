"""`chainrule lens demo …`: the classics; each imported when it is called."""

from cyclopts import App

CLASSICS = ("tensors", "neuron", "network", "gpt")

demo = App(name="demo", help="The classics: tensors, one neuron, a small network, a GPT. Begin with `neuron`.")
for place, name in enumerate(CLASSICS):
    demo.command(f"chainrule.cli.lens_demo_{name}:{name}", name=name, sort_key=place)
