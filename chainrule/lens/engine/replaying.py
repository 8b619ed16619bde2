"""Runs a tape again, in float64 on the CPU, with its own weights or moved ones, and with rounding errors if wanted.

Only what carries a gradient is computed anew. The rest (masks, positions, random numbers, what was detached) is taken
as the run had it, so that a replay makes the same choices and draws the same dropout masks.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from chainrule.base import LensError
from chainrule.lens.engine.backward import differentiable
from chainrule.lens.engine.noisy import Formats
from chainrule.lens.engine.rounding import EXACT, Noise, accumulator, unit_roundoff
from chainrule.lens.engine.terms import terms_of_value
from chainrule.lens.rules import MOVED, Call
from chainrule.lens.tape import Node, Tape, Value, places, version

FUSED_ATTENTION = frozenset(
    f"_scaled_dot_product_{kind}_attention" for kind in ("flash", "efficient", "cudnn", "fused_attention_overrideable")
) | {"_scaled_dot_product_flash_attention_for_cpu"}
# The first tensor, a sum over which stands for the sums of the operation, where that is not the first argument.
SUMMED = {"addmm": "mat1", "baddbmm": "batch1", "addmv": "mat", "addbmm": "batch1"}


# What they drew is told by what they read and what they made.
DRAWS = frozenset({*MOVED, "rrelu_with_noise"})


def needed_constants(tape: Tape) -> frozenset[int]:
    """The values that a replay takes from the run: leaves, and what carries no gradient and is read by what does.

    And draws that move with their parameters, as they were, with those parameters.
    """
    live = differentiable(tape)
    read = {value for node in tape.nodes if live.intersection(node.outputs) for value in node.inputs}
    random = {output for node in tape.nodes if node.rule_name == "native_dropout" for output in node.outputs[1:]}
    drawn = {value for node in tape.nodes if node.rule_name in DRAWS for value in (*node.inputs[:1], *node.outputs)}
    return frozenset((read | random) - live) | {leaf.id for leaf in tape.leaves()} | drawn


@torch.no_grad()
def replay(tape: Tape, *, noise: Noise | None = None, formats: Formats | None = None) -> Tape:
    """A tape with the same operations on float64 values, exact, or with the errors that `formats` would have made.

    Raises LensError for an operation that draws random numbers and does not say which.
    """
    live, needed = differentiable(tape), needed_constants(tape)
    again = Tape(tape.target, tape.level, "all", tape.training, modules=tape.modules, tied=tape.tied)
    again.outputs, again.loss = tape.outputs, tape.loss
    again.values = [_empty(value) for value in tape.values]
    again.nodes = list(tape.nodes)
    for number in needed:
        kept = tape.values[number].tensor
        assert kept is not None
        # A buffer may be written to, by operations that do not say so.
        wide = _wide(kept).clone() if tape.values[number].role == "buffer" else _wide(kept)
        _put(again, number, wide)
    for node in tape.nodes:
        if live.intersection(node.outputs):
            again.nodes[node.id] = _run(again, tape, node, noise, formats or {})
    return again


def _put(tape: Tape, value: int, tensor: Tensor) -> None:
    tape.values[value].tensor, tape.versions[value] = tensor, version(tensor)


def _empty(value: Value) -> Value:
    dtype = _wide_dtype(value.meta.dtype)
    return replace(
        value, tensor=None, edge=None, overwritten=False, meta=replace(value.meta, dtype=dtype, device="cpu")
    )


def _wide_dtype(dtype: torch.dtype) -> torch.dtype:
    if dtype.is_complex:
        return torch.complex128
    return torch.float64 if dtype.is_floating_point else dtype


def _wide(tensor: Tensor) -> Tensor:
    return tensor.detach().to(device="cpu", dtype=_wide_dtype(tensor.dtype))


def _run(again: Tape, tape: Tape, node: Node, noise: Noise | None, formats: Formats) -> Node:
    """Computes the node's results, and returns the node as it was computed."""
    read: dict[int, Tensor] = {}
    if noise is not None:
        read = _roughened(again, tape, node, noise, formats)
    call = RereadCall(again, node, read)
    results, done = _compute(call, tape)
    for output, result in zip(node.outputs, results, strict=False):
        if noise is not None and output in formats and not _is_exact(tape, node, formats):
            result = noise(result, unit_roundoff(formats[output]))
        _put(again, output, result)
    return done


