"""Runs of a program in which what it cut from the gradient stays as it was: numbers then see what autograd sees."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map_only, tree_unflatten

from chainrule.lens.engine.aliases import Aliases
from chainrule.lens.engine.backward import ReverseStep
from chainrule.lens.engine.cuts import LEAVING, Hold, held_nodes
from chainrule.lens.rules import MOVED
from chainrule.lens.tape import (
    Escapes,
    FunctionCall,
    Node,
    Ref,
    Tape,
    around_functions,
    broken_up,
    by_schema,
    core_decompositions,
)

DETACH = torch.ops.aten.detach.default
# Not made in every run; the last by a subclass of Tensor, for its class.
COPIES = (DETACH, torch.ops.aten._to_copy.default, torch.ops.aten.alias.default)


class Holding:
    """For a recorded program: contexts in which it runs again with what it cut held.

    The operations of a run come in the order of the tape, since also what goes to Python is held. Should they not, the
    run goes on without holding, and `lost` is the operation where that began.
    """

    def __init__(self, tape: Tape) -> None:
        self.tape, self.held = tape, held_nodes(tape)
        # What an operation reads by way of an alias, as it was.
        read = frozenset().union(*Aliases(tape).read.values())
        self.aliased = {value: _copy(tape, value) for value in read}
        self.lost: Node | None = None
        self.bent: dict[int, _Bent] = {}
        self.plan = [node for node in tape.nodes if isinstance(node.func, torch._ops.OpOverload)]
        self.written = tuple(one for leaf in tape.leaves() if leaf.overwritten and (one := leaf.in_program) is not None)
        # A view of a weight moves with it, so what is held is copied.
        self.kept = {
            value: one.detach().clone()
            for number, hold in self.held.items()
            for value in _kept_for(tape.nodes[number], hold)
            if hold != "leaf" and (one := tape.values[value].tensor) is not None
        }

    def is_written(self, tensor: Tensor) -> bool:
        """Whether the tensor lies in the memory of a weight that the recorded run wrote to."""
        here = tensor.untyped_storage().data_ptr()
        return any(one.untyped_storage().data_ptr() == here for one in self.written)

    def bend(self, given: Mapping[int, ReverseStep]) -> None:
        """From now on a custom Function whose gradient is what it says is replaced by one that has this gradient.

        Its result stays, plus what its own backward pass (as it was `given` the gradient on the real way back) makes of
        how far its arguments have moved.
        """
        whole = {node.func.number: node.id for node in self.tape.nodes if isinstance(node.func, FunctionCall)}
        allowed = {number: node for number, node in whole.items() if self.tape.nodes[node].func.allowed}
        self.bent = {number: _Bent(self.tape, given[node]) for number, node in allowed.items() if node in given}

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """The context of one run."""
        if self.lost is not None or not (self.held or self.bent):
            yield
            return
        run = _Held(self)
        # A write that is left out has been counted before it comes here.
        counters = torch.autograd._unsafe_preserve_version_counter(self.written)  # type: ignore[attr-defined]
        with counters, Escapes(run.listed), run, around_functions(run.function):
            yield
        # A run that stops early is also one that went another way.
        run.past_copies(None)
        if self.lost is None and run.at < len(self.plan):
            self.lost = self.plan[run.at]


class _Bent:
    """A function with the results of a custom Function, and with the gradient that its backward pass gave."""

    def __init__(self, tape: Tape, step: ReverseStep) -> None:
        self.back = {}
        for one in step.outgoing:
            place = step.node.func.places[int(one.argument.partition("[")[2][:-1])]
            self.back[place] = (_copy(tape, one.value), one.gradient)
        self.made = [_copy(tape, output) for output in step.node.outputs]
        slots = [(i, g) for i, g in enumerate(step.incoming) if g is not None and bool(g.any())]
        self.slot: int | None = slots[0][0] if slots else None
        self.incoming: Tensor | None = slots[0][1] if slots else None

    def __call__(self, arguments: tuple[Any, ...], result: Any) -> Any:
        """The results for arguments that have moved: weighed by the gradient, they move as it says."""
        leaves, form = tree_flatten(result)
        places = [i for i, one in enumerate(leaves) if isinstance(one, Tensor)]
        for place, before in zip(places, self.made, strict=True):
            leaves[place] = before.clone()
        if self.slot is not None and self.incoming is not None:
            moved = sum(float(((arguments[i] - at) * g).sum()) for i, (at, g) in self.back.items())
            leaves[places[self.slot]] += self.incoming * (moved / float(self.incoming.square().sum()))
        return tree_unflatten(leaves, form)


def _copy(tape: Tape, value: int) -> Tensor:
    kept = tape.values[value].tensor
    assert kept is not None
    return kept.detach().clone()


class _Held(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """One run beside the tape."""

    def __init__(self, holding: Holding) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.holding, self.at, self.pausing = holding, 0, False
        self.n_functions = 0
        self.decompositions = core_decompositions() if holding.tape.level == "core" else {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def function(self, _function: Any, arguments: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        """A custom Function, the next of the run."""
        number, self.n_functions = self.n_functions, self.n_functions + 1
        bent = self.holding.bent.get(number)
        result = call()
        if bent is None:
            return result
        self.pausing = True
        try:
            return bent(arguments, result)
        finally:
            self.pausing = False

    def listed(self, tensor: Tensor, call: Callable[[], Any]) -> Any:
        """`.tolist()`."""
        node = self._expected(None, "tolist")
        if node is None:
            return call()
        self.at += 1
        self.pausing = True
        try:
            return self.holding.kept[_read(node)].tolist()
        finally:
            self.pausing = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.pausing:
            return func(*args, **kwargs)
        simpler = broken_up(self, func, args, kwargs)
        if simpler is not NotImplemented:
            return simpler
        return self._one(func, args, kwargs, lambda: func(*args, **kwargs))

    def _one(self, func: Any, args: Any, kwargs: Mapping[str, Any], call: Callable[[], Any]) -> Any:
        """One operation: held, or as it is."""
        node = self._expected(func)
        if node is None:
            result = call()
            if func not in COPIES and _is_new(result, args, kwargs) and self.holding.lost is None:
                self.holding.lost = self.holding.plan[min(self.at, len(self.holding.plan) - 1)]
            return result
        hold = self.holding.held.get(node.id)
        if hold is None:
            result = call()
            self.at += node.in_place or _is_new(result, args, kwargs)
            return result
        self.at += 1
        return _hold(self.holding, node, hold, args, kwargs, call)

    def past_copies(self, func: Any) -> None:
        """Goes on past copies that this run does not make, to `func`, which it asks for.

        Autograd makes some of results for the way back, and here there is none; and a run in float64 throughout makes
        none where the program asks for another format (and one where the recording had that format already).
        """
        plan, held = self.holding.plan, self.holding.held
        while self.at < len(plan) and plan[self.at].func in COPIES and plan[self.at].func is not func:
            if plan[self.at].id in held:
                return
            self.at += 1

    def _expected(self, func: Any, op: str = "") -> Node | None:
        """The next operation of the tape, if that is this one."""
        before = self.at
        self.past_copies(func)
        node = self.holding.plan[self.at] if self.at < len(self.holding.plan) else None
        if node is not None and self.holding.lost is None and _is_one(node, func, op):
            return node
        self.at = before  # what makes nothing (`lift_fresh`) is not on the tape
        return None


def _is_one(node: Node, func: Any, op: str) -> bool:
    """Whether the operation on the tape is the one that is asked for."""
    return node.op == op if op else node.func is func and node.op not in LEAVING


def _is_new(result: Any, args: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether the operation made something: only then it is on the tape."""
    made = [one for one in tree_leaves(result) if isinstance(one, Tensor)]
    given = tree_leaves((args, dict(kwargs)))
    return not made or any(all(one is not other for other in given) for one in made)


