"""The rule of the LSTM layer that oneDNN runs as one operation in float32: backpropagation through time.

In float64 nn.LSTM, and GRU and RNN always, are recorded as the small operations that they consist of.
"""

import torch
from torch import Tensor

from chainrule.base import LensError
from chainrule.lens.rules.notation import onward
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule

LSTM_MODE = 2


def lstm_layer(
    call: Call, g: Tensor | None, g_h: Tensor | None, g_c: Tensor | None, _: Tensor | None = None
) -> Gradients:
    """One layer in one direction, walked through once more to have its gates, and then back."""
    if call["mode"] != LSTM_MODE or call["batch_sizes"]:
        raise LensError(f"{call.node.op} at {call.node.site}: the rule knows LSTM on padded batches; record in float64")
    x, h, c = call["input"], call["hx_"], call["cx_"]
    w_in, w_state = call["weight0"], call["weight1"]
    steps = list(range(x.shape[0]))[:: -1 if call["reverse"] else 1]
    states, cells, gates = _forward(call, steps)
    by_gates = torch.empty_like(gates)
    dh = torch.zeros_like(states[0]) if g_h is None else g_h.reshape(states[0].shape)
    dc = torch.zeros_like(dh) if g_c is None else g_c.reshape(dh.shape)
    for k in reversed(range(len(steps))):
        i, f, m, o = gates[steps[k]].chunk(4, -1)
        squashed = cells[k + 1].tanh()
        if g is not None:
            dh = dh + g[steps[k]]
        dc = dc + dh * o * (1 - squashed * squashed)
        parts = (dc * m * i * (1 - i), dc * cells[k] * f * (1 - f), dc * i * (1 - m * m), dh * squashed * o * (1 - o))
        by_gates[steps[k]] = torch.cat(parts, -1)
        dh, dc = by_gates[steps[k]] @ w_state, dc * f
    before = torch.empty_like(by_gates[..., : h.shape[-1]])
    before[steps] = torch.stack(states[:-1])
    rows = by_gates.flatten(0, 1)
    return {
        "input": by_gates @ w_in,
        "weight0": rows.mT @ x.flatten(0, 1),
        "weight1": rows.mT @ before.flatten(0, 1),
        "weight2": rows.sum(0),
        "weight3": rows.sum(0),
        "hx_": dh.reshape(h.shape),
        "cx_": dc.reshape(c.shape),
    }


def _forward(call: Call, steps: list[int]) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """States and cells before each step and after the last, and the gates of each step."""
    x, w_in, w_state = call["input"], call["weight0"], call["weight1"]
    gates = x @ w_in.mT
    if call["has_biases"]:
        gates += call["weight2"] + call["weight3"]
    states, cells = [call["hx_"].reshape(x.shape[1], -1)], [call["cx_"].reshape(x.shape[1], -1)]
    for step in steps:
        gates[step] += states[-1] @ w_state.mT
        i, f, m, o = gates[step].chunk(4, -1)
        for gate in (i, f, o):
            gate.sigmoid_()
        m.tanh_()
        cells.append(f * cells[-1] + i * m)
        states.append(o * cells[-1].tanh())
    return states, cells, gates


RECURRENT: dict[str, Rule] = {
    "mkldnn_rnn_layer": Rule(
        lstm_layer,
        Formula(
            "cₜ = f⊙cₜ₋₁ + i⊙m, hₜ = o⊙tanh cₜ",
            r"c_t = f \odot c_{t-1} + i \odot m, \quad h_t = o \odot \tanh c_t",
        ),
        {
            "input": onward("X", "dZ W", "dZ \\, W"),
            "weight0": onward("W", "dZᵀ X", r"dZ^\top X"),
            "weight1": onward("U", "dZᵀ H", r"dZ^\top H"),
            "weight2": onward("b", "Σ dZ", r"\sum dZ"),
            "weight3": onward("b′", "Σ dZ", r"\sum dZ", "b'"),
            "hx_": onward("h₀", "dz₁ U", r"dz_1 \, U", "h_0"),
            "cx_": onward("c₀", "dc₁⊙f₁", r"dc_1 \odot f_1", "c_0"),
        },
        {"input": "X", "weight0": "W", "weight1": "U", "weight2": "b", "weight3": "b′", "hx_": "h₀", "cx_": "c₀"},
    ),
}