def _roughened(again: Tape, tape: Tape, node: Node, noise: Noise, formats: Formats) -> dict[int, Tensor]:
    """What is summed, each term as wrong as the sum makes it."""
    n_terms = terms_of_value(tape, node)
    refs = {name: ref.value for name, ref in node.references() if ref.value in formats}
    if n_terms <= 1 or not refs:
        return {}
    value = refs.get(SUMMED.get(node.rule_name, ""), next(iter(refs.values())))
    tensor = again.values[value].tensor
    assert tensor is not None
    return {value: noise(tensor, n_terms**0.5 * unit_roundoff(accumulator(formats[value])))}


def _is_exact(tape: Tape, node: Node, formats: Formats) -> bool:
    """Whether the results are copies; a conversion is one unless it narrows."""
    if node.rule_name in ("_to_copy", "copy"):
        given = [unit_roundoff(formats[one]) for one in node.inputs if one in formats]
        return all(unit_roundoff(formats[one]) <= max(given, default=0.0) for one in node.outputs if one in formats)
    largest = node.rule_name == "linalg_vector_norm" and abs(float(node.arguments["ord"])) == math.inf
    return largest or node.rule_name in EXACT


class RereadCall(Call):
    """A call that reads some values as given instead of from the tape."""

    def __init__(self, tape: Tape, node: Node, read: Mapping[int, Tensor]) -> None:
        super().__init__(tape, node, frozenset())
        self.read = read

    def _tensor(self, value: int) -> Tensor:
        return self.read[value] if value in self.read else super()._tensor(value)


def _compute(call: RereadCall, tape: Tape) -> tuple[list[Tensor], Node]:
    node, name = call.node, call.node.rule_name
    # What others wrote may have gone past autograd, which is another rule and the same numbers.
    special = SPECIAL.get(node.op if node.func is None else name)
    if special is not None:
        return special(call, tape)
    if name in FUSED_ATTENTION:
        return _attention(call)
    if node.func is None:
        raise LensError(
            f"{node.op} at {node.site} stands for what others wrote, and a step that has it cannot be repeated; give "
            "the model to verify without capture()"
        )
    if torch.Tag.nondeterministic_seeded in node.func.tags:
        raise LensError(
            f"{node.op} at {node.site} draws random numbers in this step and does not tell which, so that they cannot "
            "be used again; give the model to verify without capture(), where they are drawn again"
        )
    written = {a.name for a in node.func._schema.arguments if a.alias_info is not None and a.alias_info.is_write}
    given = {key: _argument(call, key, written=key in written) for key in node.arguments}
    schema = node.func._schema.arguments
    positional = [given[a.name] for a in schema if not a.kwarg_only]
    try:
        result = node.func(*positional, **{a.name: given[a.name] for a in schema if a.kwarg_only})
    except (RuntimeError, NotImplementedError) as fault:
        words = str(fault).splitlines()[0]
        raise LensError(f"{node.op} at {node.site} cannot be repeated in float64 on the CPU: {words}") from fault
    results = result if isinstance(result, list | tuple) else [result]
    return [one for one in results if isinstance(one, Tensor)], node


def _argument(call: RereadCall, name: str, *, written: bool) -> Any:
    """The argument, in float64 on the CPU; one that is written to as a copy."""
    given = call[name]
    if isinstance(given, torch.dtype):
        return _wide_dtype(given)
    if isinstance(given, torch.device):
        return torch.device("cpu")
    if name == "half_to_float":
        return False
    if written:
        return [one.clone() for one in given] if isinstance(given, list) else given.clone()
    return given


def _view(call: RereadCall, tape: Tape) -> tuple[list[Tensor], Node]:
    """As a reshape, since strides may have come out otherwise."""
    return [call["self"].reshape(tape.values[call.node.outputs[0]].meta.shape)], call.node


