"""Which operation is to blame for a wrong gradient: the one behind which everything is still right."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from chainrule.lens.engine import (
    CustomFunctions,
    Policy,
    ReverseStep,
    autograd_gradients,
    difference,
    function_name,
    function_site,
    local_gradient,
    maker_of,
    reverse,
    written_in_parts,
)
from chainrule.lens.tape import Site, Tape


@dataclass(frozen=True)
class Place:
    """An operation whose gradient is wrong, as autograd and the rules see it.

    `value` is the tensor that received the wrong gradient from it. `function` is the custom autograd Function that it
    is a part of, `function_site` where the backward pass of that is written. `others` are operations that might be
    meant instead: where several hand a gradient to one tensor, autograd does not always tell them apart. `by_numbers`:
    autograd and the rules agree there, and numbers contradict both; `others` are then contradicted too. `unseen`: a
    write in place that autograd did not see, for lack of a wrong operation. `by_hook`: `function` is a hook.
    `between`: the operation is right by itself, and what it handed on was changed before it arrived. `once_more`: it is
    wrong only when the program runs and goes back once more.
    """

    node: int
    op: str
    module: str
    site: Site | None
    value: str
    relative: float
    function: str | None = None
    function_site: Site | None = None
    others: tuple[int, ...] = ()
    by_numbers: bool = False
    unseen: bool = False
    by_hook: bool = False
    between: bool = False
    once_more: bool = False

    @property
    def called(self) -> str:
        """Who is named: a hook, a custom Function, or else the operation."""
        if self.function is None:
            return self.op
        return self.function if self.by_hook else f"custom Function {self.function}"

    @property
    def told(self) -> str:
        """What is wrong, with who is named, for the middle of a sentence."""
        module = f" in {self.module}" if self.module else ""
        if self.unseen:
            return f"{self.op}{module} writes to a tensor without autograd seeing it"
        if self.relative == math.inf:
            return f"the gradient of {self.called}{module} is not finite"
        if self.between:
            return (
                f"the gradient that {self.called}{module} hands to {self.value} is changed on the way, by "
                f"{self.relative:.1e}: look for a hook on a node of autograd's graph (grad_fn.register_hook)"
            )
        when = " when the program runs once more" if self.once_more else ""
        return f"the gradient of {self.called}{module} is off by {self.relative:.1e}{when}"


def locate(tape: Tape, wrong: Mapping[int, float], *, policy: Policy) -> Place | None:
    """The place where the gradients of `wrong` (value number: relative error) went wrong first, on the way back.

    A wrong value is where it began when every operation that used it has right gradients at its own results. Where
    there are several such values, the one used last in the program comes first on the way back.
    """
    owners = Owners(tape)
    used = {value: owners.of(nodes) for value, nodes in tape.consumers().items()}
    known = [value for value in wrong if value in used]
    begun = [value for value in known if not any(owners.wrong_behind(nodes, wrong) for nodes in used[value].values())]
    if not known:
        return None
    value = max(begun or known, key=lambda one: max(max(nodes) for nodes in used[one].values()))
    users = _users_that_contribute(tape, value, used[value], policy)
    user, others, innocent = _blame(tape, value, users, owners)
    place = _place(tape, value, wrong[value], user, owners, others)
    return replace(place, between=True) if innocent else place


class Owners:
    """Who has a gradient of its own to answer for.

    That is an operation (its number), the custom Function that it is a part of (autograd's node), or the writes to
    parts of a tensor (a name): only together can they be held against autograd.
    """

    def __init__(self, tape: Tape) -> None:
        self.tape, self.functions = tape, CustomFunctions(tape)
        written = written_in_parts(tape)
        self.writes: dict[int, str] = {}  # operations whose result lies in memory that was written to in parts
        self.readers: dict[str, list[int]] = {}
        for node in tape.nodes:
            if any(output in written for output in node.outputs):
                self.writes[node.id] = self._memory(node.outputs[0])
                continue
            for value in node.inputs:
                if value in written:
                    self.readers.setdefault(self._memory(value), []).append(node.id)

    def _memory(self, value: int) -> str:
        return f"memory {self.tape.values[value].meta.storage}"

    def key(self, node: int) -> Any:
        """The owner of the operation."""
        return self.functions.backward_of.get(node, self.writes.get(node, node))

    def of(self, nodes: list[int]) -> dict[Any, list[int]]:
        """The nodes by their owner."""
        found: dict[Any, list[int]] = {}
        for node in nodes:
            found.setdefault(self.key(node), []).append(node)
        return found

    def members(self, key: Any) -> list[int]:
        """All operations of an owner, in order."""
        if isinstance(key, int):
            return [key]
        if isinstance(key, str):
            return [node for node, name in self.writes.items() if name == key]
        return self.functions.members(key)

    def outputs(self, nodes: list[int]) -> list[int]:
        """What the owner of these nodes gives to the rest of the program."""
        key = self.key(nodes[0])
        read = self.readers.get(key, []) if isinstance(key, str) else []
        return [output for node in [*self.members(key), *read] for output in self.tape.nodes[node].outputs]

    def shown(self, key: Any, nodes: list[int]) -> int:
        """The operation that stands for the owner: of a Function the last, which made its result; of writes one."""
        members = self.members(key)
        writing = [node for node in members if self.tape.nodes[node].in_place]
        return writing[-1] if isinstance(key, str) and writing else max(nodes) if isinstance(key, int) else members[-1]

    def wrong_behind(self, nodes: list[int], wrong: Mapping[int, float]) -> bool:
        """Whether the owner already received a wrong gradient."""
        return any(output in wrong for output in self.outputs(nodes))


@dataclass(frozen=True)
class User:
    """An owner that hands `ours`, by the rules, to the value."""

    key: Any
    nodes: list[int]
    ours: Tensor | None


def _users_that_contribute(tape: Tape, value: int, used: Mapping[Any, list[int]], policy: Policy) -> list[User]:
    """What each owner contributes to the gradient of the value, by the rules."""
    parts: dict[int, Tensor] = {}

    def see(step: ReverseStep) -> None:
        for one in step.outgoing:
            if one.value == value:
                known = parts.get(step.node.id)
                parts[step.node.id] = one.gradient if known is None else known + one.gradient

    reverse(tape, see, policy=policy)
    users = []
    for key, nodes in used.items():
        given = [parts[node] for node in nodes if node in parts]
        users.append(User(key, nodes, sum(given[1:], given[0]) if given else None))
    return users


def _blame(tape: Tape, value: int, users: list[User], owners: Owners) -> tuple[User, tuple[User, ...], bool]:
    """The user whose contribution differs most from autograd's; and those of which autograd's is not known.

    Where the known ones differ by less than a rounding of the whole, it must be one of the others. Where all are known
    and none differs, asked by itself, all are innocent.
    """
    outputs = [output for user in users for output in owners.outputs(user.nodes)]
    gradients = autograd_gradients(tape, [*outputs, value])
    errors: dict[int, float] = {}
    for place, user in enumerate(users):
        maker = maker_of(tape, tape.nodes[user.key]) if isinstance(user.key, int) else user.key
        if maker is None or isinstance(maker, str):
            continue
        theirs = local_gradient(tape, maker, owners.outputs(user.nodes), tape.values[value], gradients)
        if theirs is not None:
            errors[place] = difference(value, user.ours, theirs, 0.0).relative
    unknown = [place for place in range(len(users)) if place not in errors]
    rounding = len(users) * torch.finfo(tape.values[value].meta.dtype).eps
    worst = max(errors, key=lambda place: errors[place], default=None)
    if worst is None or (unknown and errors[worst] <= rounding):
        worst = unknown[0]
    innocent = not unknown and errors[worst] <= rounding
    return users[worst], tuple(users[place] for place in unknown if place != worst), innocent


def _place(tape: Tape, value: int, relative: float, user: User, owners: Owners, others: tuple[User, ...]) -> Place:
    """The operation to name, and the custom Function if it is one."""
    backward = None if isinstance(user.key, int | str) else user.key
    node = tape.nodes[owners.shown(user.key, user.nodes)]
    return Place(
        node.id,
        node.op,
        node.module,
        node.site,
        tape.values[value].name,
        relative,
        None if backward is None else function_name(backward),
        None if backward is None else function_site(backward),
        (*(max(one.nodes) for one in others), *(owners.readers.get(user.key, ()) if isinstance(user.key, str) else ())),
    )
