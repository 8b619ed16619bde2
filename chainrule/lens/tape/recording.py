"""Records a run: every tensor operation of a module or function, with real values and without changes to its code."""

import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_map_only

from chainrule.base import DeviceError, LensError
from chainrule.lens.tape.control_flow import control_flow_written_out
from chainrule.lens.tape.nodes import Keep, Level, Ref, Tape
from chainrule.lens.tape.reach import around, by_name
from chainrule.lens.tape.recorder import Recorder, Whole

Target = nn.Module | Callable[..., Any]


def record(
    target: Target,
    /,
    *inputs: Any,
    loss: Callable[[Any], Tensor] | None = None,
    level: Level = "op",
    keep: Keep = "all",
    whole: Whole | None = None,
    **named: Any,
) -> Tape:
    """Runs `target(*inputs, **named)`, then `loss` on what it returns, and returns the tape of all operations.

    `target` is any module, method of a module, or function. Gradients exist for the parameters and for the inputs that
    require one. Without `loss`, what is returned should be a scalar, or hold one as `.loss` or `["loss"]`; else the
    tape can be looked at and not differentiated. What was compiled runs uncompiled.

    `level` "op" has the operations as PyTorch names them, "core" breaks them into core ATen. `keep` "all" holds every
    tensor (needed to differentiate), "stats" a few numbers of each, "boundary" what modules take and return.
    A custom Function whose forward pass leaves torch (NumPy, a kernel called by pointer), or for which `whole` says so,
    is one operation; others are looked into.
    To give the target an argument of its own called loss, level, keep or whole: `record(lambda: model(x, level=3))`.

    Raises DeviceError when the program asks for a device that is not here, LensError for sparse tensors.
    """
    _check(loss, level, keep)
    target = _uncompiled(target)
    module = target if isinstance(target, nn.Module) else getattr(target, "__self__", None)
    root = module if isinstance(module, nn.Module) else None
    tape = Tape(name_of_target(target), level, keep, None if root is None else root.training)
    recorder = Recorder(tape, root, whole or (lambda _function, _site: False))
    recorder.register(by_name(target, inputs, named))
    recorder.register(around(target))
    torch.clear_autocast_cache()  # else a weight that was converted before would come out of nowhere
    with _devices(tape.target), torch.enable_grad(), as_written(), _unfused(level), recorder.following():
        result = _higher(tape.target, lambda: target(*inputs, **named))
        answer = loss(result) if loss is not None else loss_in(result)
    recorder.finish(result, answer)
    return without_saved_copies(tape, recorder.asked)


def _higher(name: str, call: Callable[[], Any]) -> Any:
    """Says in our words which operation on functions cannot be recorded: there are more than those of control flow."""
    try:
        return call()
    except NotImplementedError as fault:
        asked = re.search(r"HigherOrderOperator (\w+)", str(fault))
        if asked is None:
            raise
        raise LensError(
            f"{name} uses torch's {asked[1]}, whose body torch compiles, so that nothing in it can be recorded; "
            "call the function itself"
        ) from None


def _check(loss: object, level: object, keep: object) -> None:
    """Raises LensError for an argument that was meant for the target."""
    hint = "an argument of the model by that name is given by record(lambda: model(…))"
    if level not in get_args(Level):
        raise LensError(f"level={level!r} is not one of {', '.join(get_args(Level))}; {hint}")
    if keep not in get_args(Keep):
        raise LensError(f"keep={keep!r} is not one of {', '.join(get_args(Keep))}; {hint}")
    if loss is not None and not callable(loss):
        raise LensError(f"loss= takes a function from the output to one number, not {type(loss).__name__}; {hint}")


def _uncompiled(target: Target) -> Target:
    return getattr(target, "_orig_mod", target) if isinstance(target, nn.Module) else target


def name_of_target(target: Target) -> str:
    """In words: the class of a module, the name of a function, `GPT.loss` of a method."""
    if isinstance(target, nn.Module):
        return type(target).__name__
    if isinstance(target, partial):
        return name_of_target(target.func)
    owner = getattr(target, "__self__", None)
    name = getattr(target, "__name__", type(target).__name__)
    return f"{type(owner).__name__}.{name}" if owner is not None else name


def loss_in(result: Any) -> Any:
    """The loss that a model put into its result, under that name; else the result."""
    return result.get("loss", result) if isinstance(result, Mapping) else getattr(result, "loss", result)


@contextmanager
def as_written() -> Iterator[None]:
    """Compiled functions run as they were written, so that their operations can be seen.

    Those of TorchScript and the bodies of `torch.cond` and its like too.
    """
    # If torch._dynamo is not there, nothing was compiled, and to ask would import the compiler.
    eager = torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
    # A verification has subclasses of Tensor silent; the program is to have them as they are.
    with (
        torch.jit.optimized_execution(False),  # type: ignore[attr-defined]
        torch._C._EnableTorchFunction(),
        control_flow_written_out(),
        eager,
    ):
        yield


def _unfused(level: Level) -> AbstractContextManager[object]:
    """Core ATen has no fused attention: it is computed as matrix products and a softmax."""
    return sdpa_kernel(SDPBackend.MATH) if level == "core" else nullcontext()


@contextmanager
def _devices(target: str) -> Iterator[None]:
    """Says in our words that a device is not here."""
    try:
        yield
    except (RuntimeError, AssertionError) as fault:
        for device, there in (("CUDA", torch.cuda.is_available()), ("MPS", torch.backends.mps.is_available())):
            if not there and re.search(rf"\b{device}\b", str(fault), re.IGNORECASE):
                raise DeviceError(
                    f"{target} asks for a device that is not here ({str(fault).splitlines()[0]}); "
                    "make the model and its inputs on the CPU"
                ) from fault
        raise


def without_saved_copies(tape: Tape, asked: Collection[int]) -> Tape:
    """The tape without the `detach` of results that autograd keeps for itself: nobody reads them.

    A `detach` that the program used stays, or `asked` for: its numbers may have left for NumPy. All stay where the
    program goes back itself, and so reads what was saved.
    """
    for number in asked:
        tape.nodes[number] = replace(tape.nodes[number], asked=True)
    read = {value for node in tape.nodes for value in node.inputs} | set(tape.outputs)
    nodes = [
        node
        for node in tape.nodes
        if tape.goes_back or node.asked or node.rule_name != "detach" or node.outputs[0] in read
    ]
    made = {output for node in nodes for output in node.outputs}
    values = [value for value in tape.values if value.producer is None or value.id in made]
    node_number = {node.id: i for i, node in enumerate(nodes)}
    value_number = {value.id: i for i, value in enumerate(values)}
    for value in values:
        value.id = value_number[value.id]
        value.producer = None if value.producer is None else node_number[value.producer]
        value.view_of = None if value.view_of is None else value_number.get(value.view_of)
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
