"""A copy of what is to be verified, in float64 on the CPU, that shares nothing with the caller's."""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pickle import PicklingError
from types import BuiltinFunctionType, CellType, FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch._library.custom_ops import CustomOpDef
from torch.utils._pytree import tree_map_only

from chainrule.base import LensError
from chainrule.lens.tape.memory import is_plain
from chainrule.lens.tape.number_limits import format_of
from chainrule.lens.tape.randomness import GENERATORS, RandomState, states_of
from chainrule.lens.tape.reach import COMPUTED, around, by_name, members, named_globals
from chainrule.lens.tape.subject import Subject
from chainrule.lens.tape.watching import watch_module
from chainrule.lens.tape.wrappers import inner_of, is_wrapper, wrapped_like

MODULE_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
# What a hook names and may share with the original: code, and what nobody can change.
SHARED = (type, ModuleType, BuiltinFunctionType, str, int, float, bool, type(None))


def in_float64(subject: Subject, *, wrapped: bool = False) -> Subject:
    """The subject with its own weights, buffers and inputs on the CPU: real ones in float64, complex in complex128.

    Hooks of parameters, inputs and modules come with it, over copies of what they hold, and are watched
    (`WatchedHook`). A compiled model is taken as it was written. Of a function the modules and tensors that it names
    from around it are copied too. Integers and truth values stay what they are. In the place of a tensor that wraps
    another (a subclass that answers operations itself) stands a copy of what is inside; with `wrapped` of all of it.

    Raises LensError when something cannot be copied.
    """
    made = Copier(wrapped=wrapped)
    try:
        return made.subject(subject)
    except (RuntimeError, TypeError) as fault:
        raise LensError(
            f"{subject.name} cannot be copied for a verification ({str(fault).splitlines()[0]}); "
            "keep what cannot be copied (files, locks, generators) out of its attributes"
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


def tensors_of(subject: Subject) -> list[Tensor]:
    """The tensors that it is given, and those that its functions name, without the modules'."""
    given = by_name(subject.target, subject.inputs, subject.named)
    loss = {} if subject.loss is None else around(subject.loss)
    found = [
        one for name, thing in {**given, **around(subject.target), **loss}.items() for _, one in members(name, thing)
    ]
    return list({id(one): one for one in found if isinstance(one, Tensor)}.values())


def random_state(subject: Subject) -> RandomState:
    """Where all generators stand, with those that the subject holds or names itself."""
    things = [*subject.inputs, *subject.named.values(), *around(subject.target).values()]
    loss = () if subject.loss is None else around(subject.loss).values()
    return RandomState(own=states_of([*things, *loss], modules_of(subject)))


class Copier:
    """Makes copies that know each other: one memo, so that the loss and the model see the same weights."""

    def __init__(self, *, wrapped: bool = False) -> None:
        self.wrapped = wrapped
        self.memo: dict[int, Any] = {}
        self.tensors: list[tuple[Tensor, Tensor]] = []  # with its copy; kept, since the memo goes by identity

    def subject(self, subject: Subject) -> Subject:
        """All of it, the hooks last: they name what was copied before."""
        for module in modules_of(subject):
            self._fill(module)
        made = Subject(
            subject.name,
            self.called(getattr(subject.target, "_orig_mod", subject.target)),
            tuple(self.input(one) for one in subject.inputs),
            self.called(subject.loss),
            {name: self.input(one) for name, one in subject.named.items()},
        )
        made = replace(made, format=format_of([old for old, _ in self.tensors if old.requires_grad]))
        for module in modules_of(made):
            self._hooks_of_module(module)
        for old, new in self.tensors:
            if new.requires_grad:
                _hang(new, old, self._hook)
        return made

    def called(self, called: Any) -> Any:
        """A copy of something that is called."""
        if isinstance(called, FunctionType):
            return self._function(called, self._held)
        if isinstance(called, partial):
            keywords = {name: self.input(one) for name, one in called.keywords.items()}
            return partial(self.called(called.func), *(self.input(one) for one in called.args), **keywords)
        owner = called if isinstance(called, nn.Module) else getattr(called, "__self__", None)
        if isinstance(owner, nn.Module):
            self._fill(owner)
        made = copy.deepcopy(called, self.memo)
        copied = made if isinstance(made, nn.Module) else getattr(made, "__self__", None)
        if isinstance(copied, nn.Module):
            for part in copied.modules():
                self.memo[id(part)] = part
                if isinstance(part, torch.jit.ScriptModule):
                    for tensor in [*part.parameters(recurse=False), *part.buffers(recurse=False)]:
                        wanted, data = tensor.requires_grad, _wide(tensor.detach().cpu())
                        # TorchScript's copies have the graph of their copying behind them.
                        tensor.detach_().data = data
                        tensor.requires_grad_(wanted)
                else:
                    part._compiled_call_impl = None
        return made

    def input(self, one: Any) -> Any:
        """A copy of an argument: its tensors and modules, however they are nested."""
        return tree_map_only(
            (Tensor, nn.Module), lambda part: self._tensor(part) if isinstance(part, Tensor) else self.called(part), one
        )

    def _fill(self, module: nn.Module) -> None:
        """Copies the tensors of a module first, in their new formats, so that whatever names them gets those."""
        for part in module.modules():
            if isinstance(part, torch.jit.ScriptModule):
                continue
            for tensor in [*part._parameters.values(), *part._buffers.values()]:
                if tensor is not None:
                    self._tensor(tensor)
            for name, one in vars(part).items():
                if isinstance(one, CustomOpDef):  # an operation of the program's own is registered once, and refuses
                    self.memo[id(one)] = one
                for _, held in members(name, one):
                    if isinstance(held, Tensor):
                        self._tensor(held, computed=name)

    def _tensor(self, tensor: Tensor, computed: str | None = None) -> Tensor:
        """The copy; of an attribute (`computed`) with a graph behind it one that must not be read."""
        if id(tensor) not in self.memo:
            grown = tensor.grad_fn is not None and computed is not None
            made = self._made(tensor).requires_grad_(tensor.requires_grad and not grown)
            if grown:
                setattr(made, COMPUTED, computed)
            self.memo[id(tensor)] = self.memo[id(made)] = made
            self.tensors.append((tensor, made))
        found: Tensor = self.memo[id(tensor)]
        return found

    def _made(self, tensor: Tensor) -> Tensor:
        """A wide copy of the numbers, of the same class."""
        with torch._C.DisableTorchFunctionSubclass():
            made = _wide(inner_of(tensor).detach().to("cpu", copy=True))
            if is_wrapper(tensor):
                made = wrapped_like(tensor, made) if self.wrapped else made
                return _marked(made) if isinstance(tensor, nn.Parameter) else made
            if isinstance(tensor, nn.Parameter):
                made = nn.Parameter(made, tensor.requires_grad)
            if not is_plain(tensor):
                made = made.detach().as_subclass(type(tensor))
            vars(made).update(vars(tensor))
            return made

    def _function(self, function: FunctionType, held: Callable[[Any, FunctionType], Any]) -> FunctionType:
        """The function over copies of what it uses: `held` says of what."""
        if id(function) in self.memo:
            found: FunctionType = self.memo[id(function)]
            return found
        cells = tuple(CellType() for _ in function.__closure__ or ())
        variables = dict(function.__globals__)
        made = FunctionType(function.__code__, variables, function.__name__, function.__defaults__, cells or None)
        made.__kwdefaults__, made.__module__ = function.__kwdefaults__, function.__module__
        made.__qualname__ = function.__qualname__
        self.memo[id(function)] = self.memo[id(made)] = made
        for cell, old in zip(cells, function.__closure__ or (), strict=True):
            try:
                cell.cell_contents = held(old.cell_contents, function)
            except ValueError:  # a variable that has no value yet
                continue
        for name in named_globals(function):
            variables[name] = held(variables[name], function)
        return made

    def _held(self, one: Any, holder: FunctionType) -> Any:
        """A variable of a function: copied if it leads to a tensor; functions if they were written in the same file."""
        if isinstance(one, FunctionType):
            return self._function(one, self._held) if one.__module__ == holder.__module__ else one
        if isinstance(one, GENERATORS):
            return self._deep(one)
        return self.input(one) if next(members("", one), None) is not None else one

    def _held_by_hook(self, one: Any, holder: FunctionType) -> Any:
        """A variable of a hook: copied whatever it is, so that its lists, counters and optimizers are not the caller's.

        What refuses to be copied is shared.
        """
        if isinstance(one, SHARED) or (isinstance(one, FunctionType) and one.__module__ != holder.__module__):
            return one
        return self._hook(one) if callable(one) else self._deep(one)

    def _hook(self, hook: Any) -> Any:
        if isinstance(hook, FunctionType):
            return self._function(hook, self._held_by_hook)
        if isinstance(hook, partial):
            return partial(self._hook(hook.func), *map(self._deep, hook.args), **self._deep(hook.keywords))
        return self._deep(hook)

    def _deep(self, one: Any) -> Any:
        try:
            return copy.deepcopy(one, self.memo)
        except (TypeError, RuntimeError, AttributeError, ValueError, NotImplementedError, PicklingError):
            return one  # a file, a lock, a tensor with a graph behind it

    def _hooks_of_module(self, module: nn.Module) -> None:
        for part in module.modules():
            for attribute in MODULE_HOOKS:
                hooks = getattr(part, attribute)
                for key, hook in list(hooks.items()):
                    hooks[key] = self._hook(hook)
        watch_module(module, "")


def _marked(tensor: Tensor) -> Tensor:
    """The tensor as a parameter, whatever its class."""
    tensor._is_param = True
    return tensor


def _hang(new: Tensor, old: Tensor, copied: Callable[[Any], Any]) -> None:
    """The hooks of `old` on `new`."""
    for hook in (old._backward_hooks or {}).values():
        new.register_hook(copied(hook))  # type: ignore[no-untyped-call]
    if new.is_leaf:
        for hook in (getattr(old, "_post_accumulate_grad_hooks", None) or {}).values():
            new.register_post_accumulate_grad_hook(copied(hook))  # type: ignore[no-untyped-call]


def _wide(tensor: Tensor) -> Tensor:
    if tensor.is_complex():
        return tensor.to(torch.complex128)
    return tensor.to(torch.float64) if tensor.is_floating_point() else tensor
