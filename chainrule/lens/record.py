"""Records a run: every tensor operation of a module or function, with real values and without changes to its code."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten_with_path, tree_leaves, tree_map_only

from chainrule.base import DeviceError, LensError
from chainrule.lens.memory import Memory
from chainrule.lens.sites import ModuleStack, calling_site
from chainrule.lens.statistics import measure
from chainrule.lens.tape import Keep, Level, Node, Ref, Role, Tape, Value

Target = nn.Module | Callable[..., Any]
UPDATE = "write_through"


def record(
    target: Target,
    *inputs: Any,
    loss: Callable[[Any], Tensor] | None = None,
    level: Level = "op",
    keep: Keep = "all",
    **named: Any,
) -> Tape:
    """Runs `target(*inputs, **named)`, then `loss` on what it returns, and returns the tape of all operations.

    `target` is any module, method of a module, or function. Gradients exist for the parameters and for the inputs that
    require one. Without `loss`, what is returned should be a scalar, or hold one as `.loss`; else the tape can be looked at and not
    differentiated.

    `level` "op" has the operations as PyTorch names them, "core" breaks them into core ATen. `keep` "all" holds every
    tensor (needed to differentiate), "stats" a few numbers of each, "boundary" the tensors that modules take and return.

    Raises DeviceError when the program asks for a device that is not here.
    """
    module = target if isinstance(target, nn.Module) else getattr(target, "__self__", None)
    root = module if isinstance(module, nn.Module) else None
    tape = Tape(_name(target), level, keep, None if root is None else root.training)
    recorder = Recorder(tape, ModuleStack(root))
    if root is not None:
        recorder.register_module(root, "")
    recorder.register_inputs(_arguments(target, inputs, named))
    recorder.register_closure(target)
    try:
        with torch.enable_grad(), recorder.modules.following(), recorder:
            result = target(*inputs, **named)
            answer = loss(result) if loss is not None else getattr(result, "loss", result)
    except (RuntimeError, AssertionError) as fault:
        if "CUDA" in str(fault) or "mps" in str(fault).lower():
            raise DeviceError(
                f"{tape.target} asks for a device that is not here ({str(fault).splitlines()[0]}); "
                "make the model and its inputs on the CPU"
            ) from fault
        raise
    recorder.finish(result, answer)
    return without_saved_copies(tape)


def without_saved_copies(tape: Tape) -> Tape:
    """The tape without the `detach` of results that autograd keeps for itself: nobody reads them.

    A `detach` that the program asked for and then used stays.
    """
    read = {value for node in tape.nodes for value in node.inputs} | set(tape.outputs)
    nodes = [node for node in tape.nodes if node.rule_name != "detach" or node.outputs[0] in read]
    made = {output for node in nodes for output in node.outputs}
    values = [value for value in tape.values if value.producer is None or value.id in made]
    node_number = {node.id: i for i, node in enumerate(nodes)}
    value_number = {value.id: i for i, value in enumerate(values)}
    for value in values:
        value.id = value_number[value.id]
        value.producer = None if value.producer is None else node_number[value.producer]
        value.view_of = None if value.view_of is None else value_number[value.view_of]
    tape.values = values
    tape.nodes = [
        replace(
            node,
            id=node_number[node.id],
            arguments=tree_map_only(Ref, lambda ref: Ref(value_number[ref.value]), node.arguments),
            outputs=tuple(value_number[output] for output in node.outputs),
        )
        for node in nodes
    ]
    tape.outputs = tuple(value_number[output] for output in tape.outputs)
    tape.loss = None if tape.loss is None else value_number[tape.loss]
    tape.versions = {value_number[value]: n for value, n in tape.versions.items() if value in value_number}
    return tape


def _name(target: Target) -> str:
    if isinstance(target, nn.Module):
        return type(target).__name__
    owner = getattr(target, "__self__", None)
    name = getattr(target, "__name__", type(target).__name__)
    return f"{type(owner).__name__}.{name}" if owner is not None else name


def _arguments(target: Target, inputs: Iterable[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs by the names of the parameters that take them."""
    called = target.forward if isinstance(target, nn.Module) else target
    try:
        return dict(inspect.signature(called).bind(*inputs, **named).arguments)
    except (TypeError, ValueError):
        return {f"input{i}": one for i, one in enumerate(inputs)} | dict(named)


