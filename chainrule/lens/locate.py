"""Which operation is to blame for a wrong gradient: the one behind which everything is still right."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from chainrule.lens.autograd import (
    CustomFunctions,
    autograd_gradients,
    function_name,
    function_site,
    local_gradient,
    maker_of,
)
from chainrule.lens.compare import difference
from chainrule.lens.reverse import ReverseStep, reverse
from chainrule.lens.rules import Rule
from chainrule.lens.tape import Site, Tape


@dataclass(frozen=True)
class Place:
    """An operation whose gradient is wrong, as autograd and the rules see it.

    `value` is the tensor that received the wrong gradient from it. `function` is the custom autograd Function that it
    is a part of, `function_site` where the backward pass of that is written. `others` are operations that might be
    meant instead: where several hand a gradient to one tensor, autograd does not always tell them apart.
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


def locate(tape: Tape, wrong: Mapping[int, float], *, rules: Mapping[str, Rule], fallback: bool) -> Place | None:
    """The place where the gradients of `wrong` (value number: relative error) went wrong first, on the way back.

    A wrong value is where it began when every operation that used it has right gradients at its own results. Where
    there are several such values, the one used last in the program comes first on the way back.
    """
    owners = Owners(tape)
    used = {value: owners.of(nodes) for value, nodes in tape.consumers().items()}
    begun = {
        value: max(max(nodes) for nodes in used[value].values())
        for value in wrong
        if value in used and not any(owners.wrong_behind(nodes, wrong) for nodes in used[value].values())
    }
    if not begun:
        return None
    value = max(begun, key=lambda one: begun[one])
    users = _users_that_contribute(tape, value, used[value], rules, fallback)
    key, others = _blame(tape, value, users, owners)
    return _place(tape, value, wrong[value], key, owners, others)


class Owners:
    """Who has a gradient of its own to answer for: an operation, or the custom Function that it is a part of."""

    def __init__(self, tape: Tape) -> None:
        self.tape, self.functions = tape, CustomFunctions(tape)

    def of(self, nodes: list[int]) -> dict[Any, list[int]]:
        """The nodes by their owner: the number of the operation, or autograd's node of the Function."""
        found: dict[Any, list[int]] = {}
        for node in nodes:
            backward = self.functions.backward_of.get(node)
            found.setdefault(node if backward is None else backward, []).append(node)
        return found

    def outputs(self, nodes: list[int]) -> list[int]:
        """What the owner of these nodes gives to the rest of the program."""
        backward = self.functions.backward_of.get(nodes[0])
        members = nodes if backward is None else self.functions.members(backward)
        return [output for node in members for output in self.tape.nodes[node].outputs]

    def wrong_behind(self, nodes: list[int], wrong: Mapping[int, float]) -> bool:
        """Whether the owner already received a wrong gradient."""
        return any(output in wrong for output in self.outputs(nodes))


@dataclass(frozen=True)
class User:
    """An owner that hands `ours`, by the rules, to the value."""

    key: Any
    nodes: list[int]
    ours: Tensor | None


def _users_that_contribute(
    tape: Tape, value: int, used: Mapping[Any, list[int]], rules: Mapping[str, Rule], fallback: bool
) -> list[User]:
    """What each owner contributes to the gradient of the value, by the rules."""
    parts: dict[int, Tensor] = {}

    def see(step: ReverseStep) -> None:
        for one in step.outgoing:
            if one.value == value:
                known = parts.get(step.node.id)
                parts[step.node.id] = one.gradient if known is None else known + one.gradient

    reverse(tape, see, rules=rules, fallback=fallback)
    users = []
    for key, nodes in used.items():
        given = [parts[node] for node in nodes if node in parts]
        users.append(User(key, nodes, sum(given[1:], given[0]) if given else None))
    return users


def _blame(tape: Tape, value: int, users: list[User], owners: Owners) -> tuple[User, tuple[User, ...]]:
    """The user whose contribution differs most from autograd's; and those of which autograd's is not known."""
    if len(users) == 1:
        return users[0], ()
    outputs = [output for user in users for output in owners.outputs(user.nodes)]
    gradients = autograd_gradients(tape, outputs)
    errors: dict[int, float] = {}
    for place, user in enumerate(users):
        maker = user.key if not isinstance(user.key, int) else maker_of(tape, tape.nodes[user.key])
        if maker is None:
            continue
        theirs = local_gradient(tape, maker, owners.outputs(user.nodes), tape.values[value], gradients)
        if theirs is not None:
            errors[place] = difference(value, user.ours, theirs, 0.0).absolute
    unknown = [place for place in range(len(users)) if place not in errors]
    worst = max(errors, key=lambda place: errors[place], default=unknown[0] if unknown else 0)
    return users[worst], tuple(users[place] for place in unknown if place != worst)


def _place(tape: Tape, value: int, relative: float, user: User, owners: Owners, others: tuple[User, ...]) -> Place:
    """The operation to name: of a custom Function the last, which made its result."""
    backward = owners.functions.backward_of.get(user.nodes[0])
    node = tape.nodes[max(user.nodes) if backward is None else owners.functions.members(backward)[-1]]
    return Place(
        node.id,
        node.op,
        node.module,
        node.site,
        tape.values[value].name,
        relative,
        None if backward is None else function_name(backward),
        None if backward is None else function_site(backward),
        tuple(max(one.nodes) for one in others),
    )
