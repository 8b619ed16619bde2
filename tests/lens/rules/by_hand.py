"""A tape of one operation made by hand, for operations that this machine cannot run."""

from torch import Tensor

from chainrule.lens.rules import Call
from chainrule.lens.tape import Meta, Node, Ref, Tape, Value


def call(op: str, outputs: list[Tensor], **arguments) -> Call:
    tape, refs = Tape(op, "op", "all"), {}
    for name, argument in [*arguments.items(), *((f"output{i}", one) for i, one in enumerate(outputs))]:
        if isinstance(argument, Tensor):
            form = Meta(tuple(argument.shape), argument.dtype, "cpu", argument.stride(), 0, len(tape.values), 0, 0)
            refs[name] = Ref(len(tape.values))
            tape.values.append(Value(len(tape.values), name, "input", form, tensor=argument))
    made = tuple(refs[f"output{i}"].value for i in range(len(outputs)))
    given = {name: refs.get(name, argument) for name, argument in arguments.items()}
    node = Node(0, op, None, "", 0, None, given, made, True, False)
    tape.nodes.append(node)
    return Call(tape, node, frozenset(refs[name].value for name in arguments if name in refs))
