"""What is known of a run at each stage before its first step: asked, surveyed, settled, probed.

A new run passes all four. One that goes on is settled by what lies in its folder, and probed like a new one: from there
on the two are one. Each stage is a frozen value, made from the one before; what it has written by then stands in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

from chainrule.base import ConfigError, bytes_text
from chainrule.config import Config, Layer, Resolved
from chainrule.data import Dataset, Survey, run_dataset
from chainrule.device import MachineFacts, Precision, look_at_machine, on_threads
from chainrule.evaluate import tasks_for
from chainrule.plan import check_trained, draft
from chainrule.run import Plan, RunFolder, StartRecord, TokenizerFacts, seal_files, write_run_json
from chainrule.tokenizer import Tokenizer, load_tokenizer
from chainrule.train.amount import check_amount
from chainrule.train.claim import let_read
from chainrule.train.held import HeldOptimizer
from chainrule.train.lesson import Lesson
from chainrule.train.origin import Origin, find_origin, link_old_text, old_dataset
from chainrule.train.pace import Budget, Clock
from chainrule.train.prepare import data_row, machine_record, make_shards, make_tokenizer, read_text, tokenizer_row
from chainrule.train.probe import probe
from chainrule.train.prompts import fitting_prompts
from chainrule.train.record import start_record
from chainrule.train.room import check_early, check_room
from chainrule.train.session import Session, write_event
from chainrule.train.settings import in_windows, on_machine, pinned, plan_row, save_settings, settle
from chainrule.train.state import TrainState
from chainrule.train.stop import Stop
from chainrule.train.team import Team
from chainrule.train.together import checked_layout, divided, first_passes, of_all, shared_machine
from chainrule.train.watch import Watch


@dataclass(frozen=True)
class Start:
    """What every stage works with; `begun` is the time.perf_counter() at which the run was asked for."""

    run: RunFolder
    watch: Watch
    stop: Stop
    begun: float
    lesson: Lesson
    team: Team | None = None
    """The processes that train together; None: this one alone."""

    def say(self, message: str) -> None:
        """A line in events.jsonl, and shown."""
        write_event(self.run, self.watch, message)

    def look_at_machine(self, config: Config) -> MachineFacts:
        """The machine as it is now, shown."""
        layout = checked_layout(config, self.team)
        facts = of_all(look_at_machine(shared_machine(config.machine, self.team)), self.team, layout)
        self.watch(machine_record(facts))
        return facts


@dataclass(frozen=True)
class Asked:
    """What the run shall be, on which machine, and from which model it goes on; no text has been read.

    That model's shape is the first of `layers`; `given` has of the settings what can be told by now.
    """

    layers: Sequence[Layer]
    given: Config
    facts: MachineFacts
    origin: Origin | None
    record: StartRecord

    @classmethod
    def of(cls, start: Start, layers: Sequence[Layer], minutes: float | None) -> Self:
        """Writes down what is asked for; raises before any text is read what can be known of memory and disk."""
        given, record = draft(layers, minutes), start_record(layers, minutes)
        # Before anything that takes time, and config.toml, which makes the folder a run, last: from then on --resume
        # goes on, and before it the name is free.
        write_run_json(start.run, start.run.machine, record.row())
        save_settings(start.run, given)
        check_amount(given)
        facts = start.look_at_machine(given.config)
        check_replay(given.config, facts)
        # Opened again at the end; a mistyped one must not be found out hours later.
        tasks_for(given.config.training.tasks, given.config.text.paths)
        origin = find_origin(given.config, layers)
        if origin:
            for sentence in origin.opened.unchecked:
                start.say(sentence)
            for reason in origin.opened.passed_over:
                start.say(f"passed over: {reason}; going on from {origin.opened.origin}")
            layers = [origin.layer(), *layers]
            given = draft(layers, minutes)
        check_early(start.run, given, facts)
        if origin:
            origin.opened.tokenizer.save(start.run.tokenizer)
            seal_files(start.run, start.run.tokenizer)
            if copied := link_old_text(origin, start.run):
                where = f"{origin.source}, which is on another disk"
                start.say(f"{bytes_text(copied)} of old text were copied from {where}")
        return cls(layers, given.config, facts, origin, record)


@dataclass(frozen=True)
class Surveyed:
    """The text has been looked through: all settings are chosen but for what tokenizer and trial will tell."""

    asked: Asked
    found: Survey
    resolved: Resolved

    @classmethod
    def of(cls, start: Start, asked: Asked) -> Self:
        """Pass 1 over the text, and the automatic choice by its size."""
        found = read_text(asked.given, start.run, start.watch)
        chosen = settle(asked.layers, asked.facts, asked.record.minutes, found.split_bytes("train"))
        resolved = on_machine(divided(chosen, checked_layout(asked.given, start.team)), asked.facts)
        if asked.origin:
            start.say(asked.origin.sentence(resolved.config))
        start.watch(plan_row(resolved.config, asked.facts))
        return cls(asked, found, resolved)


@dataclass(frozen=True)
class Settled:
    """All that a session is made of."""

    resolved: Resolved
    facts: MachineFacts
    tokenizer: Tokenizer
    dataset: Dataset
    record: StartRecord

    @classmethod
    def anew(cls, start: Start, surveyed: Surveyed) -> Self:
        """Of a new run: the tokenizer is made, the text is encoded, and both tell the last of the settings."""
        asked, found, resolved = surveyed.asked, surveyed.found, surveyed.resolved
        asked_size = resolved.config.model.vocab_size
        let_read(start.run, resolved.config)
        tokenizer = make_tokenizer(resolved.config, found, start.run, start.watch)
        if not asked.origin:
            resolved = pinned(resolved, "model", {"vocab_size": tokenizer.vocab_size}, "the tokenizer")
        check_room(start.run, resolved.config)
        dataset = make_shards(resolved.config, found, tokenizer, start.run, start.watch)
        seal_files(start.run, start.run.manifest)
        if "training.prompts" not in resolved.sources and (
            prompts := fitting_prompts(dataset.split("validation"), tokenizer)
        ):
            resolved = pinned(resolved, "training", {"prompts": prompts}, "held-out text")
        about = tokenizer_row(tokenizer, dataset, resolved.config, asked_size)
        start.watch(about)
        check_room(start.run, resolved.config)  # once more: the shards have taken some
        return cls(resolved, asked.facts, tokenizer, dataset, replace(asked.record, tokenizer=about))

    @classmethod
    def again(cls, start: Start, resolved: Resolved, record: StartRecord) -> Self:
        """Of a run that goes on: from its folder. What its first start showed is shown again.

        What machine.json has lost of that is worked out and written again.
        """
        config, facts = resolved.config, start.look_at_machine(resolved.config)
        check_replay(config, facts)
        tokenizer, dataset = load_tokenizer(start.run.tokenizer), run_dataset(start.run)
        planned_as = in_windows(config, start.lesson.window_tokens(config))
        plan, about, data = record.plan, record.tokenizer, data_row(dataset, planned_as)
        if plan is None or about is None or not (_is_whole(plan) and _is_whole(about)):
            plan = plan_row(planned_as, facts, learning=start.lesson.learning(config))
            about = tokenizer_row(tokenizer, dataset, config, config.model.vocab_size)
            record = replace(record, plan=plan, tokenizer=about, machine=machine_record(facts), data=data)
            write_run_json(start.run, start.run.machine, record.row())
            start.say("machine.json was missing or damaged, and is written again")
        for one in (plan, about, data):
            start.watch(one)
        return cls(resolved, facts, tokenizer, dataset, record)


@dataclass(frozen=True)
class Probed:
    """A session with which updates were tried: micro-batch, threads and compiler are known, and what a step takes.

    Its weights are untrained. `resolved` are its settings with where they came from.
    """

    session: Session
    resolved: Resolved
    step_seconds: float
    record: StartRecord

    @classmethod
    def of(cls, start: Start, settled: Settled) -> Self:
        """Whatever the machine was before: a resume may be on another one."""
        config, facts = settled.resolved.config, settled.facts
        old = old_dataset(start.run)
        batches = start.lesson.batches(config, settled.dataset, old)
        precision = Precision(facts.device, facts.precision)
        if start.team is None:
            state = TrainState.fresh(config, precision, start.lesson.adapt)
            windows = batches.windows(0, config.batch_windows)
            passes = probe(state, config, facts, windows, start.watch, start.lesson.objective)
        else:
            check_trained(config, checked_layout(config, start.team))
            state = TrainState.fresh(config, precision, start.lesson.adapt, HeldOptimizer)
            start.team.begin(start.run, config, facts)
            passes = first_passes(start.team, state, config, facts, start.lesson, start.watch)
        resolved = pinned(settled.resolved, "machine", passes.settings, "tried at the start")
        session = Session(
            run=start.run,
            config=resolved.config,
            facts=on_threads(facts, passes.threads),
            tokenizer=settled.tokenizer,
            dataset=settled.dataset,
            old=old,
            batches=batches,
            state=state,
            objective=passes.objective,
            micro_batch=passes.micro_batch,
            watch=start.watch,
            stop=start.stop,
            lesson=start.lesson,
            team=start.team,
            budget=Budget(clock=Clock(start.begun)),
        )
        return cls(session, resolved, passes.step_seconds, settled.record)


def check_replay(config: Config, facts: MachineFacts) -> None:
    """Raises ConfigError where training.replay_every is asked for and the same step has not the same bits twice."""
    if config.training.replay_every and facts.device != "cpu":
        raise ConfigError(
            f"training.replay_every compares bits, and {facts.device} adds sums in any order; leave it at 0 there, or "
            "use --machine.device cpu"
        )


def _is_whole(record: Plan | TokenizerFacts) -> bool:
    """Whether the file has kept all of it; the embedding's share is not known of every tokenizer."""
    return record.row().keys() | {"embedding_share"} >= {one.name for one in fields(record)}
