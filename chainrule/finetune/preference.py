"""Learning from pairs: what makes a chosen answer likelier than a rejected one. One frozen class for each objective."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from chainrule.base import ConfigError
from chainrule.run import PreferenceRow


@dataclass(frozen=True)
class PairLogps:
    """Log-probabilities in nats of answers after their prompts, and how many tokens each has.

    For KTO chosen and rejected may be of different numbers, and `unmatched` those of answers after other prompts.
    """

    chosen: Float[Tensor, " P"]
    rejected: Float[Tensor, " R"]
    n_chosen: Float[Tensor, " P"]
    n_rejected: Float[Tensor, " R"]
    unmatched: Float[Tensor, " U"] | None = None

    def parts(self) -> Iterator[tuple[str, Tensor]]:
        """What there is, by its name."""
        named = ((one.name, getattr(self, one.name)) for one in fields(self))
        return ((name, part) for name, part in named if part is not None)

    def map(self, change: Callable[[Tensor], Tensor]) -> "PairLogps":
        """The same with each part changed."""
        return PairLogps(**{name: change(part) for name, part in self.parts()})

    @property
    def chosen_mean(self) -> Float[Tensor, " P"]:
        """Nats a token."""
        return self.chosen / self.n_chosen

    @property
    def rejected_mean(self) -> Float[Tensor, " R"]:
        """Nats a token."""
        return self.rejected / self.n_rejected


@runtime_checkable
class PairObjective(Protocol):
    """A loss of what the policy thinks of pairs, and what the model that it began as thought of them."""

    NEEDS_REFERENCE: ClassVar[bool]

    def loss(self, policy: PairLogps, reference: PairLogps) -> Float[Tensor, ""]:
        """The mean over the pairs. An objective without a reference does not look at it."""


@dataclass(frozen=True)
class Dpo:
    """Direct preference optimisation (Rafailov et al., arXiv 2305.18290): -log σ(β(Δ log π - Δ log π_ref)).

    Δ is chosen less rejected; ln 2 while the policy is the reference.
    """

    NEEDS_REFERENCE: ClassVar[bool] = True
    beta: float = 0.1

    def __post_init__(self) -> None:
        _positive("beta", self.beta)

    def loss(self, policy: PairLogps, reference: PairLogps) -> Float[Tensor, ""]:
        """Equation 7."""
        return -logsigmoid(self.beta * margins(policy, reference)).mean()


@dataclass(frozen=True)
class Ipo:
    """Identity preference optimisation (Azar et al., arXiv 2310.12036): (Δ log π - Δ log π_ref - 1/(2τ))².

    The margin has a goal, so that clear pairs are not driven apart without end. Sums over an answer's tokens, as in the
    paper; trl takes means instead, for which τ would have to be as many times as large as answers are long.
    """

    NEEDS_REFERENCE: ClassVar[bool] = True
    tau: float = 0.1

    def __post_init__(self) -> None:
        _positive("tau", self.tau)

    def loss(self, policy: PairLogps, reference: PairLogps) -> Float[Tensor, ""]:
        """Equation 17."""
        return (margins(policy, reference) - 1 / (2 * self.tau)).square().mean()


@dataclass(frozen=True)
class Orpo:
    """Odds ratio preference optimisation (Hong et al., arXiv 2403.07691): no reference.

    -log p(chosen) - λ log σ(log odds(chosen) - log odds(rejected)), all as means over an answer's tokens.
    """

    NEEDS_REFERENCE: ClassVar[bool] = False
    weight: float = 0.1
    """λ of the paper."""

    def __post_init__(self) -> None:
        _positive("weight", self.weight)

    def loss(self, policy: PairLogps, reference: PairLogps) -> Float[Tensor, ""]:
        """Equation 6."""
        odds = _log_odds(policy.chosen_mean) - _log_odds(policy.rejected_mean)
        return (-policy.chosen_mean - self.weight * logsigmoid(odds)).mean()


@dataclass(frozen=True)
class SimPo:
    """Simple preference optimisation (Meng et al., arXiv 2405.14734): no reference, means over tokens, a margin γ.

    -log σ(β (mean log p(chosen) - mean log p(rejected)) - γ); the paper's γ is 0.3 to 1.6, its β 2 to 2.5.
    """

    NEEDS_REFERENCE: ClassVar[bool] = False
    beta: float = 2.0
    gamma: float = 1.0

    def __post_init__(self) -> None:
        _positive("beta", self.beta)

    def loss(self, policy: PairLogps, reference: PairLogps) -> Float[Tensor, ""]:
        """Equation 6."""
        return -logsigmoid(self.beta * (policy.chosen_mean - policy.rejected_mean) - self.gamma).mean()


@dataclass(frozen=True)
class Kto:
    """Kahneman-Tversky optimisation (Ethayarajh et al., arXiv 2402.01306): each answer is judged by itself.

    With r = log π - log π_ref: λ_D (1 - σ(β(r - z))) for chosen answers, λ_U (1 - σ(β(z - r))) for rejected ones. z,
    how far the policy has moved in all, is the mean r of answers after other prompts, at least 0 and without a
    gradient; where there are none it is that of all answers of the batch, which is a little too high.
    """

    NEEDS_REFERENCE: ClassVar[bool] = True
    beta: float = 0.1
    desirable: float = 1.0
    undesirable: float = 1.0

    def __post_init__(self) -> None:
        for name in ("beta", "desirable", "undesirable"):
            _positive(name, getattr(self, name))

    def loss(self, policy: PairLogps, reference: PairLogps) -> Float[Tensor, ""]:
        """Equations 7 and 8."""
        good, bad = policy.chosen - reference.chosen, policy.rejected - reference.rejected
        others = torch.cat((good, bad))
        if policy.unmatched is not None and reference.unmatched is not None:
            others = policy.unmatched - reference.unmatched
        moved = others.mean().detach().clamp(min=0)
        gains = self.desirable * (1 - torch.sigmoid(self.beta * (good - moved)))
        losses = self.undesirable * (1 - torch.sigmoid(self.beta * (moved - bad)))
        return torch.cat((gains, losses)).mean()


# To add one: its class, and a line here; the tests hold its gradient against the rules of the lens.
OBJECTIVES: Mapping[str, type[Dpo] | type[Ipo] | type[Orpo] | type[SimPo] | type[Kto]] = {
    "dpo": Dpo,
    "ipo": Ipo,
    "orpo": Orpo,
    "simpo": SimPo,
    "kto": Kto,
}


def margins(policy: PairLogps, reference: PairLogps) -> Float[Tensor, " P"]:
    """By how many nats more than the reference the policy prefers each chosen answer; exactly 0 at the start."""
    return (policy.chosen - reference.chosen) - (policy.rejected - reference.rejected)


@torch.no_grad()
def preference_row(step: int, loss: float, policy: PairLogps, reference: PairLogps) -> PreferenceRow:
    """What the figures of some pairs say: margins, how many are preferred rightly, and how the chosen answers fare.

    Without a reference (its log-probabilities are then those of the start) it is the same: how far from the start.
    """
    if len(policy.chosen) != len(policy.rejected) or policy.unmatched is not None:
        return _rated_row(step, loss, policy, reference)
    gained = margins(policy, reference)
    chosen, before = float(policy.chosen_mean.mean()), float(reference.chosen_mean.mean())
    return PreferenceRow(
        step=step,
        loss=loss,
        margin=float(gained.mean()),
        right=int((gained > 0).sum()),
        n=len(gained),
        chosen=chosen,
        rejected=float(policy.rejected_mean.mean()),
        chosen_fall=(before - chosen) / abs(before) if before else None,
    )


def _rated_row(step: int, loss: float, policy: PairLogps, reference: PairLogps) -> PreferenceRow:
    """Of answers that were rated one by one: rightly judged are good ones that are likelier now, and bad ones less."""
    good, bad = policy.chosen - reference.chosen, policy.rejected - reference.rejected
    sides = [float(side.mean()) if len(side) else 0.0 for side in (good, bad)]
    means = [float(one.mean()) if len(one) else None for one in (policy.chosen_mean, policy.rejected_mean)]
    before = float(reference.chosen_mean.mean()) if len(reference.chosen) else 0.0
    return PreferenceRow(
        step=step,
        loss=loss,
        margin=sides[0] - sides[1],
        right=int((good > 0).sum() + (bad < 0).sum()),
        n=len(good) + len(bad),
        chosen=means[0],
        rejected=means[1],
        chosen_fall=(before - (means[0] or 0.0)) / abs(before) if before else None,
    )


def joined(parts: Sequence[PairLogps]) -> PairLogps:
    """Those of several batches as one."""
    together: dict[str, list[Tensor]] = {}
    for one in parts:
        for name, tensor in one.parts():
            together.setdefault(name, []).append(tensor)
    return PairLogps(**{name: torch.cat(tensors) for name, tensors in together.items()})


def _log_odds(mean: Tensor) -> Tensor:
    """log(p / (1 - p)) of a log-probability; p is kept a little below 1, where the odds are infinite."""
    below = mean.clamp(max=-1e-6)
    return below - torch.log(-torch.expm1(below))


def _positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"{name}={value} would teach nothing; it must be a number above 0")
