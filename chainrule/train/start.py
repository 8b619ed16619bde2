"""From settings to a session that is ready for its next step: a new run, or one that goes on."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.base import write_json
from chainrule.config import Layer, Resolved
from chainrule.data import Dataset, open_dataset
from chainrule.device import MachineFacts, look_at_machine, on_threads
from chainrule.run import RunFolder
from chainrule.tokenizer import Tokenizer, load_tokenizer
from chainrule.train.budget import steps_in, with_steps
from chainrule.train.origin import find_origin, link_old_text, old_dataset, score_held_outs
from chainrule.train.prepare import (
    data_row,
    make_shards,
    make_tokenizer,
    read_text,
    tokenizer_row,
    training_batches,
)
from chainrule.train.probe import likely_micro_batch, probe, training_loss
from chainrule.train.prompts import held_out_prompts
from chainrule.train.resume import check_fits, checkpoint_to_resume, cut_journals, note_differences, saved_settings
from chainrule.train.session import Session, read_json, write_event
from chainrule.train.settings import draft, on_machine, pinned, plan_row, save_settings, settle
from chainrule.train.state import TrainState
from chainrule.train.step import Precision
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
        facts = self._machine(given)
        save_settings(self.run, given)
        record: dict[str, Any] = {
            "minutes": minutes,
            "layers": [{"source": layer.source, "values": layer.values} for layer in layers],
        }
        write_json(self.run.machine, record)
        origin = find_origin(given.config, layers)
        if origin:
            for reason in origin.opened.passed_over:
                write_event(self.run, self.watch, f"passed over: {reason}; going on from {origin.opened.origin}")
            layers = [origin.layer(), *layers]
            origin.opened.tokenizer.save(self.run.tokenizer)
            link_old_text(origin, self.run)
        found = read_text(given.config, self.run, self.watch)
        resolved = on_machine(settle(layers, facts, minutes, found.split_bytes("train")), facts)
        self.watch("plan", plan_row(resolved.config, facts))
        asked_size = resolved.config.model.vocab_size
        tokenizer = make_tokenizer(resolved.config, found, self.run, self.watch)
        if not origin:
            resolved = pinned(resolved, "model", {"vocab_size": tokenizer.vocab_size}, "the tokenizer")
        dataset = make_shards(resolved.config, found, tokenizer, self.run, self.watch)
        if "training.prompts" not in resolved.sources and (
            prompts := held_out_prompts(dataset.split("validation"), tokenizer)
        ):
            resolved = pinned(resolved, "training", {"prompts": prompts}, "held-out text")
        record["tokenizer"] = tokenizer_row(tokenizer, dataset, resolved.config, asked_size)
        self.watch("tokenizer", record["tokenizer"])
        session = self._session(resolved, facts, tokenizer, dataset)
        if origin:
            session.state.take_weights(origin.opened)
            record["before"] = score_held_outs(session)
        return self._probed(session, resolved, record)

    def again(self, layers: Sequence[Layer]) -> Session:
        """The run in the folder, from its newest whole checkpoint, or from its first step when it has none."""
        record = read_json(self.run.machine)
        resolved = saved_settings(self.run, layers)
        if "plan" not in record:
            return self.anew([*(Layer(**layer) for layer in record["layers"]), *layers], record["minutes"])
        facts = self._machine(resolved)
        self.watch("plan", record["plan"])
        self.watch("tokenizer", record["tokenizer"])
        tokenizer, dataset = load_tokenizer(self.run.tokenizer), open_dataset(self.run.data)
        self.watch("data", data_row(dataset, resolved.config))
        checkpoint = checkpoint_to_resume(self.run, self.watch)
        session = self._session(resolved, facts, tokenizer, dataset)
        if checkpoint:
            check_fits(checkpoint, dataset, tokenizer)
            session.state.restore(checkpoint)
            note_differences(checkpoint, facts, self.run, self.watch)
        elif origin := find_origin(resolved.config, []):
            session.state.take_weights(origin.opened)
        save_settings(self.run, resolved)
        progress = session.state.progress
        cut_journals(self.run, progress.step, progress.looked)
        session.loss_function = training_loss(session.state.model, compiled=resolved.config.machine.compile == "on")
        session.note(f"resumed at step {progress.step} of {resolved.config.training.steps}")
        return session

    def _machine(self, resolved: Resolved) -> MachineFacts:
        facts = look_at_machine(resolved.config.machine)
        self.watch("machine", facts.row())
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
            loss_function=state.model.loss,
            micro_batch=config.machine.micro_batch or likely_micro_batch(config, facts),
            watch=self.watch,
            stop=self.stop,
        )

    def _probed(self, session: Session, resolved: Resolved, record: dict[str, Any]) -> Session:
        """The session with micro-batch, compilation and steps settled, and all of it written down."""
        first = session.batches.windows(0, session.config.batch_windows)
        probed = probe(session.state, session.config, session.facts, first, self.watch)
        session.loss_function, session.micro_batch = probed.loss_function, probed.micro_batch
        session.facts = on_threads(session.facts, probed.threads)
        settled = {
            "micro_batch": probed.micro_batch,
            "compile": "on" if probed.compiled else "off",
            "threads": probed.threads,
        }
        resolved = pinned(resolved, "machine", settled, "tried at the start")
        if record["minutes"] is not None:
            left = record["minutes"] * 60 - (time.perf_counter() - self.begun)
            steps = steps_in(left, probed.step_seconds, session.config, session.dataset)
            source = f"measured: {probed.step_seconds:.2f} s a step"
            resolved = pinned(resolved, "training", with_steps(session.config.training, steps), source)
        session.config = resolved.config
        data, plan = (
            data_row(session.dataset, session.config),
            plan_row(session.config, session.facts, probed.step_seconds),
        )
        self.watch("data", data)
        self.watch("plan", plan)
        save_settings(self.run, resolved)
        write_json(self.run.machine, {**record, "machine": session.facts.row(), "plan": plan, "data": data})
        write_event(self.run, self.watch, f"started: {session.config.training.steps} steps", step=0)
        return session
