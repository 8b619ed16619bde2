"""Memory that a program detached and that is written to afterwards: who reads it without a gradient, and when."""

from chainrule.lens.engine.backward import differentiable
from chainrule.lens.tape import Node, Ref, Tape


class Aliases:
    """What a program reads of memory by way of tensors without a gradient, while others write to it.

    `made_by` are the operations that detach such memory; `read` has for each operation the values that it reads by way
    of an alias. No clone may stand in for the alias itself, or it would not be written to.
    """

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.made_by: set[int] = set()
        self.read: dict[int, frozenset[int]] = {}
        self._values: set[int] = set()
        self._since: int | None = None
        live, last_write = differentiable(tape), _last_writes(tape)
        for node in tape.nodes:
            if node.func is None:
                self._follow(node)
                continue
            detaches = node.rule_name == "detach" and live.intersection(node.inputs)
            if detaches and last_write.get(tape.values[node.outputs[0]].meta.storage, -1) > node.id:
                self.made_by.add(node.id)
                self._values.update(node.outputs)
                self._since = node.outputs[0] if self._since is None else self._since
            elif found := self._read_by(node):
                self.read[node.id] = found

    def _follow(self, update: Node) -> None:
        """An alias has what was written by way of another tensor."""
        still = self._values.intersection(update.inputs[:1]) and not self.tape.values[update.outputs[0]].requires_grad
        if not update.tracked or still:
            self._values.update(update.outputs)

    def _read_by(self, node: Node) -> frozenset[int]:
        """Those with which the operation computes. A view of one, and what it becomes when written to, is one more."""
        found = frozenset(value for value in node.inputs if value in self._values or self._from_outside(value))
        target = node.arguments.get("self")
        if node.in_place and isinstance(target, Ref) and target.value in found:
            self._values.update(node.outputs)
            return found - {target.value}
        views = [output for output in node.outputs if self.tape.values[output].view_of in found]
        self._values.update(views)
        return frozenset() if views else found

    def _from_outside(self, value: int) -> bool:
        """Whether it came from no operation after a detach: NumPy may have read it out of the alias."""
        one = self.tape.values[value]
        return self._since is not None and value > self._since and one.role == "constant" and one.differentiable


def _last_writes(tape: Tape) -> dict[int, int]:
    """The last operation that wrote to each storage."""
    written = [node for node in tape.nodes if node.in_place and node.outputs]
    return {tape.values[node.outputs[0]].meta.storage: node.id for node in written}
