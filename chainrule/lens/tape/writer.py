"""Writes a recording: which value each tensor holds, and each operation with its place in the program."""

from typing import Any

import torch
from torch import Tensor

from chainrule.base import LensError
from chainrule.health import ModuleStack
from chainrule.lens.tape.memory import Memory, Write, merged
from chainrule.lens.tape.nodes import Node, Ref, Role, Tape, Value
from chainrule.lens.tape.reach import COMPUTED
from chainrule.lens.tape.sites import calling_site
from chainrule.lens.tape.statistics import measure

UPDATE = "write_through"


class Writer:
    """Puts values and operations on a tape, whoever sees them.

    `superseded` are values of tensors that stand for another value; `clock` has autograd's sequence number at each
    operation. While it is `measuring`, what happens is its own doing.
    """

    def __init__(self, tape: Tape, modules: ModuleStack) -> None:
        self.tape, self.modules, self.memory = tape, modules, Memory()
        self.superseded: set[int] = set()
        self.clock: list[int] = []
        self.used: dict[str, int] = {}
        self.measuring = False

    def value(self, tensor: Tensor) -> int:
        """The value that the tensor holds; a tensor never seen becomes a constant."""
        holding = self.memory.holding(tensor)
        if holding is None:
            again, same = self.memory.again(tensor), self.memory.in_another_class(tensor)
            if again is None and same is not None:
                return self._reclassed(tensor, same)
            return self.leaf(tensor, "constant", "constant").id if again is None else again.id
        maker = self.tape.producer(self.tape.values[holding.value])
        if maker is not None and maker.rule_name == "detach" and tensor.grad_fn is not None:
            # Autograd hands out what it saved: the copy that it made of it is the result again.
            again = self.memory.again(tensor)
            if again is not None:
                self.superseded.add(holding.value)
                return again.id
        if self.memory.replaced(tensor):
            return self._replace(tensor, self.tape.values[holding.value])
        number, missed = holding.value, self.memory.missed(tensor)
        for write in missed:
            number = self._update(tensor, number, write, latest=write is missed[-1])
        self._keep_at_boundary(tensor, self.tape.values[number])
        return number

    def _reclassed(self, tensor: Tensor, old: Value) -> int:
        """What a subclass of Tensor made of a result: the same numbers under its own class, which is no operation."""
        value = self.new(tensor, "alias", "result", producer=len(self.tape.nodes), view_of=old.id)
        self.memory.hold(tensor, value)
        self.add_node(torch.ops.aten.alias.default, "alias.default", {"self": Ref(old.id)}, [value.id])
        return value.id

    def _replace(self, tensor: Tensor, old: Value) -> int:
        """The program set `tensor.data`: a weight begins anew, for autograd everything else goes on as before."""
        old.tensor = None  # its numbers are gone
        old.requires_grad = tensor.requires_grad and not tensor.is_leaf
        if not old.requires_grad:
            self._forget(old)
            return self.leaf(tensor, old.name, "constant" if old.role == "result" else old.role).id
        value = self.new(tensor, "set_data", "result", producer=len(self.tape.nodes))
        self.memory.hold(tensor, value)
        self.add_node(None, "set_data", {"self": Ref(old.id)}, [value.id])
        return value.id

    def _forget(self, value: Value) -> None:
        """The weight that begins anew is no longer what it was, nor what was written to it before."""
        maker = self.tape.producer(value)
        value.requires_grad = False
        if maker is not None and maker.in_place and isinstance(maker.arguments.get("self"), Ref):
            self._forget(self.tape.values[maker.arguments["self"].value])

    def _keep_at_boundary(self, tensor: Tensor, value: Value) -> None:
        """With keep="boundary": keeps what one module hands to another."""
        maker = self.tape.producer(value)
        if self.tape.keep == "boundary" and maker is not None and maker.module != self.modules.here[0]:
            value.tensor = tensor

    def leaf(self, tensor: Tensor, name: str, role: Role) -> Value:
        """A value that no operation made."""
        if hasattr(tensor, COMPUTED) and role == "constant":
            raise LensError(
                f"{getattr(tensor, COMPUTED)} was computed from weights before the run, and nothing is known of how; "
                "compute it inside forward"
            )
        value = self.new(tensor, name, role)
        value.requires_grad, value.is_leaf = tensor.requires_grad, True
        self.memory.hold(tensor, value)
        return value

    def new(self, tensor: Tensor, name: str, role: Role, **rest: Any) -> Value:
        """A value, kept as the tape says; `rest` is what else is known of it."""
        value = Value(len(self.tape.values), self.unused(name), role, self.memory.meta(tensor), **rest)
        if self.tape.keep == "all" or role in ("parameter", "buffer", "input"):
            value.tensor = tensor
        if self.tape.keep == "stats":
            value.stats = self._measured(tensor)
        self.tape.values.append(value)
        return value

    def _measured(self, tensor: Tensor) -> Any:
        self.measuring = True
        try:
            return measure(tensor)
        finally:
            self.measuring = False

    def add_node(
        self, func: Any, op: str, arguments: dict[str, Any], outputs: list[int], *, in_place: bool = False
    ) -> None:
        """An operation, as asked for by the module and the line that are running."""
        (path, call), number = self.modules.here, len(self.tape.nodes)
        with_grad = func is None or torch.is_grad_enabled()  # an update only says what holds already
        made = tuple(outputs)
        self.tape.nodes.append(
            Node(number, op, func, path, call, calling_site(), arguments, made, with_grad, in_place, tracked=with_grad)
        )
        self.clock.append(torch.autograd._get_sequence_nr())  # type: ignore[attr-defined]

    def _update(self, tensor: Tensor, old: int, write: Write, *, latest: bool) -> int:
        """Another tensor of the storage was written to: what this one holds now is the old value with that write.

        After several writes the tensor itself holds the latest value, and the ones between are worked out.
        """
        value = self.new(tensor, UPDATE, "result", producer=len(self.tape.nodes))
        if latest:
            self.memory.hold(tensor, value)
        elif value.tensor is not None:
            value.overwritten, value.requires_grad = True, tensor.requires_grad
            value.tensor = merged(tensor, self.tape.values[old].tensor, write, self.tape.values[write.value].tensor)
        arguments = {"self": Ref(old), "written": Ref(write.value), "place": (write.shape, write.stride, write.offset)}
        self.add_node(None, UPDATE, arguments, [value.id])
        return value.id

    def unused(self, name: str) -> str:
        """The name, with a number behind it when it was given before."""
        seen = self.used[name] = self.used.get(name, 0) + 1
        return name if seen == 1 else f"{name}_{seen - 1}"
