"""What a run does otherwise when several processes make its updates: its first passes, an update, its whole weights."""

from dataclasses import replace

from chainrule.base import ConfigError, usable_cores
from chainrule.config import Config, MachineConfig, Resolved
from chainrule.device import MachineFacts
from chainrule.plan import Layout, layout_of, rank_memory
from chainrule.run import Event
from chainrule.train.lesson import Lesson
from chainrule.train.probe import ENOUGH_TOKENS, MEMORY_SHARE, FirstPasses
from chainrule.train.session import Session
from chainrule.train.settings import pinned
from chainrule.train.state import TrainState
from chainrule.train.step import StepResult
from chainrule.train.team import Judge, Portion, Team
from chainrule.train.watch import Watch


def checked_layout(config: Config, team: Team | None) -> Layout:
    """The layout of the run on its processes, or on this one alone.

    Raises ConfigError where it does not come to their number, and for settings that several processes do not honour.
    """
    machine, training = config.machine, config.training
    layout = layout_of(machine.parallel, 1 if team is None else team.size)
    if team is None:
        return layout
    if machine.compile == "on":
        raise ConfigError("machine.compile=on compiles the loss of one process; leave it at auto on several")
    if training.replay_every:
        raise ConfigError(
            "training.replay_every makes the gradients of one process twice; leave it at 0 on several, or train in one"
        )
    return layout


def shared_machine(machine: MachineConfig, team: Team | None) -> MachineConfig:
    """The settings as each process of a machine takes them: where no threads are set, its share of the cores."""
    if team is None or machine.threads:
        return machine
    return machine.model_copy(update={"threads": max(1, usable_cores() // team.on_this_machine)})


def of_all(facts: MachineFacts, team: Team | None, layout: Layout) -> MachineFacts:
    """The machine's facts, with the peak of all processes; that of this one was measured while the others waited.

    Of GPUs that share weights the memory is that of all which do; processes on CPUs have the machine's in common.
    """
    if team is None:
        return facts
    shards = layout.fsdp * layout.tp if facts.device == "cuda" else 1
    peak, memory = facts.peak_flops * team.size, facts.memory_bytes * shards
    return replace(facts, peak_flops=peak, memory_bytes=memory, layout=layout.text())


def divided(resolved: Resolved, layout: Layout) -> Resolved:
    """The settings with a batch that the readers of the layout share evenly, where it was chosen and not given."""
    config, readers = resolved.config, layout.readers
    given = not resolved.sources.get("training.batch_tokens", "automatic").startswith("automatic")
    if given or config.batch_windows % readers == 0:
        return resolved
    windows = readers * max(1, round(config.batch_windows / readers))
    return pinned(
        resolved, "training", {"batch_tokens": windows * config.model.context_length}, "automatic: the layout"
    )


def first_passes(
    team: Team, state: TrainState, config: Config, facts: MachineFacts, lesson: Lesson, watch: Watch
) -> FirstPasses:
    """Windows of a forward pass in each process, and the seconds of an update, the quicker of two."""
    micro_batch, share = _micro_batch(config, facts, team), config.batch_windows // team.layout.readers
    if config.machine.micro_batch not in (0, micro_batch):
        words = f"micro-batches of {micro_batch} windows instead of {config.machine.micro_batch}"
        watch(Event(f"{words}: each of {team.layout.readers} readers has {share} windows of an update"))
    portion = Portion(0, 0, config.batch_windows, 1, micro_batch, 0.0)
    seconds = min(team.trial(portion) for _ in range(2))
    objective = lesson.objective(state.model, state.model.loss)
    return FirstPasses(micro_batch, facts.threads, seconds, objective, compiled=False)


def _micro_batch(config: Config, facts: MachineFacts, team: Team) -> int:
    """The largest that divides a reader's part of the batch: as asked, or what keeps a device busy and fits by plan."""
    layout, asked = team.layout, config.machine.micro_batch
    # Of stages each has a micro-batch at a time: fewer micro-batches would leave some of them idle for good.
    share, least = config.batch_windows // layout.readers, layout.pp
    most = asked or min(share, max(1, ENOUGH_TOKENS[facts.device] // config.model.context_length))
    # On a CPU the processes have one memory in common.
    shared_by = layout.fsdp * layout.tp if facts.device == "cuda" else team.on_this_machine
    room = MEMORY_SHARE * facts.memory_bytes / shared_by
    for size in range(min(share // least, most), 1, -1):
        fits = asked or rank_memory(config, replace(layout, micro_batch=size), config.batch_windows).total <= room
        if share % size == 0 and fits:
            return size
    return 1


def update_together(session: Session, n_pieces: int, judge: Judge | None) -> StepResult:
    """One update by all; a signal that reached any of them is obeyed after it."""
    team, progress, config = session.team, session.state.progress, session.config
    assert team is not None
    portion = Portion(
        progress.step,
        progress.samples,
        config.batch_windows,
        n_pieces,
        session.micro_batch,
        session.factor(progress.step),
        judged=judge is not None,
    )
    made = team.update(portion, judge)
    session.stop.requested = session.stop.requested or made.signal
    return made.result
