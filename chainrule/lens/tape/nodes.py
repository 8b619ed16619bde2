"""What a recording holds: every tensor, every operation between them, and where in the program it was asked for."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

Level = Literal["op", "core"]
Keep = Literal["all", "stats", "boundary"]
Role = Literal["parameter", "buffer", "input", "constant", "result"]


# Of a longer line of the program a message has the beginning.
LONGEST = 80


@dataclass(frozen=True)
class Site:
    """The line of the program, outside torch, that asked for an operation."""

    file: str
    line: int
    function: str
    code: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def shown(self) -> str:
        """The line itself, of a long one the beginning."""
        return self.code if len(self.code) <= LONGEST else self.code[: LONGEST - 1] + "…"


@dataclass(frozen=True)
class Meta:
    """A tensor's form. `stride` and `offset` count elements; equal `storage` numbers mean shared memory."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    device: str
    stride: tuple[int, ...]
    offset: int
    storage: int
    storage_bytes: int
    version: int

    @property
    def n_elements(self) -> int:
        """How many numbers it holds."""
        return torch.Size(self.shape).numel()


@dataclass(frozen=True)
class Stats:
    """A tensor in a few numbers; NaN and infinite elements are counted and left out of the rest."""

    smallest: float
    largest: float
    mean: float
    std: float
    norm: float
    n_nan: int
    n_inf: int


@dataclass(eq=False)
class Value:
    """One tensor at one time: an operation that writes in place makes a new value of the same tensor.

    `tensor` is the program's own tensor. Of a value that was `overwritten` later it is a copy, and `edge` is then
    autograd's place of it (`torch.autograd.grad` takes either). `is_leaf`: gradients end here.
    """

    id: int
    name: str
    role: Role
    meta: Meta
    producer: int | None = None
    slot: int = 0
    view_of: int | None = None
    tensor: Tensor | None = None
    stats: Stats | None = None
    requires_grad: bool = False
    is_leaf: bool = False
    overwritten: bool = False
    edge: Any = None

    @property
    def in_program(self) -> Tensor | None:
        """The program's own tensor, also of a leaf that it has written to since; None of other overwritten values."""
        variable = getattr(getattr(self.edge, "node", None), "variable", None)
        return variable if self.overwritten else self.tensor

    @property
    def differentiable(self) -> bool:
        """Whether a gradient can exist: integers and truth values have none."""
        return self.meta.dtype.is_floating_point or self.meta.dtype.is_complex


@dataclass(frozen=True)
class Ref:
    """Stands in a node's arguments where the call had a tensor."""

    value: int


@dataclass(frozen=True)
class Node:
    """One operation. `op` is its name with overload (`mul.Tensor`); `arguments` are by the names of its schema.

    `module` is the path of the module that asked for it, from the recorded model ("" for the model itself), and `call`
    how many times that module had been called before. `grad_enabled` is false inside `torch.no_grad()` and inside the
    forward pass of a custom autograd Function; `tracked` is false in the first case only. `unseen` marks a write in
    place that autograd does not notice (under `torch.no_grad()`, or by way of `.data` or `.detach()`), `hidden` an
    operation in the forward pass of a custom Function that stands on the tape as a whole, `asked` a `detach` that the
    program wrote, where autograd makes some of its own. `seconds` is what it took when it was recorded, of which
    nothing is the recording.
    """

    id: int
    op: str
    func: Any
    module: str
    call: int
    site: Site | None
    arguments: dict[str, Any]
    outputs: tuple[int, ...]
    grad_enabled: bool
    in_place: bool
    tracked: bool = True
    unseen: bool = False
    hidden: bool = False
    asked: bool = False
    seconds: float = 0.0

    @property
    def inputs(self) -> tuple[int, ...]:
        """The values that it read, in the order of its arguments; one that was given twice stands twice."""
        return tuple(ref.value for _, ref in self.references())

    def references(self) -> Iterator[tuple[str, Ref]]:
        """(argument, reference) of each tensor read; the third of a list is called `tensors[2]`."""
        for name, argument in self.arguments.items():
            if isinstance(argument, Ref):
                yield name, argument
            elif isinstance(argument, list | tuple):
                yield from ((f"{name}[{i}]", one) for i, one in enumerate(argument) if isinstance(one, Ref))

    @property
    def rule_name(self) -> str:
        """The name under which its rule stands: without overload, and without the underscore of in-place operations."""
        if self.unseen:
            return "unseen_write"
        packet = self.op.rpartition(".")[0] or self.op
        return packet[:-1] if packet.endswith("_") and not packet.endswith("__") else packet


@dataclass
class Tape:
    """A recording, in the order in which it happened. `values[i].id == i`, and likewise for nodes.

    `target` says in words what was recorded, `modules` gives the class name of each module path. `versions` are the
    version counters of the kept tensors at the end of the recording: where one differs later, the tensor was written
    to. `loss` is the value that the recorded function returned, when that is a single floating-point number; `outputs`
    are all tensors in what it returned. `goes_back`: the program asked autograd for gradients itself, as for a penalty.
    """

    target: str
    level: Level
    keep: Keep
    training: bool | None = None
    nodes: list[Node] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    modules: dict[str, str] = field(default_factory=dict)
    tied: dict[str, str] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)
    outputs: tuple[int, ...] = ()
    loss: int | None = None
    goes_back: bool = False

    def named(self, name: str) -> Value | None:
        """The value of that name, or None. A tied parameter is found under each of its names."""
        name = self.tied.get(name, name)
        return next((value for value in self.values if value.name == name), None)

    def leaves(self) -> list[Value]:
        """The parameters and inputs that require a gradient, then tensors made on the way that were told to."""
        return [value for value in self.values if value.is_leaf and value.requires_grad]

    def producer(self, value: Value) -> Node | None:
        """The operation that made the value; None for a leaf."""
        return None if value.producer is None else self.nodes[value.producer]

    def consumers(self) -> dict[int, list[int]]:
        """For each value the operations that read it, in order."""
        found: dict[int, list[int]] = {}
        for node in self.nodes:
            for value in dict.fromkeys(node.inputs):
                found.setdefault(value, []).append(node.id)
        return found
