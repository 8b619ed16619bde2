"""How many steps a time budget holds, from what the machine just showed; and what to say when they are few."""

from dataclasses import dataclass

from chainrule.base import duration_text
from chainrule.config import Config, TrainingConfig
from chainrule.data import Dataset
from chainrule.train.ending import FORWARD_SHARE, SAMPLE_SLOWDOWN, Ending
from chainrule.train.pace import Costs, Intervals

# The probe tells the quickest step; this is what a usual one takes longer.
USUAL = 1.06
# Looks and samples may take this share of the time of the steps; beyond it they are made rarer.
MOST_LOOKING, MOST_SPARSE = 0.15, 2**20
# However long the text took to prepare, this share of the time is trained, as the plan promises.
LEAST_TRAINED = 0.25
# What happens outside: the interpreter starts and ends. As a share, and in seconds.
MARGIN_SHARE, MARGIN_SECONDS = 0.005, 1.0
# Fewer steps than this teach nothing worth looking at.
FEW_STEPS = 50


@dataclass(frozen=True)
class Timetable:
    """`steps` that fit, how many times as far apart as the plan has them the looks are, the `seconds` that the run may
    spend in all, counted from its begin, and the sentences that a person has to hear about it.
    """

    steps: int
    sparse: int
    seconds: float
    sentences: tuple[str, ...] = ()


def timetable(minutes: float, spent: float, costs: Costs, ending: Ending, training: TrainingConfig) -> Timetable:
    """What fits into `minutes`, of which `spent` seconds are gone, beside what the plan thought (training.steps).

    Never gives less than half of the planned steps without a sentence that says why.
    """
    asked = minutes * 60
    seconds = asked - MARGIN_SHARE * asked - MARGIN_SECONDS
    left = seconds - spent - ending.total
    least = LEAST_TRAINED * asked
    sentences: list[str] = []
    if left < least:
        left, seconds = least, spent + ending.total + least
        if seconds > asked:
            sentences.append(
                f"preparing the text took {duration_text(spent)} of the {duration_text(asked)}: training still gets "
                f"{duration_text(least)}, and the run ends about {duration_text(seconds - asked)} late"
            )
    steps, sparse = costs.steps_in(left, Intervals.of(training)), 1
    for _ in range(2):  # the intervals are shares of the steps, and the steps depend on the intervals
        sparse = sparse_enough(costs, training, steps / training.steps)
        steps = costs.steps_in(left, Intervals.of(training, steps / training.steps, sparse))
    if 2 * steps < training.steps or steps < FEW_STEPS:
        sentences.append(_why(steps, spent, left, costs, ending, training))
    return Timetable(steps, sparse, seconds, tuple(sentences))


def sparse_enough(costs: Costs, training: TrainingConfig, spacing: float = 1.0, sparse: int = 1) -> int:
    """How many times rarer than the settings say looks and samples have to be, so that they take few of the seconds."""
    while costs.looking(Intervals.of(training, spacing, sparse)) > MOST_LOOKING * costs.step and sparse < MOST_SPARSE:
        sparse *= 2
    return sparse


def guessed_costs(step_seconds: float, config: Config, dataset: Dataset) -> Costs:
    """The costs of a run whose steps were probed and whose looks were not yet measured."""
    step = step_seconds * USUAL
    speed = config.batch_windows * config.model.context_length / max(step, 1e-9)
    training = config.training
    looked = min(training.eval_tokens, 2 * dataset.split("validation").n_tokens)  # windows overlap by half
    sampled = len(training.prompts) * training.sample_tokens
    return Costs(step, FORWARD_SHARE * looked / speed, SAMPLE_SLOWDOWN * sampled / speed)


def with_steps(training: TrainingConfig, steps: int, sparse: int = 1) -> dict[str, int]:
    """Another number of steps, and all intervals at the same shares of the run, those of looks `sparse` times wider."""
    every = Intervals.of(training, steps / training.steps, sparse)
    return {"steps": steps, "eval_every": every.looks, "sample_every": every.samples, "save_every": every.saves}


def _why(steps: int, spent: float, left: float, costs: Costs, ending: Ending, training: TrainingConfig) -> str:
    parts = [
        f"{duration_text(spent)} went into start and preparation",
        f"{duration_text(ending.total)} are kept for the end",
        f"a step takes {duration_text(costs.step)}",
    ]
    planned = f", and the plan had thought of {training.steps:,}" if steps < training.steps else ""
    advice = "; give it more minutes, a smaller model or less text" if steps < FEW_STEPS else ""
    return f"there is time for {_steps(steps)} ({duration_text(left)}){planned}: {', '.join(parts)}{advice}"


def _steps(count: int) -> str:
    return f"{count:,} step{'' if count == 1 else 's'}"
