"""What a verification found: each gradient with its error and what is allowed, and what follows from all of them."""

from dataclasses import dataclass, field

from chainrule.base import LensError, ratio_text
from chainrule.lens.engine import Difference, Segment, Tolerance
from chainrule.lens.prove.locate import Place
from chainrule.lens.prove.sampling import NumberCheck, Numbers
from chainrule.lens.tape import Tape


@dataclass(frozen=True)
class ParameterCheck:
    """One parameter, or input that requires a gradient: how far autograd and the rules are apart, and the tolerance.

    Of a step as it ran also `scale`, the part of the error that makes the whole gradient longer or shorter. Rounding
    errors of many elements average out in it, so that it notices much smaller faults.
    """

    name: str
    shape: tuple[int, ...]
    difference: Difference | None
    tolerance: Tolerance
    reason: str
    scale: float = 0.0
    scale_tolerance: Tolerance | None = None

    @property
    def error(self) -> float:
        """The largest difference over the largest element of the gradient; 0 where nothing was compared."""
        return 0.0 if self.difference is None else self.difference.relative

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
    differentiated by autograd on both sides. `cuts` are the lines where the program itself stops gradients, which
    numbers do not see. Of a step as it ran no intermediate gradients are known; `loss_check` holds its loss against
    float64, and `device` is where it ran.
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
    cuts: tuple[str, ...]
    seconds: float
    tape: Tape = field(repr=False)
    loss_check: ParameterCheck | None = None
    device: str = "cpu"

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
    def ok(self) -> bool:
        """Whether all agree. Numbers that contradict where the program cuts gradients on purpose do not count."""
        return self.gradients_agree and (not self.contradictions or bool(self.cuts))

    @property
    def worst_parameter(self) -> ParameterCheck:
        """The parameter with the largest relative error."""
        return max(self.parameters, key=lambda one: one.error)

    @property
    def worst_node(self) -> float:
        """The largest relative error of an intermediate gradient."""
        return max(self.node_errors.values(), default=0.0)

    def raise_for_errors(self) -> None:
        """Raises LensError, with the place, unless everything agrees."""
        if not self.ok:
            raise LensError(self.summary)

    @property
    def summary(self) -> str:
        """One sentence."""
        if self.ok:
            return (
                f"{self.name}: the gradients of {len(self.parameters)} tensors agree, "
                f"largest relative error {self.worst_parameter.error:.1e}"
            )
        off = [one.name for one in self.parameters if not one.ok]
        if self.place is None and self.loss_check is not None and not self.loss_check.ok:
            return f"{self.name}: the loss itself is off by {self.loss_check.error:.1e}: the forward pass is wrong"
        if self.place is None and off:
            first = max((one for one in self.parameters if not one.ok), key=lambda one: one.difference_in_limits)
            return (
                f"{self.name}: {len(off)} of {len(self.parameters)} gradients are further from float64 than rounding "
                f"explains, most of all {first.name}: {ratio_text(first.difference_in_limits)} times the limit"
            )
        if self.place is None:
            return f"{self.name}: numbers contradict the gradient at {len(self.contradictions)} places"
        what = f"custom Function {self.place.function}" if self.place.function else self.place.op
        module = f" in {self.place.module}" if self.place.module else ""
        site = self.place.function_site or self.place.site
        return (
            f"{self.name}: the gradient of {what}{module} is wrong by {self.place.relative:.1e}"
            f"{'' if site is None else f', {site}'}"
        )
