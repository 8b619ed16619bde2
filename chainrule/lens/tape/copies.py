"""A copy of what is to be verified, in float64 on the CPU, that shares nothing with the caller's."""

import copy
import inspect
from functools import partial
from types import CellType, FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from chainrule.base import LensError
from chainrule.lens.tape.reach import around, by_name, members
from chainrule.lens.tape.subject import Subject

Memo = dict[int, Any]


def in_float64(subject: Subject) -> Subject:
    """The subject with its own weights, buffers and inputs, floating-point ones as float64, all on the CPU.

    Hooks on parameters are not copied, hooks on modules are. A compiled model is taken as it was written. Of a function
    the modules and tensors that it names from around it are copied too.

    Raises LensError when something cannot be copied.
    """
    memo: Memo = {}
    try:
        # The loss first asks for what the target holds too; one memo makes both see the same copy.
        return Subject(
            subject.name,
            _copied(getattr(subject.target, "_orig_mod", subject.target), memo),
            tuple(_input(one, memo) for one in subject.inputs),
            _copied(subject.loss, memo),
            {name: _input(one, memo) for name, one in subject.named.items()},
        )
    except (RuntimeError, TypeError) as fault:
        raise LensError(
            f"{subject.name} cannot be copied for a verification ({str(fault).splitlines()[0]}); "
            "keep tensors that were computed out of its attributes"
        ) from fault


def modules_of(subject: Subject) -> list[nn.Module]:
    """Every module that the subject runs: itself, that of a method, those named by a function, those among inputs."""
    given = by_name(subject.target, subject.inputs, subject.named)
    loss = (
        {} if subject.loss is None else {"loss": subject.loss, **by_name(subject.loss, (), {}), **around(subject.loss)}
    )
    found = [
        one for name, thing in {**given, **around(subject.target), **loss}.items() for _, one in members(name, thing)
    ]
    return list({id(one): one for one in found if isinstance(one, nn.Module)}.values())


def _copied(called: Any, memo: Memo) -> Any:
    if isinstance(called, FunctionType):
        return _function(called, memo)
    if isinstance(called, partial):
        keywords = {name: _input(one, memo) for name, one in called.keywords.items()}
        return partial(_copied(called.func, memo), *(_input(one, memo) for one in called.args), **keywords)
    made = copy.deepcopy(called, memo)
    owner = made if isinstance(made, nn.Module) else getattr(made, "__self__", None)
    if isinstance(owner, nn.Module):
        _widen(owner)
    return made


def _function(function: FunctionType, memo: Memo) -> FunctionType:
    """The function over copies of the modules and tensors that it uses, and that functions beside it use."""
    if id(function) in memo:
        found: FunctionType = memo[id(function)]
        return found
    cells = tuple(CellType() for _ in function.__closure__ or ())
    variables = dict(function.__globals__)
    made = FunctionType(function.__code__, variables, function.__name__, function.__defaults__, cells or None)
    made.__kwdefaults__, made.__module__ = function.__kwdefaults__, function.__module__
    memo[id(function)] = made
    for cell, old in zip(cells, function.__closure__ or (), strict=True):
        cell.cell_contents = _held(old.cell_contents, function, memo)
    for name in inspect.getclosurevars(function).globals:
        variables[name] = _held(variables[name], function, memo)
    return made


def _held(one: Any, holder: FunctionType, memo: Memo) -> Any:
    """A variable of a function: copied if it leads to a tensor; functions if they were written in the same file."""
    if isinstance(one, FunctionType):
        return _function(one, memo) if one.__module__ == holder.__module__ else one
    return _input(one, memo) if next(members("", one), None) is not None else one


def _input(one: Any, memo: Memo) -> Any:
    return tree_map_only(
        (Tensor, nn.Module), lambda part: _tensor(part, memo) if isinstance(part, Tensor) else _copied(part, memo), one
    )


def _tensor(tensor: Tensor, memo: Memo) -> Tensor:
    if id(tensor) not in memo:
        made = _wide(tensor.detach().to("cpu", copy=True)).requires_grad_(tensor.requires_grad)
        memo[id(tensor)] = nn.Parameter(made, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else made
    return memo[id(tensor)]


def _wide(tensor: Tensor) -> Tensor:
    if tensor.is_complex():
        return tensor.to(torch.complex128)
    return tensor.to(torch.float64) if tensor.is_floating_point() else tensor


def _widen(module: nn.Module) -> None:
    """Weights, buffers and tensors that are plain attributes become float64 on the CPU; compiled calls are dropped."""
    module.to(device="cpu", dtype=torch.float64)
    for part in module.modules():
        part._compiled_call_impl = None
        for name, one in list(vars(part).items()):
            if isinstance(one, Tensor):
                setattr(part, name, _wide(one.detach().cpu()).requires_grad_(one.requires_grad))
