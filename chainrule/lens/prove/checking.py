"""A user's own training step in several ways, each against float64, before a long run goes on with one of them."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from chainrule.base import LensError, nearest
from chainrule.lens.engine import N_SAMPLES, OURS, Policy
from chainrule.lens.prove.custom_operations import with_custom_operations
from chainrule.lens.prove.proof import ParameterCheck, Report
from chainrule.lens.prove.step_verification import verify_step
from chainrule.lens.prove.ways import FAILURES, NO_COMPILER, USUAL, WAYS, NotHereError, Way
from chainrule.lens.tape import Subject, Target, subject_of

Word = Literal["proved", "wrong", "not proved", "left out"]
SECONDS = 20.0
# No gradient is proved by a limit above a thousandth, nor, in bfloat16 (whose roundings are 4 ‰), above a half.
WIDE, WIDE_IN_ROUNDINGS = 1e-3, 64
# So much of all weights may be left open by a way that is proved.
MOST_OPEN = 0.1


@dataclass(frozen=True)
class WayChecked:
    """One way, and what its gradients were beside those in float64.

    Without `report` it could not be judged, and `why` says why; `left_out` is a way that nobody asked for by name and
    this machine cannot go.
    """

    name: str
    words: str
    report: Report | None
    why: str = ""
    left_out: bool = False

    @property
    def verdict(self) -> Word:
        """`proved`: rounding explains every difference. `wrong`: it does not. `not proved`: `reason` says why."""
        if self.left_out:
            return "left out"
        if self.report is None:
            return "not proved"
        if not self.report.gradients_agree:
            return "wrong"
        return "not proved" if self.reason else "proved"

    @property
    def reason(self) -> str:
        """Why it is not proved; empty where it is."""
        if self.report is None or not self.report.gradients_agree:
            return self.why
        sizes = {one.name: math.prod(one.shape) for one in self.report.parameters}
        open_ = sum(sizes[one.name] for one in self.hidden)
        if self.hidden and (open_ > MOST_OPEN * sum(sizes.values()) or self.report.n_samples < N_SAMPLES):
            return self._too_wide()
        return "" if self.report.ok else self.report.summary

    def _too_wide(self) -> str:
        """What limits that prove nothing leave open, and what would help."""
        assert self.report is not None
        worst = max(self.hidden, key=lambda one: one.tolerance.limit)
        n, seconds = self.report.n_samples, self.report.seconds
        more = "rounding is that large beside this gradient, which a larger batch may help"
        if n < N_SAMPLES:
            more = f"only {n} of {N_SAMPLES} repetitions had time: --seconds {math.ceil(seconds / n * N_SAMPLES)}"
        return f"an error of {worst.tolerance.limit:.1g} in {worst.name} would not be seen; {more}"

    @property
    def hidden(self) -> tuple[ParameterCheck, ...]:
        """The gradients of which nothing is proved, since rounding in this format is too large beside them.

        Such are those that cancel: of a bias before a norm, of a bias that moves all scores alike.
        """
        if self.report is None:
            return ()
        eps = max((torch.finfo(one.dtype).eps for one in self.report.segments), default=torch.finfo(torch.float64).eps)
        allowed = max(WIDE, WIDE_IN_ROUNDINGS * eps)
        return tuple(one for one in self.report.parameters if one.ok and one.tolerance.limit > allowed)

    @property
    def worst(self) -> ParameterCheck | None:
        """The parameter whose error is the largest beside what rounding explains."""
        if self.report is None or not self.report.parameters:
            return None
        return max(self.report.parameters, key=lambda one: one.difference_in_limits)

    @property
    def wrong(self) -> tuple[ParameterCheck, ...]:
        """The parameters whose error rounding does not explain, the worst first."""
        of_report = () if self.report is None else self.report.parameters
        return tuple(sorted((one for one in of_report if not one.ok), key=lambda one: -one.difference_in_limits))


@dataclass(frozen=True)
class Checked:
    """A step in several ways. `exit_code` is 0 when all that were judged are proved, 1 when one is wrong, else 3."""

    name: str
    ways: tuple[WayChecked, ...]
    torch_version: str
    seconds: float

    @property
    def verdict(self) -> Word:
        """The worst of the ways: wrong before not proved before proved."""
        found = {one.verdict for one in self.ways}
        if "wrong" in found:
            return "wrong"
        return "proved" if found <= {"proved", "left out"} and "proved" in found else "not proved"

    @property
    def exit_code(self) -> int:
        """0, 1 or 3."""
        return {"proved": 0, "wrong": 1}.get(self.verdict, 3)

    @property
    def ok(self) -> bool:
        """Whether every way that was judged is proved, and one was."""
        return self.verdict == "proved"

    def __getitem__(self, name: str) -> WayChecked:
        return next(one for one in self.ways if one.name == name)

    def raise_for_errors(self) -> None:
        """Raises LensError with the sentence of `advice` unless all is proved."""
        if not self.ok:
            raise LensError(f"{self.name}: {self.advice}")

    @property
    def advice(self) -> str:
        """One sentence: what follows for a long run."""
        wrong = [one for one in self.ways if one.verdict == "wrong"]
        open_ = [one for one in self.ways if one.verdict == "not proved"]
        if wrong:
            return _advice(self, wrong)
        if open_:
            return f"{', '.join(one.name for one in open_)} could not be judged: {open_[0].reason}"
        judged = [one.name for one in self.ways if one.verdict == "proved"]
        return f"the gradients of {' and '.join(judged)} are those of float64 within the rounding of their formats"


def _advice(checked: Checked, wrong: list[WayChecked]) -> str:
    right = [one.name for one in checked.ways if one.verdict == "proved"]
    worst = wrong[0].worst
    assert worst is not None, "what is wrong has a parameter that is"
    name = wrong[0].wrong[0].name if wrong[0].wrong else "the loss itself"
    where = f"{name} is {worst.difference_in_limits:.3g} times further from float64 than rounding explains"
    if "eager" not in right:
        return f"{where}; the backward pass itself is wrong: `chainrule lens verify` names the line"
    if all("compiled" in one.name for one in wrong):
        return (
            f"{where} in {wrong[0].name}, and eager is right: torch.compile of torch {checked.torch_version} makes it "
            "wrong, not your model; train without it, or try another version of torch"
        )
    return f"{where} in {wrong[0].name}, and {right[0]} is right: train in a way that is"


def check(
    target: Target | Subject,
    batch: Any = (),
    loss: Callable[[Any], Tensor] | None = None,
    *,
    ways: Iterable[str] | Mapping[str, Way] | None = None,
    seconds: float | None = None,
    seed: int = 0,
    policy: Policy = OURS,
    say: Callable[[str], None] = lambda _message: None,
) -> Checked:
    """Runs one training step in each of `ways` and holds its gradients against the rules in float64; see `Checked`.

    `target`, `batch` and `loss` as for `verify`. `ways` are words out of eager, compiled (torch.compile), bfloat16
    (autocast), compiled-bfloat16 and device (the accelerator, or the CPU for a model that is on one); without it all
    but compiled-bfloat16, and what this machine cannot do is left out and said. A way that was named and cannot be
    judged is "not proved". `seconds` (20 when not given) is the time for sampling rounding errors, for each way.
    Operations that a program brings along are differentiated by differences of themselves, whatever backward they have.

    The model, its gradients and the random numbers stay as they are. Raises LensError for an unknown way, and when the
    step has nothing to check (no scalar loss, no parameters); what the model itself raises comes through.
    """
    start, subject = time.perf_counter(), subject_of(target, batch, loss)
    chosen = _chosen(ways)
    if seconds is not None and seconds <= 0:
        raise LensError(f"seconds={seconds:g} is no time; use a number above 0")
    found = []
    for name, way in chosen.items():
        say(f"{name}: one step {way.words} …")
        found.append(_judged(name, way, subject, Settings(policy, seed, seconds or SECONDS, ways is not None)))
    return Checked(subject.name, tuple(found), torch.__version__, time.perf_counter() - start)


@dataclass(frozen=True)
class Settings:
    """What each way is judged with; `named` says that the ways were asked for by name."""

    policy: Policy
    seed: int
    seconds: float
    named: bool


def _chosen(ways: Iterable[str] | Mapping[str, Way] | None) -> dict[str, Way]:
    if isinstance(ways, Mapping):
        return dict(ways)
    names = USUAL if ways is None else tuple(ways)
    for one in names:
        if one not in WAYS:
            raise LensError(f"{one!r} is no way to run a step.{nearest(one, WAYS)} There are {', '.join(WAYS)}")
    if not names:
        raise LensError(f"no way was named; there are {', '.join(WAYS)}")
    return {name: WAYS[name] for name in names}


def _judged(name: str, way: Way, subject: Subject, settings: Settings) -> WayChecked:
    if way == WAYS["eager"]:
        step = way.step(subject)  # what is wrong with the model or its loss is the caller's to hear
    else:
        try:
            step = way.step(subject)
        except NotHereError as missing:
            return WayChecked(name, way.words, None, str(missing), left_out=not settings.named)
        except (LensError, *FAILURES) as fault:
            if "InvalidCxxCompiler" in f"{type(fault).__name__} {fault}":
                return WayChecked(name, way.words, None, NO_COMPILER, left_out=not settings.named)
            return WayChecked(name, way.words, None, _first_lines(fault))
    if step.loss is not None and not math.isfinite(step.loss):
        return WayChecked(
            name, way.words, None, f"the loss is {step.loss}, so that no gradient can be held against another"
        )
    words = f"{way.words} ({step.device})" if way.other_device else way.words
    try:
        policy = with_custom_operations(step.tape, settings.policy)
        report = verify_step(step, policy=policy, seed=settings.seed, seconds=settings.seconds)
    except LensError as fault:
        return WayChecked(name, words, None, str(fault))
    return WayChecked(name, words, report)


def _first_lines(fault: Exception) -> str:
    """The kind of the fault and what it begins with; a compiler's messages are pages long."""
    if isinstance(fault, LensError):
        return str(fault)
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    return f"{type(fault).__name__}: {' '.join(lines[:2])[:300]}"
