"""A run on many machines: what it can reach in a time, or what a wanted loss needs; and which bound binds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from chainrule.base import ConfigError, bytes_text, count_text, duration_text
from chainrule.config import Config, Layer, Resolved, resolve
from chainrule.plan.cost import flops_per_token
from chainrule.plan.count import parameters
from chainrule.plan.devices import Machines
from chainrule.plan.fit import Range
from chainrule.plan.laws import LAW_SHARE, Allocation, LossLaw, law_for, step_law
from chainrule.plan.layout import Layout, check_layout
from chainrule.plan.placing import FILLED, Placed, place, smallest
from chainrule.plan.shapes import shape_for
from chainrule.plan.update_time import TORCH, TORCH_MOST

DAY = 86400.0
# Models between which Epoch's points lie: outside of them a law is an extrapolation, and its interval is widened by as
# much again for each ten times.
LAW_FROM, LAW_TO = 5.7e7, 1.6e10
LAW_TOKENS = 20.0  # a parameter, where neither time nor tokens nor loss say how many
# Rounds until the model's size and the speed that it is trained at agree.
ROUNDS = 6
FIRST_SHARE = 0.35  # of the peak, to begin with


@dataclass(frozen=True)
class Wish:
    """What is asked for: at most so many seconds, tokens of training, a loss; and what there is.

    `unique` are tokens of text of one's own, None: as many as are wanted. `memory_bytes` is what of each device may be
    filled, None: most of it. A `law` of one's own replaces the published one, a `layout` the choice of one.
    """

    machines: Machines
    seconds: float | None = None
    tokens: float | None = None
    loss: float | None = None
    unique: float | None = None
    memory_bytes: float | None = None
    law: LossLaw | None = None
    layout: Layout | None = None


@dataclass(frozen=True)
class ScalePlan:
    """A run as it is foreseen on machines; `unmet` says which bound binds and what would meet it, or None."""

    wish: Wish
    resolved: Resolved
    placed: Placed | None
    tokens: float
    law: LossLaw
    loss: Range
    rates: tuple[float, float]
    """Peak rate of AdamW and tokens of an update, by Step Law."""
    unmet: str | None = None

    @property
    def config(self) -> Config:
        """All settings."""
        return self.resolved.config

    @property
    def step_seconds(self) -> Range | None:
        """Of an update: as torch's own kernels are expected to take, from those fused by hand to the slowest seen."""
        if self.placed is None:
            return None
        best = self.placed.time.total
        return Range(TORCH * best, best, TORCH_MOST * best)

    @property
    def batch_tokens(self) -> int:
        """Of an update."""
        windows = self.placed.batch_windows if self.placed else self.config.batch_windows
        return windows * self.config.model.context_length

    @property
    def steps(self) -> int:
        """Updates of the run."""
        return max(1, round(self.tokens / self.batch_tokens))

    @property
    def seconds(self) -> float | None:
        """Of all updates; saving, looking and failures come on top."""
        return None if self.step_seconds is None else self.steps * self.step_seconds.value

    @property
    def cost(self) -> float | None:
        """In the user's own money; None without a price."""
        price = self.wish.machines.price_an_hour
        return None if price is None or self.seconds is None else price * self.seconds / 3600

    def figures(self) -> dict[str, Any]:
        """All of it by name, for JSON."""
        step, placed, device = self.step_seconds, self.placed, self.wish.machines.device
        model, count = self.config.model, parameters(self.config.model).total
        peak = self.wish.machines.n * device.bf16_flops
        return {
            "machines": {"n": self.wish.machines.n, "device": device.name, "source": device.source},
            "parameters": count,
            "model": model.model_dump(mode="json"),
            "tokens": round(self.tokens),
            "epochs": None if self.wish.unique is None else self.tokens / self.wish.unique,
            "batch_tokens": self.batch_tokens,
            "steps": self.steps,
            "optimizer": {"kind": "adamw", "lr": self.rates[0]},
            "parallel": placed.layout.text() if placed else None,
            "layout": vars(placed.layout) if placed else None,
            "memory_bytes": {**placed.memory.components(), "total": placed.memory.total} if placed else None,
            "step_seconds": vars(step) if step else None,
            "step_parts": vars(placed.time) if placed else None,
            "model_flops_share": flops_per_token(model) * self.batch_tokens / step.value / peak if step else None,
            "seconds": self.seconds,
            "cost": self.cost,
            "loss": {**vars(self.loss), "law": self.law.source, "within_law": LAW_FROM <= count <= LAW_TO},
            "met": self.unmet is None,
            "unmet": self.unmet,
        }


