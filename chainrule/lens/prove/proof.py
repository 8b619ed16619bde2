"""What a verification found: each gradient with its error and what is allowed, and what follows from all of them."""

from dataclasses import dataclass, field
from typing import Literal

from chainrule.base import LensError
from chainrule.lens.engine import Cut, Difference, Segment, Tolerance
from chainrule.lens.prove.locate import Place
from chainrule.lens.prove.number_checks import WIDE, NumberCheck, Numbers
from chainrule.lens.prove.on_purpose import Change
from chainrule.lens.tape import Tape

Verdict = Literal["proved", "wrong", "not proved"]


@dataclass(frozen=True)
class ParameterCheck:
    """One parameter, or input that requires a gradient: how far autograd and the rules are apart, and the tolerance.

    Of a step as it ran also `scale`, the part of the error that makes the whole gradient longer or shorter. Rounding
    errors of many elements average out in it, so that it notices much smaller faults.

    `zero` is a gradient that is zero by construction (a bias before a norm, a bias of keys): what was computed is
    nothing but rounding, and its relative error says nothing.
    """

    name: str
    shape: tuple[int, ...]
    difference: Difference | None
    tolerance: Tolerance
    reason: str
    scale: float = 0.0
    scale_tolerance: Tolerance | None = None
    zero: bool = False

    @property
    def error(self) -> float:
        """The largest difference over the largest element of the gradient; 0 where nothing was compared."""
        return 0.0 if self.difference is None else self.difference.relative + 0.0  # no minus before a zero

    @property
    def wide(self) -> bool:
        """Whether rounding could hide an error of a thousandth, so that the comparison proves nothing."""
        return (
            self.difference is not None and self.difference.size > 0 and not self.zero and self.tolerance.limit > WIDE
        )

    @property
    def difference_in_limits(self) -> float:
        """The error, or that of the scale, as a multiple of what is allowed: the larger."""
        scale = abs(self.scale) / self.scale_tolerance.limit if self.scale_tolerance is not None else 0.0
        return max(scale, self.error / self.tolerance.limit if self.tolerance.limit else float(self.error > 0))

    @property
    def ok(self) -> bool:
        """Whether rounding explains the difference."""
        scaled = self.scale_tolerance is None or abs(self.scale) <= self.scale_tolerance.limit
        return scaled and self.error <= self.tolerance.limit