def _write_through(call: RereadCall, tape: Tape) -> tuple[list[Tensor], Node]:
    """The elements of the written tensor that lie in this one's place in the storage."""
    meta = tape.values[call.node.arguments["self"].value].meta
    old, written, place = call["self"], call["written"], call["place"]
    here = places(meta.shape, meta.stride, meta.offset, old.device)
    there = places(place[0], place[1], place[2], old.device)
    memory = old.new_empty(1 + int(max(here.max(), there.max())))
    memory[here] = old
    memory[there] = written
    return [memory[here]], call.node


def _dropout(call: RereadCall, tape: Tape) -> tuple[list[Tensor], Node]:
    """With the mask of the run."""
    mask = call.output(1)
    return [call["input"] * mask / (1 - call["p"]) if call["p"] < 1 else call["input"] * 0, mask], call.node


def _as_in_run(call: RereadCall, tape: Tape) -> tuple[Tensor, Tensor]:
    """What the operation read first in the run, and what it made."""
    before, made = (tape.values[one].tensor for one in (call.node.inputs[0], call.node.outputs[0]))
    assert before is not None and made is not None
    return _wide(before), _wide(made)


def _draw(call: RereadCall, tape: Tape) -> tuple[list[Tensor], Node]:
    """The draw of the run, at its place in the distribution."""
    return [MOVED[call.node.rule_name](*_as_in_run(call, tape), call["self"])], call.node


def _rrelu(call: RereadCall, tape: Tape) -> tuple[list[Tensor], Node]:
    """With the slopes of the run; in evaluation that is the middle one."""
    before, made = _as_in_run(call, tape)
    return [call["self"] * torch.where(before == 0, 1.0, made / before)], call.node


def _attention(call: RereadCall) -> tuple[list[Tensor], Node]:
    """Any fused attention, as the one that there is on a CPU."""
    if call.get("dropout_p", 0.0):
        raise LensError(
            f"{call.node.op} at {call.node.site} drops attention weights and does not tell which; "
            "set dropout to 0 for this step"
        )
    func = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
    mask = "attn_mask" if "attn_mask" in call.node.arguments else "attn_bias"
    arguments = {
        "query": call.node.arguments["query"],
        "key": call.node.arguments["key"],
        "value": call.node.arguments["value"],
        "dropout_p": 0.0,
        "is_causal": call.get("is_causal", False),
        "attn_mask": call.node.arguments.get(mask),
        "scale": call.get("scale"),
    }
    given = {name: call[name] for name in ("query", "key", "value")}
    bias = call.get(mask)
    out, logsumexp = func(
        *given.values(),
        0.0,
        arguments["is_causal"],
        attn_mask=None if bias is None else bias.expand(*given["query"].shape[:-1], given["key"].shape[-2]),
        scale=arguments["scale"],
    )
    name = str(func).removeprefix("aten.")
    return [out, logsumexp], replace(call.node, op=name, func=func, arguments=arguments, outputs=call.node.outputs[:2])


def _whole(call: RereadCall, tape: Tape) -> tuple[list[Tensor], Node]:
    """A custom Function, by its own forward pass."""
    return call.node.func.run(list(call["inputs"])), call.node


SPECIAL: dict[str, Callable[[RereadCall, Tape], tuple[list[Tensor], Node]]] = {
    "view": _view,
    "_unsafe_view": _view,
    "_reshape_alias": _view,
    "write_through": _write_through,
    "native_dropout": _dropout,
    "custom_function": _whole,
    "rrelu_with_noise": _rrelu,
    **dict.fromkeys(MOVED, _draw),
}


@torch.no_grad()
def local_run(tape: Tape, node: Node, moved: Mapping[int, Tensor]) -> list[Tensor]:
    """The results of one operation alone in float64, with some of the values that it read moved.

    Raises LensError for an operation that cannot be repeated by itself.
    """
    if node.func is None and node.rule_name not in SPECIAL:
        raise LensError(f"{node.op} stands for what others wrote, and cannot be repeated by itself")
    read = {}
    for value in node.inputs:
        kept = tape.values[value].tensor
        if kept is not None:
            read[value] = moved[value] if value in moved else _wide(kept)
    return _compute(RereadCall(tape, node, read), tape)[0]