def plan_machines(wish: Wish, layers: Sequence[Layer] = ()) -> ScalePlan:
    """The run that the wish comes to; `layers` with a shape fix the model, else the law chooses its size.

    Raises ConfigError for a wish that no run can have: none of time, tokens and loss, or a loss below the law's lowest.
    """
    _check(wish)
    if wish.layout is not None and wish.layout.ranks != wish.machines.n:
        raise ConfigError(
            f"{wish.layout.text()} are {wish.layout.ranks} ranks, and there are {wish.machines.n} x "
            f"{wish.machines.device.name}; the product must be their number"
        )
    fixed = resolve(layers) if layers else None
    plan = _with_model(wish, fixed) if fixed is not None else _with_best_size(wish)
    return replace(plan, unmet=_unmet(plan))


def _check(wish: Wish) -> None:
    for name, value in (("days", wish.seconds), ("tokens", wish.tokens), ("loss", wish.loss)):
        if value is not None and not 0 < value < math.inf:
            raise ConfigError(f"{name}={value:g} is nothing to plan for; give a positive number")
    if wish.tokens is not None and wish.loss is not None:
        raise ConfigError("tokens and loss were both given, and each would choose the other; give one of the two")
    if wish.seconds is None and wish.tokens is None and wish.loss is None:
        raise ConfigError("nothing says how long: give --days, --tokens or --loss")


def _with_model(wish: Wish, fixed: Resolved) -> ScalePlan:
    """The model is given: how many tokens, and what they come to."""
    count = parameters(fixed.config.model).total
    tokens = wish.tokens
    if wish.loss is not None:
        tokens = _tokens_for(wish, count, wish.loss)
    if tokens is None:
        assert wish.seconds is not None
        tokens = LAW_TOKENS * count
        for _ in range(ROUNDS):
            tried = _plan(wish, fixed, tokens)
            if tried.placed is None or tried.step_seconds is None:
                return tried
            tokens = max(1.0, wish.seconds / tried.step_seconds.value) * tried.batch_tokens
    return _plan(wish, fixed, tokens)


def _with_best_size(wish: Wish) -> ScalePlan:
    """The law says how large the model is: for the tokens, for the loss, or for what is computed in the time."""
    if wish.loss is not None:
        best = (wish.law or law_for(1, None)).best_for_loss(wish.loss)
        if wish.unique is not None and best.tokens > wish.unique:
            best = (wish.law or law_for(best.tokens, wish.unique)).best_for_loss(wish.loss, wish.unique)
        return _plan(wish, resolve([shape_for(best.parameters)]), best.tokens)
    if wish.tokens is not None:
        law = wish.law or law_for(wish.tokens, wish.unique)
        best_size = law.parameters_for(min(wish.tokens, wish.unique or math.inf))
        return _plan(wish, resolve([shape_for(best_size)]), wish.tokens)
    assert wish.seconds is not None
    machines = wish.machines
    compute = FIRST_SHARE * machines.n * machines.device.bf16_flops * wish.seconds
    for _ in range(ROUNDS):
        best = _best(wish, compute)
        plan = _plan(wish, resolve([shape_for(best.parameters)]), best.tokens)
        if plan.placed is None or plan.seconds is None:
            return plan
        compute *= wish.seconds / plan.seconds
    # What is left of the time after the last round is for tokens: the shape stays.
    return _with_model(replace(wish, tokens=None), plan.resolved)