class Recorder(TorchDispatchMode):
    """Sees every operation below autograd, writes it on the tape and lets it happen."""

    def __init__(self, tape: Tape, modules: ModuleStack) -> None:
        super().__init__()
        self.tape, self.modules, self.memory = tape, modules, Memory()
        self.used: dict[str, int] = {}
        self.decompositions = _core() if tape.level == "core" else {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in self.decompositions:
            with self:
                result = self.decompositions[func](*args, **kwargs)
            if result is not NotImplemented:
                return result
        arguments = _by_schema(func, args, kwargs)
        written = _written(func, arguments)
        found = {name: self._refer(argument) for name, argument in arguments.items()}
        for tensor in written:
            self.memory.before_write(tensor)
        result = func(*args, **kwargs)
        self._add(func, found, result, written)
        return result

    def register_module(self, module: nn.Module, prefix: str) -> None:
        """Puts the parameters and buffers on the tape under their names; tied ones once, under the first."""
        for role, items in (("parameter", module.named_parameters), ("buffer", module.named_buffers)):
            for name, tensor in items(prefix=prefix, remove_duplicate=False):
                known = self.memory.holding(tensor)
                if known is None:
                    self._leaf(tensor, name, cast(Role, role))
                elif self.tape.values[known.value].name != name:
                    self.tape.tied[name] = self.tape.values[known.value].name

    def register_inputs(self, arguments: Mapping[str, Any]) -> None:
        """Puts every tensor among the arguments on the tape, called by its parameter and its place in it."""
        for name, argument in arguments.items():
            if isinstance(argument, nn.Module):
                self.register_module(argument, name)
                continue
            for path, leaf in tree_flatten_with_path(argument)[0]:
                if isinstance(leaf, Tensor) and self.memory.holding(leaf) is None:
                    self._leaf(leaf, name + "".join(str(key) for key in path), "input")

    def register_closure(self, target: Target) -> None:
        """Names the tensors and modules that a function takes from around it."""
        if inspect.isfunction(target):
            around = inspect.getclosurevars(target)
            self.register_inputs(
                {
                    name: one
                    for name, one in {**around.globals, **around.nonlocals}.items()
                    if isinstance(one, Tensor | nn.Module)
                }
            )

    def finish(self, result: Any, answer: Any) -> None:
        """Notes what was returned, and the versions and gradient flags that hold at the end."""
        for value in self.tape.values:
            if value.tensor is not None and value.edge is None:
                value.requires_grad = value.tensor.requires_grad
                self.tape.versions[value.id] = value.tensor._version
        self.tape.modules = dict(self.modules.classes)
        leaves = [leaf for leaf in tree_leaves([result, answer]) if isinstance(leaf, Tensor)]
        self.tape.outputs = tuple(dict.fromkeys(self._value(leaf) for leaf in leaves))
        if isinstance(answer, Tensor) and answer.numel() == 1 and answer.dtype.is_floating_point:
            self.tape.loss = self._value(answer)

    def _refer(self, argument: Any) -> Any:
        return tree_map_only(Tensor, lambda tensor: Ref(self._value(tensor)), argument)

    def _value(self, tensor: Tensor) -> int:
        """The value that the tensor holds; a tensor never seen becomes a constant."""
        holding = self.memory.holding(tensor)
        if holding is None:
            return self._leaf(tensor, "constant", "parameter" if tensor.requires_grad else "constant").id
        for write in self.memory.missed(tensor):
            self._update(tensor, holding.value, write)
            holding = self.memory.holding(tensor)
            assert holding is not None
        self._keep_at_boundary(tensor, self.tape.values[holding.value])
        return holding.value

    def _keep_at_boundary(self, tensor: Tensor, value: Value) -> None:
        """With keep="boundary": keeps what one module hands to another."""
        maker = self.tape.producer(value)
        if self.tape.keep == "boundary" and maker is not None and maker.module != self.modules.here[0]:
            value.tensor = tensor

    def _leaf(self, tensor: Tensor, name: str, role: Role) -> Value:
        value = self._new(tensor, name, role)
        value.requires_grad = tensor.requires_grad
        self.memory.hold(tensor, value)
        return value

    def _new(self, tensor: Tensor, name: str, role: Role, **rest: Any) -> Value:
        seen = self.used[name] = self.used.get(name, 0) + 1
        value = Value(
            len(self.tape.values),
            name if seen == 1 else f"{name}_{seen - 1}",
            role,
            self.memory.meta(tensor),
            **rest,
        )
        if self.tape.keep == "all" or role in ("parameter", "buffer", "input"):
            value.tensor = tensor
        if self.tape.keep == "stats":
            value.stats = measure(tensor)
        self.tape.values.append(value)
        return value

    def _add(self, func: Any, arguments: dict[str, Any], result: Any, written: list[Tensor]) -> None:
        """Writes one operation and its results on the tape."""
        number = len(self.tape.nodes)
        inputs = {value.meta.storage: value.id for value in self._inputs(arguments)}
        outputs = []
        for slot, tensor in enumerate(leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)):
            storage = self.memory.storage(tensor).number
            in_place = any(tensor is one for one in written)
            value = self._new(
                tensor,
                func._overloadpacket.__name__.strip("_"),
                "result",
                producer=number,
                slot=slot,
                view_of=None if in_place else inputs.get(storage),
            )
            (self.memory.wrote if in_place else self.memory.hold)(tensor, value)
            outputs.append(value.id)
        self._add_node(func, str(func).removeprefix("aten."), arguments, outputs, bool(written))

    def _add_node(
        self, func: Any, op: str, arguments: dict[str, Any], outputs: list[int], in_place: bool = False
    ) -> None:
        path, call = self.modules.here
        self.tape.nodes.append(
            Node(
                len(self.tape.nodes),
                op,
                func,
                path,
                call,
                calling_site(),
                arguments,
                tuple(outputs),
                torch.is_grad_enabled(),
                in_place,
            )
        )

    def _inputs(self, arguments: dict[str, Any]) -> list[Value]:
        return [self.tape.values[leaf.value] for leaf in tree_leaves(arguments) if isinstance(leaf, Ref)]

    def _update(self, tensor: Tensor, old: int, write: Any) -> None:
        """Another tensor of the storage was written to: what this one holds now is the old value with that write."""
        value = self._new(tensor, UPDATE, "result", producer=len(self.tape.nodes))
        self.memory.hold(tensor, value)
        arguments = {"self": Ref(old), "written": Ref(write.value), "place": (write.shape, write.stride, write.offset)}
        self._add_node(None, UPDATE, arguments, [value.id])


def _by_schema(func: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments by their names in the operation's schema, with the defaults that were left out."""
    schema = func._schema.arguments
    given = {argument.name: one for argument, one in zip(schema, args, strict=False)} | kwargs
    return {a.name: given[a.name] if a.name in given else a.default_value for a in schema}


def _written(func: Any, arguments: dict[str, Any]) -> list[Tensor]:
    """The tensors that the operation writes to in place."""
    marked = [a.name for a in func._schema.arguments if a.alias_info is not None and a.alias_info.is_write]
    return [leaf for name in marked for leaf in tree_leaves(arguments[name]) if isinstance(leaf, Tensor)]


def _core() -> dict[Any, Callable[..., Any]]:
    table = torch._decomp.core_aten_decompositions()
    if not table:
        raise LensError("this version of torch has no decompositions into core ATen; record with level='op'")
    return dict(table)
