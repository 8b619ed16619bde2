"""The budget of a session: made when a run begins, taken up again when it goes on, made anew when it gets more time."""

from dataclasses import asdict, dataclass, replace

from chainrule.config import Resolved
from chainrule.run import TimePlan
from chainrule.train.budget import guessed_costs, timetable, with_steps
from chainrule.train.ending import Amounts, Ending, ending_of
from chainrule.train.pace import Clock, Costs
from chainrule.train.replan import take_up_decisions
from chainrule.train.session import Session
from chainrule.train.settings import pinned
from chainrule.train.stages import Probed


@dataclass(frozen=True)
class Planned:
    """The settings with their steps, what a resume has to know of the time, and what is to be said of it."""

    resolved: Resolved
    time: TimePlan
    sentences: tuple[str, ...] = ()


def plan_time(probed: Probed, minutes: float | None) -> Planned:
    """As many steps as fit; without `minutes` they stay as they are, and only the ending is bounded."""
    session, resolved = probed.session, probed.resolved
    costs = guessed_costs(probed.step_seconds, session.config, session.dataset)
    training = session.config.training
    sentences: tuple[str, ...] = ()
    kept = TimePlan(session.budget.clock.spent(), costs, minutes=minutes)
    if minutes is not None:
        session.budget.pace.costs = costs
        ending = _ending(session, costs, minutes * 60)
        table = timetable(minutes, session.budget.clock.spent(), session.costs_ahead(), ending, training)
        kept, sentences = replace(kept, seconds=table.seconds), table.sentences
        source = f"measured: {probed.step_seconds:.2f} s a step"
        resolved = pinned(resolved, "training", with_steps(training, table.steps, table.sparse), source)
    _start(session, kept, resolved.config.training.steps)
    return Planned(resolved, kept, sentences)


def more_time(probed: Probed, minutes: float) -> Planned:
    """The steps that are done and those that fit into `minutes` from the beginning of this process."""
    session, before = probed.session, probed.record.budget
    costs = guessed_costs(probed.step_seconds, session.config, session.dataset)
    progress, spent = session.state.progress, session.budget.clock.spent()
    # Intervals stay as long as they are: as if the plan had been about as many steps as the time is worth.
    likely = max(1, int((minutes * 60 - spent) / costs.step))
    training = session.config.training.model_copy(update={"steps": likely})
    table = timetable(minutes, spent, costs, _ending(session, costs, minutes * 60), training)
    done = max(progress.spent, before.spent if before else 0.0)
    kept = TimePlan(done, costs, done + table.seconds, minutes)
    steps = {"steps": progress.step + table.steps}
    resolved = pinned(probed.resolved, "training", steps, f"{minutes:g} minutes more")
    return Planned(resolved, kept, table.sentences)


def take_up_time(session: Session, kept: TimePlan) -> None:
    """On a resume: the time goes on from where the checkpoint stood, and what the run had decided later stands."""
    progress, budget = session.state.progress, session.budget
    take_up_decisions(session)
    _start(session, kept, session.course.steps)
    budget.clock = Clock(budget.clock.begun, max(progress.spent, kept.spent))


def _start(session: Session, kept: TimePlan, steps: int) -> None:
    budget, costs = session.budget, Costs(**asdict(kept.costs))
    budget.seconds = kept.seconds
    budget.ending = _ending(session, costs, kept.minutes and kept.minutes * 60)
    budget.pace.start(costs, budget.seconds)
    budget.said_steps = steps


def _ending(session: Session, costs: Costs, budget: float | None) -> Ending:
    config, dataset = session.config, session.dataset
    texts = [store for store in (dataset, session.old) if store] if config.origin.start_from else []
    batch_tokens = config.batch_windows * config.model.context_length
    amounts = Amounts(
        held_out=dataset.split("validation").n_tokens,
        again=sum(store.split("validation").n_tokens for store in texts),
        train=dataset.split("train").n_tokens,
        text_bytes=sum(dataset.manifest.report.split_bytes.values()),
    )
    speed = batch_tokens / max(costs.step, 1e-9)
    return ending_of(amounts, budget=budget, training=config.training.steps * costs.step, speed=speed)
