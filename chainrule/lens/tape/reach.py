"""What a program can reach before it runs: its arguments by name, and the tensors and modules around a function."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from types import CodeType, FunctionType
from typing import Any

from torch import Tensor, nn

from chainrule.lens.tape.randomness import GENERATORS

# A longer list of plain numbers is data, and is not searched for tensors.
LONGEST = 10_000

# The mark of a tensor that was computed before the run; its copy has no graph behind it and must not be read.
COMPUTED = "_chainrule_computed_before"

Found = Tensor | nn.Module


def by_name(target: Callable[..., Any], inputs: Iterable[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs by the names of the parameters that take them; a module is itself its nameless input."""
    whole = {"": target} if isinstance(target, nn.Module) else {}
    owner = getattr(target, "__self__", None)
    if isinstance(owner, nn.Module):
        whole = {"": owner}
    if isinstance(target, partial):
        inputs, named, target = [*target.args, *inputs], {**target.keywords, **named}, target.func
    called = target.forward if isinstance(target, nn.Module) else target
    try:
        given = dict(inspect.signature(called).bind(*inputs, **named).arguments)
    except (TypeError, ValueError):
        given = {f"input{i}": one for i, one in enumerate(inputs)} | dict(named)
    return whole | given


def around(target: Callable[..., Any]) -> dict[str, Any]:
    """The variables that a function takes from around it; of an object that is called, its attributes."""
    if isinstance(target, nn.Module):
        return {}
    inner = inspect.unwrap(target.func if isinstance(target, partial) else target)
    owner = getattr(inner, "__self__", None) if inspect.ismethod(inner) else None
    attributes = {} if isinstance(owner, nn.Module) else dict(getattr(owner, "__dict__", {}))
    if inspect.ismethod(inner):
        inner = inner.__func__
    if not inspect.isfunction(inner):
        return attributes | dict(getattr(inner, "__dict__", {}))
    variables = {**named_globals(inner), **_nonlocals(inner)}
    plain = (Tensor, nn.Module, list, tuple, dict, *GENERATORS)
    return {name: one for name, one in {**attributes, **variables}.items() if isinstance(one, plain)}


def named_globals(function: FunctionType) -> dict[str, Any]:
    """The variables of its file that a function names, itself or in a function, lambda or comprehension inside it."""
    waiting, names = [function.__code__], dict[str, None]()
    while waiting:
        code = waiting.pop()
        names.update(dict.fromkeys(code.co_names))
        waiting += [one for one in code.co_consts if isinstance(one, CodeType)]
    return {name: function.__globals__[name] for name in names if name in function.__globals__}


def _nonlocals(function: FunctionType) -> dict[str, Any]:
    """The variables of the functions around it, those that have a value."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue
    return found


def members(name: str, thing: Any) -> Iterator[tuple[str, Found]]:
    """Every tensor and module in an argument, by its place: `batch['ids']`, `state[2]`, `cache.keys`."""
    if isinstance(thing, Tensor | nn.Module):
        yield name, thing
    elif isinstance(thing, Mapping):
        for key, one in thing.items():
            yield from members(f"{name}[{key!r}]", one)
    elif isinstance(thing, list | tuple) and len(thing) <= LONGEST:
        for i, one in enumerate(thing):
            yield from members(f"{name}[{i}]", one)
    elif is_dataclass(thing) and not isinstance(thing, type):
        for one in fields(thing):
            yield from members(f"{name}.{one.name}", getattr(thing, one.name, None))