def _hold(
    holding: Holding, node: Node, hold: Hold, args: Any, kwargs: Mapping[str, Any], call: Callable[[], Any]
) -> Any:
    if hold == "number":
        return node.func(holding.kept[_read(node)])
    if hold == "leaf":
        if not holding.is_written(args[0]):  # made anew in each run, and so written to anew
            return call()
        if torch.Tag.nondeterministic_seeded in node.func.tags:  # other random numbers follow
            node.func(args[0].detach().clone(), *args[1:], **kwargs)
        return args[0]
    if hold == "alias":
        return call()
    if hold == "arguments":
        return _with_kept_arguments(holding, node, args, kwargs)
    if hold == "draw":
        return _redrawn(holding, node, args[0], lambda alpha: node.func(alpha, *args[1:], **kwargs))
    leaves, form = tree_flatten(call())
    made = [i for i, one in enumerate(leaves) if isinstance(one, Tensor)]
    for place, output in zip(made, node.outputs, strict=True):
        before = holding.kept.get(output)
        differentiable = holding.tape.values[output].differentiable
        if not differentiable or before is None or before.shape != leaves[place].shape:
            continue
        if hold == "padding":
            padding = (args[1] == node.arguments["padding_idx"]).unsqueeze(-1)
            leaves[place] = torch.where(padding, before, leaves[place])
        elif node.in_place:
            leaves[place].copy_(before)
        else:
            leaves[place] = before.clone()
    return tree_unflatten(leaves, form)


def _with_kept_arguments(holding: Holding, node: Node, args: Any, kwargs: Mapping[str, Any]) -> Any:
    """The operation, with what it reads by way of an alias as it was."""
    stand_ins: dict[int, Tensor] = {}
    for name, given in by_schema(node.func, args, kwargs).items():
        tensors = [one for one in tree_leaves(given) if isinstance(one, Tensor)]
        references = [one for one in tree_leaves(node.arguments[name]) if isinstance(one, Ref)]
        for tensor, reference in zip(tensors, references, strict=True):
            if reference.value in holding.aliased:
                stand_ins[id(tensor)] = holding.aliased[reference.value]
    args, kwargs = tree_map_only(Tensor, lambda one: stand_ins.get(id(one), one), (args, dict(kwargs)))
    return node.func(*args, **kwargs)


def _kept_for(node: Node, hold: Hold) -> tuple[int, ...]:
    """The values without which the operation cannot be held."""
    if hold in ("alias", "arguments"):
        return ()
    if hold == "draw":
        return (_read(node), *node.outputs)
    return (_read(node),) if hold == "number" else node.outputs


def _redrawn(holding: Holding, node: Node, alpha: Tensor, draw: Callable[[Tensor], Any]) -> Tensor:
    """The draw at its place, with other parameters.

    It is drawn as it was, too: how many random numbers a sampler takes depends on the parameters, and others follow.
    """
    before, x = (holding.kept[value].double() for value in (_read(node), node.outputs[0]))
    draw(holding.kept[_read(node)])
    # What solves for the place compares and decides, which is none of the program's kinks.
    with _disable_current_modes():
        return MOVED[node.rule_name](before, x, alpha.double()).to(alpha.dtype)


def _read(node: Node) -> int:
    given = node.arguments["self"]
    assert isinstance(given, Ref)
    return given.value
