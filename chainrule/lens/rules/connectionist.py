"""The rule of CTC, the loss of an alignment that nobody knows: forward and backward variables of our own.

A. Graves et al., "Connectionist temporal classification", 2006. Labels l have blanks put around and between them;
α(t, s) is the probability of all ways that read l up to s in the first t + 1 frames, β(t, s) that of all ways on from
there.
∂L/∂ln p(t, k) = −Σ α(t, s)β(t, s)/p(l), over the s with lₛ = k: the share of the ways that say k at t.

Torch adds p(t, k) to that, which is right for the scores in front of a log-softmax, and for these alone: a log-softmax
takes away whatever is proportional to p. Where log-probabilities are not normalised, or are leaves, torch's gradient is
wrong (pytorch #52241, #82545, #181534), and this rule says so. Where they are, the rule makes torch's choice.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.lens.rules.notation import onward
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule

# Sums of probabilities that differ from 1 by more are not those of a softmax.
NORMALISED = 1e-6


@dataclass(frozen=True)
class Alignment:
    """[T, N, S] log-probabilities of the labels with their blanks; `skip` is where a label may follow without blank.

    `frames` and `states` say how many of each an example has.
    """

    scores: Tensor
    labels: Tensor
    skip: Tensor
    frames: Tensor
    states: Tensor

    def ways_so_far(self) -> Tensor:
        """Ln α."""
        state = torch.arange(self.scores.shape[-1], device=self.scores.device)
        begins = (state < 2) & (state < self.states[:, None])
        found = [self.scores[0].masked_fill(~begins, -torch.inf)]
        for scores in self.scores[1:]:
            last = found[-1]
            by_skip = _moved(last, 2).masked_fill(~self.skip, -torch.inf)
            found.append(scores + torch.stack([last, _moved(last, 1), by_skip]).logsumexp(0))
        return torch.stack(found)

    def ways_on(self) -> Tensor:
        """Ln β, without the frame itself; 0 in the last two states of the last frame."""
        n_frames, _, n_states = self.scores.shape
        state = torch.arange(n_states, device=self.scores.device)
        ends = (state < self.states[:, None]) & (state >= self.states[:, None] - 2)
        last = torch.zeros_like(self.scores[0]).masked_fill(~ends, -torch.inf)
        found = [last] * n_frames
        for t in reversed(range(n_frames - 1)):
            after = found[t + 1] + self.scores[t + 1]
            by_skip = _moved(after.masked_fill(~self.skip, -torch.inf), -2)
            walked = torch.stack([after, _moved(after, -1), by_skip]).logsumexp(0)
            found[t] = torch.where((t < self.frames - 1)[:, None], walked, last)
        return torch.stack(found)


def _moved(x: Tensor, by: int) -> Tensor:
    """The states moved on, or back, with −∞ in their place."""
    away = x.new_full((x.shape[0], min(abs(by), x.shape[1])), -torch.inf)
    return torch.cat([away, x[:, :-by]], 1) if by > 0 else torch.cat([x[:, -by:], away], 1)


def alignment(call: Call) -> Alignment:
    """The labels of each example with a blank before, between and after them."""
    log_p, targets, blank = call["log_probs"], call["targets"], call["blank"]
    frames, lengths = (
        torch.as_tensor(call[name], device=log_p.device).reshape(-1) for name in ("input_lengths", "target_lengths")
    )
    n, width = len(lengths), int(lengths.max()) if len(lengths) else 0
    place = torch.arange(width, device=log_p.device)
    used = place < lengths[:, None]
    if targets.dim() == 1:
        rows = torch.zeros(n, width, dtype=targets.dtype, device=targets.device).masked_scatter(used, targets)
    else:
        rows = targets[:, :width].masked_fill(~used, blank)
    labels = torch.full((n, 2 * width + 1), blank, dtype=torch.long, device=log_p.device)
    labels[:, 1::2] = rows.long().masked_fill(~used, blank)
    skip = torch.zeros_like(labels, dtype=torch.bool)
    skip[:, 2:] = (labels[:, 2:] != blank) & (labels[:, 2:] != labels[:, :-2])
    scores = log_p.gather(2, labels.expand(log_p.shape[0], -1, -1))
    return Alignment(scores, labels, skip, frames, 2 * lengths + 1)


def ctc(call: Call, g: Tensor, _: Tensor | None = None) -> Gradients:
    """Where no way fits (the loss is infinite) `zero_infinity` makes the gradient 0."""
    log_p, loss = call["log_probs"], call.out
    way = alignment(call)
    share = (way.ways_so_far() + way.ways_on() + loss[:, None]).exp()
    said = torch.zeros_like(log_p).scatter_add(2, way.labels.expand(log_p.shape[0], -1, -1), share)
    inside = (torch.arange(log_p.shape[0], device=log_p.device)[:, None] < way.frames)[..., None]
    local = (log_p.exp() - said if _behind_a_softmax(call, log_p) else -said).masked_fill(~inside, 0)
    if call["zero_infinity"]:
        local = local.masked_fill(loss.isinf()[:, None], 0)
    return {"log_probs": local * g[:, None]}


def _behind_a_softmax(call: Call, log_p: Tensor) -> bool:
    """Whether these are log-probabilities that something made: then what is proportional to p is taken away there."""
    value = call.tape.values[call.node.arguments["log_probs"].value]
    return not value.is_leaf and bool((log_p.logsumexp(-1).abs() < NORMALISED).all())


CONNECTIONIST: dict[str, Rule] = {
    "_ctc_loss": Rule(
        ctc,
        Formula("L = −ln Σ Πₜ p(t, wₜ), over the ways w that read l", r"L = -\ln \sum_{w \to l} \prod_t p_{t, w_t}"),
        {
            "log_probs": onward(
                "ln p(t, k)",
                "−g Σₛ α(t, s)β(t, s)/p(l), lₛ = k",
                r"-\frac{g}{p(l)} \sum_{s:\, l_s = k} \alpha_{ts} \beta_{ts}",
                r"\ln p_{tk}",
            )
        },
        {"log_probs": "p", "targets": "l"},
    ),
}
