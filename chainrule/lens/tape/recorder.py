"""Sees every tensor operation of a running program, and writes it on a tape."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from chainrule.base import LensError
from chainrule.health import ModuleStack
from chainrule.lens.tape.clocking import timed
from chainrule.lens.tape.escapes import Escapes
from chainrule.lens.tape.functions import FunctionCall, around_functions
from chainrule.lens.tape.memory import Memory, Write, merged
from chainrule.lens.tape.nodes import Node, Ref, Role, Site, Tape, Value
from chainrule.lens.tape.operations import broken_up, by_schema, core_decompositions, written_by
from chainrule.lens.tape.reach import COMPUTED, members
from chainrule.lens.tape.sites import calling_site
from chainrule.lens.tape.statistics import measure
from chainrule.lens.tape.tracking import settle

UPDATE = "write_through"
# The operation that stands for a custom Function as a whole.
WHOLE = "custom_function"
# What these make does not move with what they read.
STOPPING = ("detach", "new_zeros", "new_ones", "new_full")

Whole = Callable[[type[Function], Site | None], bool]


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation below autograd, writes it on the tape and lets it happen."""

    def __init__(self, tape: Tape, root: nn.Module | None, whole: Whole) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.whole, self.n_functions = whole, 0
        self.superseded: set[int] = set()  # values of tensors that stand for another value
        self.tape, self.memory = tape, Memory()
        self.modules = ModuleStack(root, self._register_module)
        self.used: dict[str, int] = {}
        self.clock: list[int] = []
        self.decompositions = core_decompositions() if tape.level == "core" else {}
        self.pausing = False
        self.asked: set[int] = set()  # each `detach` of the program's own, where autograd also makes some

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # True, torch's own answer, imports the whole compiler (a second) to keep it from looking in here.
        return False

    @contextmanager
    def following(self) -> Iterator[None]:
        """Records until the end of the block."""
        with self.modules.following(), Escapes(self._detached, self._listed), around_functions(self._function), self:
            yield

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.pausing:
            return func(*args, **kwargs)
        simpler = broken_up(self, func, args, kwargs)
        if simpler is not NotImplemented:
            return simpler
        self.tape.goes_back |= torch._C._current_graph_task_id() != -1
        arguments = by_schema(func, args, kwargs)
        written = written_by(func, arguments)
        found = {name: self._refer(argument) for name, argument in arguments.items()}
        for tensor in written:
            self.memory.before_write(tensor)
        result, seconds = timed(partial(func, *args, **kwargs))
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        if written or not made or any(all(one is not a for a in tree_leaves(arguments)) for one in made):
            self._add(func, found, made, written)
            self.tape.nodes[-1] = replace(self.tape.nodes[-1], seconds=seconds)
        return result

    def _detached(self, call: Callable[[], Tensor]) -> Tensor:
        """The program asked for it: it stays on the tape, also where no operation reads it."""
        before = len(self.tape.nodes)
        result = call()
        self.asked.update(range(before, len(self.tape.nodes)))
        return result

    def _listed(self, tensor: Tensor, call: Callable[[], Any]) -> Any:
        """Numbers leave for Python, as by `.item()`."""
        self._add_node(torch.ops.aten._local_scalar_dense.default, "tolist", {"self": Ref(self._value(tensor))}, [])
        return call()

    def _function(self, function: type[Function], arguments: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        """A custom Function: taken as one operation if it is to be, or if its forward pass does what nobody saw."""
        number, self.n_functions = self.n_functions, self.n_functions + 1
        read = [self._value(one) for one in arguments if isinstance(one, Tensor)]
        first_value, first_node = len(self.tape.values), len(self.tape.nodes)
        result = call()
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        inside = self.tape.nodes[first_node:]
        allowed = self.whole(function, calling_site())
        if not allowed and not self._is_opaque([self._value(one) for one in made], read, inside, first_value):
            return result
        self.superseded.update(self._value(one) for one in made)
        for node in inside:
            self.tape.nodes[node.id] = replace(node, hidden=True)
            self.superseded.update(node.outputs)
        outputs = []
        for slot, tensor in enumerate(made):
            value = self._new(tensor, function.__name__, "result", producer=len(self.tape.nodes), slot=slot)
            given = any(tensor is one for one in arguments)
            (self.memory.wrote if given else self.memory.hold)(tensor, value)
            outputs.append(value.id)
        done = FunctionCall(function, arguments, number, allowed)
        self._add_node(done, f"{WHOLE}.{function.__name__}", {"inputs": [Ref(one) for one in read]}, outputs)
        return result

    def _is_opaque(self, made: list[int], read: list[int], inside: list[Node], first_value: int) -> bool:
        """Whether a result comes from numbers that no recorded operation made of the arguments."""
        reached, blank = set(read), set[int]()
        for node in inside:
            inputs = set(node.inputs)
            writes = {node.arguments["self"].value} if node.in_place and "self" in node.arguments else set()
            unknown = [self.tape.values[one] for one in inputs if one >= first_value]
            if any(one.role == "constant" for one in unknown) or blank.intersection(inputs - writes):
                return True
            if node.rule_name.startswith(("empty", "new_empty")):
                blank.update(node.outputs)
            elif node.rule_name not in STOPPING and not node.rule_name.endswith("_like") and reached & inputs:
                reached.update(node.outputs)
        numbers = [one for one in made if self.tape.values[one].differentiable]
        return bool(read) and any(one not in reached for one in numbers)

    def register(self, arguments: Mapping[str, Any]) -> None:
        """Puts every tensor and module that the program was given on the tape, called by its place."""
        for name, argument in arguments.items():
            for path, thing in members(name, argument):
                if isinstance(thing, nn.Module):
                    self.modules.know(thing, path)
                    self._register_module(thing, path)
                elif self.memory.holding(thing) is None:
                    self._leaf(thing, path, "input")

    def _register_module(self, module: nn.Module, prefix: str) -> None:
        """Puts the parameters and buffers on the tape under their names; tied ones once, under the first."""
        parameters = module.named_parameters(prefix=prefix, remove_duplicate=False)
        buffers = module.named_buffers(prefix=prefix, remove_duplicate=False)
        found: list[tuple[Role, str, Tensor]] = [("parameter", name, tensor) for name, tensor in parameters]
        for role, name, tensor in [*found, *[("buffer", name, tensor) for name, tensor in buffers]]:
            if self.memory.holding(tensor) is None:
                self._leaf(tensor, name, "buffer" if role == "buffer" else "parameter")
                continue
            value = self.tape.values[self._value(tensor)]
            if value.role in ("constant", "result"):  # the module was made on the way
                value.name = self._unused(name)
            elif value.name != name:
                self.tape.tied[name] = value.name

    def _unused(self, name: str) -> str:
        """The name, with a number behind it when it was given before."""
        seen = self.used[name] = self.used.get(name, 0) + 1
        return name if seen == 1 else f"{name}_{seen - 1}"

    def finish(self, result: Any, answer: Any) -> None:
        """Notes what was returned, and what holds at the end."""
        given_back = [leaf for leaf in tree_leaves([result, answer]) if isinstance(leaf, Tensor)]
        self.tape.outputs = tuple(dict.fromkeys(self._value(leaf) for leaf in given_back))
        for leaf in given_back:
            value = self.tape.values[self._value(leaf)]
            value.tensor = leaf if value.tensor is None and self.tape.keep == "boundary" else value.tensor
        if isinstance(answer, Tensor) and answer.numel() == 1 and answer.dtype.is_floating_point:
            self.tape.loss = self._value(answer)
        self.tape.modules = dict(self.modules.classes)
        settle(self.tape, self.memory, self.clock)
        for number in self.superseded:
            self.tape.values[number].requires_grad = self.tape.values[number].is_leaf = False
            self.tape.values[number].edge = None

    def value_of(self, tensor: Tensor) -> int:
        """The number of the value that the tensor holds now."""
        return self._value(tensor)

    def _refer(self, argument: Any) -> Any:
        if isinstance(argument, Tensor):
            return Ref(self._value(argument))
        return tree_map_only(Tensor, lambda tensor: Ref(self._value(tensor)), argument)

    def _value(self, tensor: Tensor) -> int:
        """The value that the tensor holds; a tensor never seen becomes a constant."""
        holding = self.memory.holding(tensor)
        if holding is None:
            again = self.memory.again(tensor)
            return self._leaf(tensor, "constant", "constant").id if again is None else again.id
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

    def _replace(self, tensor: Tensor, old: Value) -> int:
        """The program set `tensor.data`: a weight begins anew, for autograd everything else goes on as before."""
        old.tensor = None  # its numbers are gone
        old.requires_grad = tensor.requires_grad and not tensor.is_leaf
        if not old.requires_grad:
            self._forget(old)
            return self._leaf(tensor, old.name, "constant" if old.role == "result" else old.role).id
        value = self._new(tensor, "set_data", "result", producer=len(self.tape.nodes))
        self.memory.hold(tensor, value)
        self._add_node(None, "set_data", {"self": Ref(old.id)}, [value.id])
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

    def _leaf(self, tensor: Tensor, name: str, role: Role) -> Value:
        if hasattr(tensor, COMPUTED) and role == "constant":
            raise LensError(
                f"{getattr(tensor, COMPUTED)} was computed from weights before the run, and nothing is known of how; "
                "compute it inside forward"
            )
        value = self._new(tensor, name, role)
        value.requires_grad, value.is_leaf = tensor.requires_grad, True
        self.memory.hold(tensor, value)
        return value

    def _new(self, tensor: Tensor, name: str, role: Role, **rest: Any) -> Value:
        value = Value(len(self.tape.values), self._unused(name), role, self.memory.meta(tensor), **rest)
        if self.tape.keep == "all" or role in ("parameter", "buffer", "input"):
            value.tensor = tensor
        if self.tape.keep == "stats":
            value.stats = self._measured(tensor)
        self.tape.values.append(value)
        return value

    def _measured(self, tensor: Tensor) -> Any:
        self.pausing = True
        try:
            return measure(tensor)
        finally:
            self.pausing = False

    def _add(self, func: Any, arguments: dict[str, Any], made: list[Tensor], written: list[Tensor]) -> None:
        """Writes one operation and its results on the tape."""
        number, name = len(self.tape.nodes), func._overloadpacket.__name__.strip("_")
        references = [leaf for leaf in tree_leaves(arguments) if isinstance(leaf, Ref)]
        inputs = {self.tape.values[ref.value].meta.storage: ref.value for ref in references}
        outputs = []
        if not made:  # such as `_foreach_add_`, which returns nothing
            made, written_only = written, []
        else:
            written_only = [tensor for tensor in written if all(tensor is not one for one in made)]
        for slot, tensor in enumerate(made):
            in_place = any(tensor is one for one in written)
            seen_in = None if in_place else inputs.get(self.memory.storage(tensor).number)
            value = self._new(tensor, name, "result", producer=number, slot=slot, view_of=seen_in)
            (self.memory.wrote if in_place else self.memory.hold)(tensor, value)
            outputs.append(value.id)
        for tensor in written_only:  # running statistics
            before = self.memory.holding(tensor)
            assert before is not None
            self.memory.wrote(tensor, self._new(tensor, self.tape.values[before.value].name, "buffer"))
        self._add_node(
            func, str(func).removeprefix("aten.").removeprefix("prims."), arguments, outputs, in_place=bool(written)
        )

    def _add_node(
        self, func: Any, op: str, arguments: dict[str, Any], outputs: list[int], *, in_place: bool = False
    ) -> None:
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
        value = self._new(tensor, UPDATE, "result", producer=len(self.tape.nodes))
        if latest:
            self.memory.hold(tensor, value)
        elif value.tensor is not None:
            value.overwritten = True
            value.tensor = merged(tensor, self.tape.values[old].tensor, write, self.tape.values[write.value].tensor)
        arguments = {"self": Ref(old), "written": Ref(write.value), "place": (write.shape, write.stride, write.offset)}
        self._add_node(None, UPDATE, arguments, [value.id])
        return value.id
