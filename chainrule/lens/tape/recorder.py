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

from chainrule.health import ModuleStack
from chainrule.lens.tape.clocking import timed
from chainrule.lens.tape.escapes import Escapes
from chainrule.lens.tape.functions import FunctionCall, around_functions, is_opaque
from chainrule.lens.tape.nodes import Ref, Role, Site, Tape
from chainrule.lens.tape.operations import broken_up, by_schema, core_decompositions, written_by
from chainrule.lens.tape.reach import members
from chainrule.lens.tape.sites import calling_site
from chainrule.lens.tape.tracking import settle
from chainrule.lens.tape.wrappers import as_plain_tensors
from chainrule.lens.tape.writer import Writer

# The operation that stands for a custom Function as a whole.
WHOLE = "custom_function"

Whole = Callable[[type[Function], Site | None], bool]


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation below autograd, writes it on the tape and lets it happen."""

    def __init__(self, tape: Tape, root: nn.Module | None, whole: Whole) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tape, self.writer = tape, Writer(tape, ModuleStack(root, self._register_module))
        self.whole, self.n_functions = whole, 0
        self.decompositions = core_decompositions() if tape.level == "core" else {}
        self.asked: set[int] = set()  # each `detach` of the program's own, where autograd also makes some

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # True, torch's own answer, imports the whole compiler (a second) to keep it from looking in here.
        return False

    @contextmanager
    def following(self) -> Iterator[None]:
        """Records until the end of the block."""
        escapes = Escapes(self._listed, self._detached, self.writer.value)
        with self.writer.modules.following(), escapes, around_functions(self._function), self:
            yield

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass():  # what a subclass of Tensor had to say it has said
            return self._asked(func, args, kwargs or {})

    def _asked(self, func: Any, args: Any, kwargs: Any) -> Any:
        """One operation, as it reaches us."""
        if self.writer.measuring:
            return func(*args, **kwargs)
        simpler = broken_up(self, func, args, kwargs)
        if simpler is not NotImplemented:
            return simpler
        self.tape.goes_back |= torch._C._current_graph_task_id() != -1
        arguments = by_schema(func, args, kwargs)
        written = written_by(func, arguments)
        found = {name: self._refer(argument) for name, argument in arguments.items()}
        for tensor in written:
            self.writer.memory.before_write(tensor)
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
        self.writer.add_node(
            torch.ops.aten._local_scalar_dense.default, "tolist", {"self": Ref(self.writer.value(tensor))}, []
        )
        return call()

    def _function(self, function: type[Function], arguments: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        """A custom Function: taken as one operation if it is to be, or if its forward pass does what nobody saw."""
        number, self.n_functions = self.n_functions, self.n_functions + 1
        read = [self.writer.value(one) for one in arguments if isinstance(one, Tensor)]
        first_value, first_node = len(self.tape.values), len(self.tape.nodes)
        result = call()
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        self._see_through_detach(first_node)
        inside = self.tape.nodes[first_node:]
        allowed = self.whole(function, calling_site())
        if not allowed and not is_opaque(
            self.tape, [self.writer.value(one) for one in made], read, inside, first_value
        ):
            return result
        self.writer.superseded.update(self.writer.value(one) for one in made)
        for node in inside:
            self.tape.nodes[node.id] = replace(node, hidden=True)
            self.writer.superseded.update(node.outputs)
        outputs = []
        for slot, tensor in enumerate(made):
            value = self.writer.new(tensor, function.__name__, "result", producer=len(self.tape.nodes), slot=slot)
            given = any(tensor is one for one in arguments)
            (self.writer.memory.wrote if given else self.writer.memory.hold)(tensor, value)
            outputs.append(value.id)
        done = FunctionCall(function, arguments, number, allowed)
        self.writer.add_node(done, f"{WHOLE}.{function.__name__}", {"inputs": [Ref(one) for one in read]}, outputs)
        return result

    def _see_through_detach(self, first_node: int) -> None:
        """In the forward pass of a custom Function there is no gradient to stop: `detach` and `.data` only hand on."""
        for node in self.tape.nodes[first_node:]:
            if node.rule_name == "detach" and not node.grad_enabled:
                self.tape.nodes[node.id] = replace(node, op="alias.default", func=torch.ops.aten.alias.default)

    @as_plain_tensors()
    def register(self, arguments: Mapping[str, Any]) -> None:
        """Puts every tensor and module that the program was given on the tape, called by its place."""
        for name, argument in arguments.items():
            for path, thing in members(name, argument):
                if isinstance(thing, nn.Module):
                    self.writer.modules.know(thing, path)
                    self._register_module(thing, path)
                elif self.writer.memory.holding(thing) is None:
                    self.writer.leaf(thing, path, "input")

    def _register_module(self, module: nn.Module, prefix: str) -> None:
        """Puts the parameters and buffers on the tape under their names; tied ones once, under the first."""
        parameters = module.named_parameters(prefix=prefix, remove_duplicate=False)
        buffers = module.named_buffers(prefix=prefix, remove_duplicate=False)
        found: list[tuple[Role, str, Tensor]] = [("parameter", name, tensor) for name, tensor in parameters]
        for role, name, tensor in [*found, *[("buffer", name, tensor) for name, tensor in buffers]]:
            if self.writer.memory.holding(tensor) is None:
                self.writer.leaf(tensor, name, "buffer" if role == "buffer" else "parameter")
                continue
            value = self.tape.values[self.writer.value(tensor)]
            if value.role in ("constant", "result"):  # the module was made on the way
                value.name = self.writer.unused(name)
            elif value.name != name:
                self.tape.tied[name] = value.name

    @as_plain_tensors()
    def finish(self, result: Any, answer: Any) -> None:
        """Notes what was returned, and what holds at the end."""
        given_back = [leaf for leaf in tree_leaves([result, answer]) if isinstance(leaf, Tensor)]
        self.tape.outputs = tuple(dict.fromkeys(self.writer.value(leaf) for leaf in given_back))
        for leaf in given_back:
            value = self.tape.values[self.writer.value(leaf)]
            value.tensor = leaf if value.tensor is None and self.tape.keep == "boundary" else value.tensor
        if isinstance(answer, Tensor) and answer.numel() == 1 and answer.dtype.is_floating_point:
            self.tape.loss = self.writer.value(answer)
        self.tape.modules = dict(self.writer.modules.classes)
        settle(self.tape, self.writer.memory, self.writer.clock)
        for number in self.writer.superseded:
            self.tape.values[number].requires_grad = self.tape.values[number].is_leaf = False
            self.tape.values[number].edge = None

    def value_of(self, tensor: Tensor) -> int:
        """The number of the value that the tensor holds now."""
        return self.writer.value(tensor)

    def _refer(self, argument: Any) -> Any:
        if isinstance(argument, Tensor):
            return Ref(self.writer.value(argument))
        return tree_map_only(Tensor, lambda tensor: Ref(self.writer.value(tensor)), argument)

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
            seen_in = None if in_place else inputs.get(self.writer.memory.storage(tensor).number)
            value = self.writer.new(tensor, name, "result", producer=number, slot=slot, view_of=seen_in)
            (self.writer.memory.wrote if in_place else self.writer.memory.hold)(tensor, value)
            outputs.append(value.id)
        for tensor in written_only:  # running statistics
            before = self.writer.memory.holding(tensor)
            assert before is not None
            self.writer.memory.wrote(tensor, self.writer.new(tensor, self.tape.values[before.value].name, "buffer"))
        self.writer.add_node(
            func, str(func).removeprefix("aten.").removeprefix("prims."), arguments, outputs, in_place=bool(written)
        )
