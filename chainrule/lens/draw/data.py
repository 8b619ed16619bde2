"""What a picture is: modules, operations, tensors and the steps of the reverse walk, as plain data."""

from dataclasses import dataclass
from functools import cached_property

from chainrule.lens.draw.layout import Row
from chainrule.lens.draw.thumbnail import Look
from chainrule.lens.tape import Site


@dataclass(frozen=True)
class DrawnBox:
    """One call of a module.

    `rows` are its children from top to bottom: left side, middle and right side, each of ("op", number),
    ("box", number), ("leaf", value) and ("lane", value), where the wire of a value passes.
    """

    id: int
    path: str
    label: str
    kind: str
    call: int
    parent: int | None
    n_ops: int
    n_parameters: int
    makes: tuple[int, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class DrawnRule:
    """What an operation computes, and for each argument its letter and its local derivative, as text and as LaTeX."""

    text: str
    latex: str
    by: dict[str, tuple[str, str, str]]


@dataclass(frozen=True)
class DrawnSaved:
    """A tensor that autograd keeps until the way back, by its own word; `held` ones live on anyway."""

    word: str
    value: int | None
    bytes: int
    held: bool


@dataclass(frozen=True)
class DrawnCost:
    """Seconds in the recorded run, bytes newly made, FLOPs, and what autograd keeps of the operation."""

    seconds: float
    bytes: int
    flops: int
    saved: tuple[DrawnSaved, ...]


@dataclass(frozen=True)
class DrawnTerm:
    """A followed element at one operation: element `index` of `value`, and the largest product of its sum.

    `number` is what this operation gives to its gradient, `total` the whole gradient, with other uses of the element.
    """

    op: int
    value: int
    index: tuple[int, ...]
    n_terms: int
    number: float
    total: float
    output: int | None
    output_index: tuple[int, ...]
    gradient: float | None
    local: float | None


@dataclass(frozen=True)
class DrawnPath:
    """One element of a weight, followed from the loss: `terms` from there down to it."""

    name: str
    value: int
    index: tuple[int, ...]
    number: float
    gradient: float
    terms: tuple[DrawnTerm, ...]


@dataclass(frozen=True)
class DrawnOp:
    """One operation. `saying` is it in words, `reads` pairs its arguments with values, `given` are its other arguments.

    `site` is its place in the picture's list, `rule` a key of its rules, `step` its place in the reverse walk, None
    when no gradient goes through it.
    """

    id: int
    op: str
    box: int
    saying: str
    reads: tuple[tuple[str, int], ...]
    given: tuple[tuple[str, str], ...]
    makes: tuple[int, ...]
    site: int | None
    rule: str
    step: int | None
    in_place: bool
    independent: bool
    error: float | None = None
    tolerance: float | None = None
    cost: DrawnCost | None = None

    @property
    def exceeds(self) -> bool:
        """Whether its error is more than its tolerance."""
        return self.error is not None and self.tolerance is not None and self.error > self.tolerance


@dataclass(frozen=True)
class Contribution:
    """What one use of a value added to its gradient."""

    op: int
    argument: str
    norm: float | None
    number: float | None


@dataclass(frozen=True)
class DrawnValue:
    """One tensor. `met` are the contributions to its gradient, where there were two or more."""

    id: int
    name: str
    role: str
    shape: tuple[int, ...]
    dtype: str
    device: str
    box: int | None
    made_by: int | None
    read_by: tuple[int, ...]
    view_of: int | None
    value: Look | None
    gradient: Look | None = None
    met: tuple[Contribution, ...] = ()


@dataclass(frozen=True)
class DrawnPart:
    """One input's gradient in a step: local derivative times what came in. Norms for tensors, numbers for scalars."""

    argument: str
    value: int
    local: float | None
    number: float | None
    norm: float | None


@dataclass(frozen=True)
class DrawnStep:
    """One line of the ledger. The gradient that came in is that of the value `through`; a number for a scalar."""

    order: int
    op: int
    value: int
    through: int
    incoming: float | None
    incoming_norm: float | None
    parts: tuple[DrawnPart, ...]


@dataclass(frozen=True)
class Picture:
    """Everything that a page, a drawing or a table is made from. `omitted` says in sentences what was left out."""

    title: str
    level: str
    training: bool | None
    loss: int | None
    boxes: tuple[DrawnBox, ...]
    ops: tuple[DrawnOp, ...]
    values: tuple[DrawnValue, ...]
    steps: tuple[DrawnStep, ...]
    sites: tuple[Site, ...]
    rules: dict[str, DrawnRule]
    unreached: tuple[int, ...]
    tied: tuple[tuple[str, str], ...]
    verdict: str | None
    summary: str | None
    suspect: int | None
    omitted: tuple[str, ...]
    seconds: float | None = None
    flops: int | None = None
    saved_bytes: int | None = None
    followed: DrawnPath | None = None

    def state(self, op: DrawnOp) -> str | None:
        """What a verification found at an operation: `wrong` at the culprit, `follows` where an error came from there.

        Else `right`; and `agrees` where two ways agree and the verdict says that this is no proof, since numbers
        contradict both of them or something is open. None without a verification.
        """
        if op.error is None:
            return "wrong" if op.id == self.suspect and self.verdict else None
        if op.id == self.suspect:
            return "wrong"
        if op.exceeds:
            return "follows"
        return "right" if self.verdict == "proved" or self.parted else "agrees"

    @cached_property
    def parted(self) -> bool:
        """Whether autograd and the rules part at any operation."""
        return any(one.exceeds for one in self.ops)
