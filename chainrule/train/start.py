"""From settings to a session that is ready for its next step: a new run, or one that goes on."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from chainrule.base import bytes_text, write_json
from chainrule.config import Config, Layer, Resolved, load_toml, resolve
from chainrule.data import Dataset, open_dataset
from chainrule.device import MachineFacts, Precision, look_at_machine, on_threads
from chainrule.plan import draft
from chainrule.run import Plan, RunFolder, StartRecord, TokenizerFacts, is_begun, read_start
from chainrule.tokenizer import Tokenizer, load_tokenizer
from chainrule.train.objective import NextToken
from chainrule.train.origin import find_origin, link_old_text, old_dataset, score_before
from chainrule.train.pace import Budget, Clock
from chainrule.train.planned import more_time, plan_time, take_up_time
from chainrule.train.prepare import (
    data_row,
    machine_record,
    make_shards,
    make_tokenizer,
    read_text,
    tokenizer_row,
    training_batches,
)
from chainrule.train.probe import Probed, likely_micro_batch, probe
from chainrule.train.prompts import held_out_prompts
from chainrule.train.record import asked_for, start_record
from chainrule.train.replan import keep_plan
from chainrule.train.resume import (
    check_fits,
    check_settings,
    checkpoint_to_resume,
    cut_journals,
    going_on,
    note_differences,
    other_steps,
    saved_settings,
)
from chainrule.train.room import check_early, check_room
from chainrule.train.session import Session, write_event
from chainrule.train.settings import on_machine, pinned, plan_row, save_settings, settle
from chainrule.train.state import TrainState
from chainrule.train.stop import Stop
from chainrule.train.watch import Watch


@dataclass(frozen=True)
class Start:
    """What both ways to begin have; `begun` is the time.perf_counter() at which the run was asked for."""

    run: RunFolder
    watch: Watch
    stop: Stop
    begun: float

    def anew(self, layers: Sequence[Layer], minutes: float | None) -> Session:
        """A new run, or one that ended before its first step: what it prepared is kept."""
        given = draft(layers, minutes)
        # Before anything that takes time, and config.toml, which makes the folder a run, last: from then on --resume
        # goes on, and before it the name is free.
        record = start_record(layers, minutes)
        write_json(self.run.machine, record.row())
        save_settings(self.run, given)
        facts = self._machine(given)
        if given.config.origin.start_from is None:
            check_early(self.run, given, facts)
        origin = find_origin(given.config, layers)
        if origin:
            for reason in origin.opened.passed_over:
                write_event(self.run, self.watch, f"passed over: {reason}; going on from {origin.opened.origin}")
            layers = [origin.layer(), *layers]
            check_early(self.run, draft(layers, minutes), facts)
            origin.opened.tokenizer.save(self.run.tokenizer)
            if copied := link_old_text(origin, self.run):
                where = f"{origin.source}, which is on another disk"
                write_event(self.run, self.watch, f"{bytes_text(copied)} of old text were copied from {where}")
        found = read_text(given.config, self.run, self.watch)
        resolved = on_machine(settle(layers, facts, minutes, found.split_bytes("train")), facts)
        if origin:
            write_event(self.run, self.watch, origin.sentence(resolved.config))
        self.watch(plan_row(resolved.config, facts))
        asked_size = resolved.config.model.vocab_size
        tokenizer = make_tokenizer(resolved.config, found, self.run, self.watch)
        if not origin:
            resolved = pinned(resolved, "model", {"vocab_size": tokenizer.vocab_size}, "the tokenizer")
        check_room(self.run, resolved.config)
        dataset = make_shards(resolved.config, found, tokenizer, self.run, self.watch)
        if "training.prompts" not in resolved.sources and (
            prompts := held_out_prompts(dataset.split("validation"), tokenizer)
        ):
            resolved = pinned(resolved, "training", {"prompts": prompts}, "held-out text")
        about = tokenizer_row(tokenizer, dataset, resolved.config, asked_size)
        self.watch(about)
        check_room(self.run, resolved.config)  # once more: the shards have taken some
        session = self._session(resolved, facts, tokenizer, dataset)
        if origin:
            session.state.take_weights(origin.opened)
        return self._probed(session, resolved, replace(record, tokenizer=about))

    def again(self, layers: Sequence[Layer], minutes: float | None = None) -> Session:
        """The run in the folder, from its newest whole checkpoint, or from its first step when it has none.

        With `minutes` it gets as many steps more as fit into that time from now on.
        """
        record = read_start(self.run)
        resolved = saved_settings(self.run, layers)
        if record.plan is None and not is_begun(self.run):
            asked, before = asked_for(self.run)
            return self.anew([*asked, *layers], before if minutes is None else minutes)
        # Of a finished run that gets more minutes the steps are not known yet: at least one checkpoint comes.
        check_room(self.run, resolved.config, count=None if minutes is None else 1)
        facts = self._machine(resolved)
        tokenizer, dataset = load_tokenizer(self.run.tokenizer), open_dataset(self.run.data)
        record = self._tell(record, resolved.config, facts, tokenizer, dataset)
        checkpoint = checkpoint_to_resume(self.run, self.watch)
        if checkpoint:
            check_settings(checkpoint, self.run, resolved.config)
            check_fits(checkpoint, dataset, tokenizer, old_dataset(self.run))
        session = self._session(resolved, facts, tokenizer, dataset)
        # Before the weights come, because trying moves them: this may be another machine than the one before.
        resolved, probed = self._tried(session, resolved)
        if checkpoint:
            session.state.restore(checkpoint)
            note_differences(checkpoint, session.config, session.facts, self.run, self.watch)
        elif origin := find_origin(resolved.config, []):
            session.state.take_weights(origin.opened)
        progress = session.state.progress
        wanted = resolved.config.training.steps
        if minutes is not None:
            resolved, budget = more_time(session, resolved, minutes, probed.step_seconds, record.budget)
        elif record.budget is None or wanted != resolve([load_toml(self.run.config)]).config.training.steps:
            # Nothing is known of a time, or a number of steps was asked for, whatever time they take.
            budget = plan_time(session, resolved, None, probed.step_seconds)[1]
        else:
            budget = record.budget
        if checkpoint and (told := other_steps(checkpoint, progress, session.config)):
            session.note(told)
        going_on(self.run)
        write_json(self.run.machine, replace(record, budget=budget).row())
        save_settings(self.run, resolved)
        cut_journals(self.run, progress.step, progress.looked, self.watch)
        take_up_time(session, budget)
        keep_plan(session)
        session.note(f"resumed at step {progress.step} of {session.course.steps}")
        return session

    def _tell(
        self, record: StartRecord, config: Config, facts: MachineFacts, tokenizer: Tokenizer, dataset: Dataset
    ) -> StartRecord:
        """Shows what the first start showed; what machine.json has lost is worked out and written again."""
        plan, about = record.plan, record.tokenizer
        data = data_row(dataset, config)
        if plan is None or about is None or not (_is_whole(plan) and _is_whole(about)):
            plan = plan_row(config, facts)
            about = tokenizer_row(tokenizer, dataset, config, config.model.vocab_size)
            record = replace(record, plan=plan, tokenizer=about, machine=machine_record(facts), data=data)
            write_json(self.run.machine, record.row())
            write_event(self.run, self.watch, "machine.json was missing or damaged, and is written again")
        for one in (plan, about, data):
            self.watch(one)
        return record

    def _machine(self, resolved: Resolved) -> MachineFacts:
        facts = look_at_machine(resolved.config.machine)
        self.watch(machine_record(facts))
        return facts

    def _session(self, resolved: Resolved, facts: MachineFacts, tokenizer: Tokenizer, dataset: Dataset) -> Session:
        config = resolved.config
        old = old_dataset(self.run)
        batches = training_batches(config, dataset, old)
        state = TrainState.fresh(config, Precision(facts.device, facts.precision))
        return Session(
            run=self.run,
            config=config,
            facts=facts,
            tokenizer=tokenizer,
            dataset=dataset,
            old=old,
            batches=batches,
            state=state,
            objective=NextToken(state.model.loss),
            micro_batch=config.machine.micro_batch or likely_micro_batch(config, facts),
            watch=self.watch,
            stop=self.stop,
            budget=Budget(clock=Clock(self.begun)),
        )

    def _tried(self, session: Session, resolved: Resolved) -> tuple[Resolved, Probed]:
        """A micro-batch that fits and a compiler that works, in the session and in its settings."""
        first = session.batches.windows(0, session.config.batch_windows)
        probed = probe(session.state, session.config, session.facts, first, self.watch)
        session.objective, session.micro_batch = probed.objective, probed.micro_batch
        session.facts = on_threads(session.facts, probed.threads)
        settled = {
            "micro_batch": probed.micro_batch,
            "compile": "on" if probed.compiled else "off",
            "threads": probed.threads,
        }
        resolved = pinned(resolved, "machine", settled, "tried at the start")
        session.config = resolved.config
        return resolved, probed

    def _probed(self, session: Session, resolved: Resolved, record: StartRecord) -> Session:
        """The session with micro-batch, compilation and steps settled, and all of it written down."""
        resolved, probed = self._tried(session, resolved)
        if session.config.origin.start_from:
            record = replace(record, before=score_before(session, record.minutes, probed.step_seconds))
        resolved, budget, sentences = plan_time(session, resolved, record.minutes, probed.step_seconds)
        session.config = resolved.config
        data, plan = (
            data_row(session.dataset, session.config),
            plan_row(session.config, session.facts, probed.step_seconds),
        )
        self.watch(data)
        self.watch(plan)
        save_settings(self.run, resolved)
        record = replace(record, budget=budget, machine=machine_record(session.facts), plan=plan, data=data)
        write_json(self.run.machine, record.row())
        for sentence in sentences:
            session.note(sentence)
        session.note(f"started: {session.config.training.steps} steps")
        return session


def _is_whole(record: Plan | TokenizerFacts) -> bool:
    """Whether a file has kept all of it; the embedding's share is not known of every tokenizer."""
    return record.row().keys() | {"embedding_share"} >= {one.name for one in fields(record)}