@dataclass(frozen=True)
class Report:
    """Autograd, the rules and numerical differences, held against each other on one run.

    `node_errors` has the largest relative error of the gradients at each node's results, `tolerance_of` what
    rounding explains there; node numbers are those of `tape`. `suspect` is the operation whose gradient is wrong,
    `place` says more about it. `skipped` counts gradients that autograd does not know: inside custom Functions, and
    of tensors that were written to in parts. `not_independent` names operations that had no rule and were
    differentiated by autograd on both sides. `cuts` are the lines where the program itself stops gradients:
    what these handed on is held when numbers are taken. Of a step as it ran no intermediate gradients are known; `loss_check` holds its loss against
    float64, and `device` is where it ran. `doubts` are reasons for which gradients that agree are not proved;
    `changes` are hooks and custom Functions that change gradients, allowed or not; `unused` are entries of allow= that
    named none of them.
    `seconds_left_out` is about what the repetitions would have taken that there was no time for.
    """

    name: str
    against: tuple[str, ...]
    loss: float
    parameters: tuple[ParameterCheck, ...]
    node_errors: dict[int, float]
    tolerance_of: dict[int, float]
    place: Place | None
    numbers: Numbers | None
    segments: tuple[Segment, ...]
    n_samples: int
    n_values: int
    skipped: int
    not_independent: tuple[str, ...]
    cuts: tuple[Cut, ...]
    seconds: float
    tape: Tape = field(repr=False)
    loss_check: ParameterCheck | None = None
    device: str = "cpu"
    doubts: tuple[str, ...] = ()
    seconds_left_out: float = 0.0
    changes: tuple[Change, ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def suspect(self) -> int | None:
        """The number of the operation whose gradient is wrong."""
        return None if self.place is None else self.place.node

    @property
    def gradients_agree(self) -> bool:
        """Whether autograd and the rules agree at every value and parameter."""
        wrong = any(error > self.tolerance_of[node] for node, error in self.node_errors.items())
        forward = self.loss_check is None or self.loss_check.ok
        return not wrong and forward and all(one.ok for one in self.parameters)

    @property
    def contradictions(self) -> tuple[NumberCheck, ...]:
        """The derivatives by numbers that contradict one of the engines asked."""
        checks = () if self.numbers is None else self.numbers.checks
        return tuple(check for check in checks if not (check.agrees("autograd") and check.agrees("rules")))

    @property
    def verdict(self) -> Verdict:
        """`proved`: all ways agree, each within what it may be off by. `wrong`: two do not. Else `not proved`."""
        if any(not one.allowed for one in self.changes):
            return "wrong"
        if not self.gradients_agree or self.contradictions:
            return "wrong"
        return "not proved" if self.open_points else "proved"

    @property
    def ok(self) -> bool:
        """Whether the gradients are proved."""
        return self.verdict == "proved"

    @property
    def open_points(self) -> tuple[str, ...]:
        """What keeps gradients that agree from being proved, and what would prove them, in sentences."""
        return (*self.doubts, *self._wide_limits(), *self._silent_numbers())

    def _wide_limits(self) -> tuple[str, ...]:
        """A step as it ran is held against its own formats, however narrow: there no limit is too wide."""
        wide = [] if self.loss_check is not None or "step" in self.against else [p for p in self.parameters if p.wide]
        if not wide:
            return ()
        worst = max(wide, key=lambda one: one.tolerance.limit)
        more = f", and in {len(wide) - 1} more" if len(wide) > 1 else ""
        remedy = f"it needs wider number formats than {worst.reason}"
        if self.seconds_left_out:
            remedy = f"more time would narrow it: seconds={self.seconds_for_all:.0f} (--seconds)"
        elif worst.reason == "float64 everywhere":
            remedy = "numbers cancel on the way to it, or a function is saturated; other inputs may show more"
        return (f"rounding could hide an error of {worst.tolerance.limit:.0e} in {worst.name}{more}; {remedy}",)

    def _silent_numbers(self) -> tuple[str, ...]:
        if "numbers" not in self.against or not self.parameters:
            return ()
        if self.numbers is None and self.doubts:
            return ()
        if self.numbers is None:
            return ("no weight is in float64, and others cannot be moved by small steps; keep the weights in float64",)
        if any(one.telling for one in self.numbers.checks):
            return ()
        why = next((f" ({one.why})" for one in self.numbers.checks if one.why), " (rounding of the loss hides more)")
        return (
            f"none of {len(self.numbers.checks)} derivatives by numbers is exact to a thousandth{why}; "
            "try a batch away from corners and saturation, or a larger loss",
        )

    @property
    def seconds_for_all(self) -> float:
        """How much time would be enough for every repetition."""
        return self.seconds + 4 * self.seconds_left_out

    @property
    def zeros(self) -> tuple[ParameterCheck, ...]:
        """The tensors whose gradient is zero by construction."""
        return tuple(one for one in self.parameters if one.zero)

    @property
    def worst_in_limits(self) -> float:
        """The largest error of a tensor's gradient over its limit: below 1 when all agree."""
        return max((one.difference_in_limits for one in self.parameters), default=0.0)

    @property
    def worst_parameter(self) -> ParameterCheck:
        """The parameter with the largest relative error, of those whose gradient is not zero by construction."""
        return max(self.parameters, key=lambda one: (not one.zero, one.error))

    @property
    def worst_node(self) -> float:
        """The largest relative error of an intermediate gradient."""
        return max(self.node_errors.values(), default=0.0)

    def raise_for_errors(self) -> None:
        """Raises LensError, with the place or the reason, unless the gradients are proved."""
        if not self.ok:
            raise LensError(self.summary)

    def _given_way(self) -> str:
        """What a reader of a ✓ has to know beside it."""
        cuts = f"; {len(self.cuts)} line{'s' * (len(self.cuts) > 1)} stop gradients" if self.cuts else ""
        allowed = f"; {len(self.changes)} changed on purpose" if self.changes else ""
        return cuts + allowed

    @property
    def summary(self) -> str:
        """One sentence."""
        verdict = self.verdict
        if verdict == "proved":
            zeros = f"; {len(self.zeros)} are zero but for rounding" if self.zeros else ""
            return (
                f"{self.name}: proved, the gradients of {len(self.parameters)} tensors agree, largest relative error "
                f"{self.worst_parameter.error:.1e}, largest error over its limit {self.worst_in_limits:.2g}{zeros}"
                f"{self._given_way()}"
            )
        if verdict == "not proved":
            return f"{self.name}: not proved: {'; '.join(self.open_points)}"
        off = [one.name for one in self.parameters if not one.ok]
        if self.place is None and self.loss_check is not None and not self.loss_check.ok:
            return (
                f"{self.name}: wrong, the loss itself is off by {self.loss_check.error:.1e}: the forward pass is wrong"
            )
        if self.place is None and off:
            first = max((one for one in self.parameters if not one.ok), key=lambda one: one.difference_in_limits)
            return (
                f"{self.name}: wrong, {len(off)} of {len(self.parameters)} gradients are further from float64 than "
                f"rounding explains, most of all {first.name}: {first.difference_in_limits:.2g} times the limit"
            )
        if self.place is None:
            n = len(self.contradictions)
            return f"{self.name}: wrong, {n} derivatives by numbers contradict the gradient"
        site = self.place.function_site or self.place.site
        return f"{self.name}: wrong, {self.place.told}{'' if site is None else f', {site}'}"