def _best(wish: Wish, compute: float) -> Allocation:
    law = wish.law or law_for(1, None)
    best = law.best(compute)
    if wish.unique is not None and best.tokens > wish.unique:
        best = (wish.law or law_for(best.tokens, wish.unique)).best(compute, wish.unique)
    return best


def _tokens_for(wish: Wish, count: float, loss: float) -> float:
    """Tokens after which a model of this size has the loss; raises ConfigError where it never has."""
    low, high = 0.0, math.log(1e30)
    law = wish.law or law_for(1, None)
    if law.loss(count, math.exp(high), wish.unique) >= loss:
        raise ConfigError(
            f"a model of {count_text(count)} parameters never has a loss of {loss:g}: by {law.source} it comes to "
            f"{law.loss(count, math.exp(high), wish.unique):.3f} at last; take a larger one"
            + ("" if wish.unique is None else ", or give more text")
        )
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if law.loss(count, math.exp(middle), wish.unique) > loss else (low, middle)
    return math.exp(high)


def _plan(wish: Wish, resolved: Resolved, tokens: float) -> ScalePlan:
    model = resolved.config.model
    count = parameters(model).total
    law = wish.law or law_for(tokens, wish.unique)
    expected = law.loss(count, tokens, wish.unique)
    rates = step_law(count - parameters(model).embedding, tokens)
    placed = place(resolved.config, wish.machines, rates[1], wish.memory_bytes, wish.layout)
    off = LAW_SHARE * (1 + max(0.0, math.log10(LAW_FROM / count), math.log10(count / LAW_TO)))
    loss = Range(expected, expected * (1 - off), expected * (1 + off))
    return ScalePlan(wish, resolved, placed, tokens, law, loss, rates)


def _unmet(plan: ScalePlan) -> str | None:
    """Which bound binds, and what would meet it."""
    wish = plan.wish
    if plan.placed is None:
        return _memory_binds(plan)
    if wish.seconds is not None and plan.seconds is not None and plan.seconds > 1.05 * wish.seconds:
        times = plan.seconds / wish.seconds
        reach = plan_machines(replace(wish, tokens=None, loss=None)).loss.value
        return (
            f"time binds: {count_text(plan.tokens)} tokens of {count_text(parameters(plan.config.model).total)} "
            f"parameters take {duration_text(plan.seconds)} on {wish.machines.n} x {wish.machines.device.name}, and "
            f"{duration_text(wish.seconds)} were given; {math.ceil(wish.machines.n * times)} of them would meet it, or "
            f"a loss of {reach:.3f}, which the best size reaches in the time"
        )
    return None


def _memory_binds(plan: ScalePlan) -> str:
    wish, device = plan.wish, plan.wish.machines.device
    if wish.layout is not None:
        # What does not divide is said first, with what would.
        check_layout(plan.config.model, wish.layout, wish.layout.readers)
    room = wish.memory_bytes or FILLED * device.memory_bytes
    least = smallest(plan.config, wish.machines, plan.rates[1])
    if least is None:
        return (
            f"the layout binds: {wish.machines.n} x {device.name} divide neither the batch of "
            f"{count_text(plan.rates[1])} tokens nor the {plan.config.model.n_layers} blocks of this model; take a "
            "power of two of them"
        )
    more = _enough(plan)
    remedy = f"{more} x {device.name} would do" if more else "no number of them would do"
    return (
        f"memory binds: {count_text(parameters(plan.config.model).total)} parameters need "
        f"{bytes_text(least.memory.total)} of each {device.name} ({least.layout.text()}, all computed anew), and "
        f"{bytes_text(room)} may be filled; {remedy}, or a device with more memory, or a smaller model"
    )


def _enough(plan: ScalePlan) -> int | None:
    """The fewest devices, by doubling, that hold the model."""
    n = plan.wish.machines.n
    while n < 65536:
        n *= 2
        if place(plan.config, Machines(n, plan.wish.machines.device), plan.rates[1], plan.wish.memory_bytes):
            return n
    return None
