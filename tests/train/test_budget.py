"""The promise of `--minutes`: laws of the plan, and whole runs under a clock that the test moves."""

import json
import random
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from heard import by_word
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.checkpoint import load_checkpoint, step_folder, steps_of
from chainrule.config import Layer, ScheduleConfig, TrainingConfig, load_toml, resolve
from chainrule.evaluate import as_much_as, doubled
from chainrule.optim import rate_factor
from chainrule.optim.schedule import SCHEDULES
from chainrule.plan import Machine, choose, tokens_per_second, with_automatic
from chainrule.run import RunFolder, append_row, read_rows
from chainrule.train import pretrain
from chainrule.train.budget import sparse_enough, timetable, with_steps
from chainrule.train.course import Course, course_of
from chainrule.train.ending import SHARES, Amounts, ending_of
from chainrule.train.pace import Clock, Costs, Intervals

turns = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 900)), max_size=5)


def course(planned: int, asked: list[tuple[int, int]], leg: int = 0) -> Course:
    """A course with those of the turns that a run can take: later and later, before its end."""
    made = Course(planned, leg=leg)
    for step, steps in asked:
        if step < made.steps and (not made.turns or step > made.turns[-1][0]):
            made = made.turned(step, steps)
    return made


@given(planned=st.integers(1, 300), asked=turns, leg=st.integers(0, 200))
def test_a_course_rises_to_the_last_step_of_its_schedule_whatever_its_turns(planned, asked, leg):
    made = course(leg + planned, [(leg + step, leg + steps) for step, steps in asked], leg)
    places = [made.place(step) for step in range(leg, made.steps)]
    assert made.length == planned and places == sorted(places)
    assert places[-1] == pytest.approx(planned - 1)
    assert places[0] == 0 or len(places) == 1
    # It stands still only where it was planned longer at its very end.
    ends = [steps - 1 for steps in (leg + planned, *(steps for _, steps in made.turns))]
    if not any(turn in ends for turn, _ in made.turns):
        assert all(a < b for a, b in pairwise(places))


@given(planned=st.integers(2, 10_000), step=st.integers(0, 10_000))
def test_without_turns_the_place_is_the_step_to_the_last_bit(planned, step):
    assert Course(planned).place(step) == step


@given(planned=st.integers(2, 300), asked=turns, step=st.integers(0, 300), steps=st.integers(1, 900))
def test_a_turn_moves_nothing_that_was_done(planned, asked, step, steps):
    before = course(planned, asked)
    after = before.turned(max(step, before.turns[-1][0] + 1 if before.turns else 0), steps)
    last = after.turns[-1][0]
    assert [after.place(one) for one in range(last)] == [before.place(one) for one in range(last)]
    assert after.place(last) == before.place(last) or after.steps == last + 1
    assert course_of(planned, [list(turn) for turn in after.turns]) == after


@given(
    kind=st.sampled_from(sorted(SCHEDULES)),
    planned=st.integers(2, 300),
    asked=turns,
    warmup=st.floats(0, 0.5),
    decay=st.floats(0, 1),
)
def test_the_rate_of_any_course_rises_to_its_peak_and_then_falls_and_never_jumps_up(
    kind, planned, asked, warmup, decay
):
    made = course(planned, asked)
    schedule = ScheduleConfig(kind=kind, warmup_share=warmup, decay_share=decay, floor=0.0)
    factors = [rate_factor(made.place(step), planned, schedule) for step in range(made.steps)]
    assert all(0 < factor <= 1 for factor in factors)
    assert factors[-1] == pytest.approx(rate_factor(planned - 1, planned, schedule))
    peak = factors.index(max(factors))
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)


MACHINES = {"slow": Machine(2, 16 * 2**30, 0.14e12), "quick": Machine(8, 64 * 2**30, 3e12)}


@pytest.mark.parametrize("name", sorted(MACHINES))
@pytest.mark.parametrize("minutes", [0.5, 5, 15, 60, 480])
@pytest.mark.parametrize("text_bytes", [1e6, 86e6, 1e9, 10e9, 100e9])
@pytest.mark.parametrize("slower", [0.5, 1, 3, 50])
def test_never_less_than_half_of_the_planned_steps_without_a_sentence(name, minutes, text_bytes, slower):
    machine = MACHINES[name]
    config = resolve(with_automatic([], choose(machine, minutes=minutes, text_bytes=int(text_bytes)))).config
    batch_tokens = config.batch_windows * config.model.context_length
    speed = tokens_per_second(config.model, machine) / slower
    costs = Costs(batch_tokens / speed, config.training.eval_tokens / 3 / speed, 2000 / speed, 0.2)
    tokens = text_bytes / 3
    amounts = Amounts(held_out=int(tokens / 20), again=0, train=int(tokens), text_bytes=int(text_bytes))
    ending = ending_of(amounts, budget=minutes * 60, training=0, speed=speed)
    assert ending.total <= sum(SHARES.values()) * minutes * 60
    prepared = 15 + text_bytes / (1.5e6 * machine.cores)
    table = timetable(minutes, prepared, costs, ending, config.training)
    planned = config.training.steps
    assert table.steps >= planned / 2 or any("there is time for" in said for said in table.sentences)
    # The run ends within its minutes, or it is said how late; and a quarter of them is trained whatever came before.
    late = table.seconds - minutes * 60
    assert late <= 0 or any("late" in said for said in table.sentences)
    trained = costs.of_steps(table.steps, Intervals.of(training(config.training, table)))
    assert trained <= max(table.seconds - prepared - ending.total, costs.step + costs.last) * 1.1
    room = table.seconds - prepared - ending.total
    assert room >= 0.25 * minutes * 60 * 0.99
    assert table.steps == 1 or trained >= 0.5 * room


def training(given: TrainingConfig, table) -> TrainingConfig:
    return given.model_copy(update=with_steps(given, table.steps, table.sparse))


def test_looks_that_cost_too_much_are_made_rarer():
    training = TrainingConfig(steps=1000, eval_every=10, sample_every=10)
    assert sparse_enough(Costs(1.0, look=0.1), training) == 1
    sparse = sparse_enough(Costs(1.0, look=30.0, samples=30.0), training)
    assert sparse > 1 and (60 / 10) / sparse <= 0.15


class Moved:
    """A clock for `as_much_as`: work moves it."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@given(
    seconds=st.floats(0.1, 1000),
    rate=st.floats(0.01, 1e4),
    last=st.integers(1, 10**6),
    power=st.floats(0.8, 1.3),
    stall=st.floats(1, 10),
)
@settings(max_examples=300)
def test_as_much_as_fits_is_done_and_little_more_time_is_taken(seconds, rate, last, power, stall):
    clock, sizes = Moved(), doubled(64, last)

    def work(size, check):
        slow = stall if size > 1000 else 1
        for _ in range(32):
            clock.now += slow * size**power / rate / 32
            check()
        return size

    size, result = as_much_as(seconds, sizes, work, clock=clock)
    assert size == result and size in sizes
    largest = sizes[0] ** power / rate
    assert clock.now <= max(seconds + slowest_piece(sizes, power, rate, stall), largest) * 1.001
    if power == 1 and stall == 1 and seconds * rate > 50 * last:
        assert size == last


def slowest_piece(sizes, power, rate, stall):
    return stall * sizes[-1] ** power / rate / 32


def test_sizes_double_up_to_the_last():
    assert doubled(3, 20) == [3, 6, 12, 20]
    assert doubled(30, 20) == [20]


# Whole runs: a clock that rows move, so that a run is slow and quick when the test says so.


class Time:
    """Seconds that pass when something is heard from the run: `step` of a step, by its number."""

    def __init__(self, monkeypatch, step, look=0.2, offset=0.0):
        self.seconds, self.step, self.look = 0.0, step, look
        monkeypatch.setattr(Clock, "now", staticmethod(lambda: self.seconds))

    def watch(self, kind, row):
        if kind == "train":
            self.seconds += self.step(row["step"])
        elif kind in ("eval", "sample", "saved"):
            self.seconds += self.look


@pytest.fixture
def timed_layers(layers):
    """Settings of a tiny run without a number of steps, for runs by the clock."""
    made = layers(schedule={"kind": "wsd", "decay_share": 0.5}, training={"health_every": 0})
    tiny = {**made[0].values, "training": {k: v for k, v in made[0].values["training"].items() if k in KEPT}}
    made[0] = type(made[0])("tiny", tiny)
    return made


KEPT = ("batch_tokens", "eval_tokens", "sample_tokens", "prompts")


def run_by_clock(timed_layers, folder, time, minutes=5.0, die_at=None, resume=False):
    def watch(kind, row):
        time.watch(kind, row)
        if kind == "train" and row["step"] == die_at:
            raise StoppedError

    given = [] if resume else timed_layers
    return pretrain(given, folder, minutes=None if resume else minutes, resume=resume, watch=by_word(watch), begun=0.0)


class StoppedError(Exception):
    pass


PACES = {
    "much slower than probed": lambda step: 6.0,
    "slower in the stable part": lambda step: 4.0 if step < 15 else 8.0,
    "slower in the decay": lambda step: 4.0 if step < 45 else 12.0,
    "quicker": lambda step: 6.0 if step < 12 else 3.0,
    "a stall": lambda step: 40.0 if step == 20 else 4.0,
}


@pytest.mark.parametrize("name", list(PACES))
def test_a_run_ends_within_its_time_whatever_happens_to_its_speed(timed_layers, tmp_path, monkeypatch, name):
    time = Time(monkeypatch, PACES[name])
    summary = run_by_clock(timed_layers, tmp_path / "run", time)
    run = RunFolder(tmp_path / "run")
    assert summary.step == summary.steps
    # The end of this tiny run takes no time by this clock: the steps alone must fill the five minutes less what is
    # kept for the end, and no more than one step may reach beyond.
    assert 240 <= time.seconds <= 300
    rates = [row["lr"] for row in read_rows(run.metrics) if row["kind"] == "train"]
    assert rates[-1] == pytest.approx(last_rate_as_planned(run))
    plan = json.loads(run.machine.read_text())["plan"]
    assert plan["steps"] == summary.steps
    rows = [row for row in read_rows(run.metrics) if row["kind"] == "train"]
    assert rows[-1]["step"] == summary.steps


def last_rate_as_planned(run: RunFolder) -> float:
    """Of the first plan, which config.toml keeps."""
    config = resolve([load_toml(run.config)]).config
    steps = config.training.steps
    return config.optimizer.muon_lr * rate_factor(steps - 1, steps, config.schedule)


def test_a_text_that_took_all_the_time_is_said_and_a_quarter_is_trained_all_the_same(
    timed_layers, tmp_path, monkeypatch
):
    time = Time(monkeypatch, lambda step: 3.0)
    time.seconds = 290.0
    heard = []

    def watch(kind, row):
        time.watch(kind, row)
        heard.append(row.get("message", ""))

    summary = pretrain(timed_layers, tmp_path / "run", minutes=5, watch=by_word(watch), begun=0.0)
    assert any("preparing the text took 4 min 50 s of the 5 min" in said and "late" in said for said in heard)
    assert 15 < summary.steps <= 25
    events = [row["message"] for row in read_rows(tmp_path / "run" / "events.jsonl")]
    assert any("late" in said for said in events)


def test_a_probe_that_was_far_too_slow_costs_little_of_the_time(timed_layers, tmp_path, monkeypatch):
    slow = Costs(60.0, look=30.0, samples=30.0)
    monkeypatch.setattr("chainrule.train.planned.guessed_costs", lambda *_: slow)
    time = Time(monkeypatch, lambda step: 3.0)
    summary = run_by_clock(timed_layers, tmp_path / "run", time)
    assert 240 <= time.seconds <= 300 and summary.steps > 50


@pytest.fixture
def four_seconds_a_step(monkeypatch):
    """What a probe finds on a machine whose steps take so long, which no machine does with a model this small."""
    monkeypatch.setattr("chainrule.train.planned.guessed_costs", lambda *_: Costs(4.0, 0.2, 0.2, 0.2))


def test_a_run_that_still_learns_tells_what_ten_minutes_more_would_give(timed_layers, tmp_path, monkeypatch):
    monkeypatch.setattr("chainrule.train.planned.guessed_costs", lambda *_: Costs(10.0, 0.2, 0.2, 0.2))
    run = tmp_path / "run"
    summary = run_by_clock(timed_layers, run, Time(monkeypatch, lambda step: 10.0))
    told = summary.more_minutes
    assert told.low < told.bits_per_byte < min(told.high, summary.val_bits_per_byte)
    # A step of ten seconds, and a little for what comes between.
    assert told.minutes == 10 and 54 * 64 < told.tokens - summary.tokens <= 60 * 64
    # Given more time, its curve has two schedules, of which the first says nothing of what the second will do.
    again = pretrain(
        [], run, minutes=2.0, resume=True, watch=by_word(Time(monkeypatch, lambda step: 10.0).watch), begun=0.0
    )
    assert again.step > summary.step and again.more_minutes is None


def test_another_program_is_noticed_and_told_of_once(timed_layers, tmp_path, monkeypatch, four_seconds_a_step):
    run_by_clock(timed_layers, tmp_path / "run", Time(monkeypatch, lambda step: 4.0 if step < 20 else 10.0))
    said = [row["message"] for row in read_rows(tmp_path / "run" / "events.jsonl")]
    assert sum("another program is using the processor" in one for one in said) == 1
    assert any("planned again" in one for one in said)


def test_a_steady_machine_keeps_its_plan_and_knows_the_time_left(
    timed_layers, tmp_path, monkeypatch, four_seconds_a_step
):
    chance = random.Random(0)
    time, heard = Time(monkeypatch, lambda step: chance.uniform(3.5, 4.5)), []

    def watch(kind, row):
        if kind == "train":
            heard.append((time.seconds, row["step"], row["seconds_left"]))
        time.watch(kind, row)

    summary = pretrain(timed_layers, tmp_path / "run", minutes=5.0, watch=by_word(watch), begun=0.0)
    decided = [row for row in read_rows(tmp_path / "run" / "events.jsonl") if "turn" in row]
    assert len(decided) <= 2
    # The end costs nothing by this clock, and what was kept for it is what the last row still says.
    end = time.seconds + heard[-1][2] - 3 * time.look
    for now, step, left in heard:
        if step >= summary.steps / 20:
            assert left == pytest.approx(end - now, rel=0.2)


@pytest.mark.parametrize("die_at", [5, 25, 40])
def test_what_was_decided_before_a_kill_is_decided_again_and_makes_the_same_bits(
    timed_layers, tmp_path, monkeypatch, four_seconds_a_step, die_at
):
    def pace(step):
        return 4.0 if step < 15 else 7.0 if step < 30 else 5.0

    run = tmp_path / "run"
    with pytest.raises(StoppedError):
        run_by_clock(timed_layers, run, Time(monkeypatch, pace), die_at=die_at)
    before = losses(run)
    decided = [(row["step"], row["turn"]) for row in read_rows(run / "events.jsonl") if "turn" in row]
    run_by_clock(timed_layers, run, Time(monkeypatch, pace), resume=True)
    assert losses(run)[: len(before)] == before
    journal = [(row["step"], row["turn"]) for row in read_rows(run / "events.jsonl") if "turn" in row]
    assert journal[: len(decided)] == decided and len(dict(journal)) == len(journal)
    # The journal alone makes the whole run again, kill and all, without asking a clock.
    every = losses(run)
    shutil.rmtree(run / "checkpoints")
    (run / "summary.json").unlink()
    again = run_by_clock(timed_layers, run, Time(monkeypatch, pace), resume=True)
    last = journal[-1][0]
    assert losses(run)[:last] == every[:last] and last > 5
    assert [row["step"] for row in read_rows(run / "metrics.jsonl") if row["kind"] == "train"] == list(
        range(1, again.steps + 1)
    )


def losses(run: Path) -> list[tuple[int, float]]:
    return [(row["step"], row["loss"]) for row in read_rows(run / "metrics.jsonl") if row["kind"] == "train"]


@pytest.mark.parametrize(("at", "saved"), [(-3, -5), (0, -5), (2, -5), (2, 2)])
def test_a_run_killed_around_a_new_plan_comes_to_the_same_weights(
    timed_layers, tmp_path, monkeypatch, four_seconds_a_step, at, saved
):
    def pace(step):
        return 4.0 if step < 15 else 9.0

    longer = {"save_every": 4, "keep_last": 99}
    growing = Layer("growing", {"schedule": {"first_window": 4, "grow_share": 0.7}, "training": longer})
    given = [*timed_layers, growing]
    straight, run = tmp_path / "straight", tmp_path / "run"
    run_by_clock(given, straight, Time(monkeypatch, pace))
    decided = turns_of(straight)
    with pytest.raises(StoppedError):
        run_by_clock(given, run, DyingTime(monkeypatch, pace, decided[0]["step"] + at))
    # What this start had no time to decide is decided as the other did: by the clock it would be another plan.
    for row in decided[len(turns_of(run)) :]:
        append_row(run / "events.jsonl", row)
    for step in steps_of(run / "checkpoints"):
        if step > decided[0]["step"] + saved:
            shutil.rmtree(step_folder(run / "checkpoints", step))
    run_by_clock(given, run, Time(monkeypatch, pace), resume=True)
    assert losses(run) == losses(straight)
    assert [row["turn"] for row in turns_of(run)] == [row["turn"] for row in decided]
    last = len(losses(straight))
    ours, theirs = (load_checkpoint(step_folder(one / "checkpoints", last)).tensors("model") for one in (run, straight))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in theirs)


class DyingTime(Time):
    """As Time; the run dies at once when it is planned again at step `at`, or else when it has done that step."""

    def __init__(self, monkeypatch, step, at):
        super().__init__(monkeypatch, step)
        self.at, self.done = at, 0

    def watch(self, kind, row):
        super().watch(kind, row)
        self.done = row["step"] if kind == "train" else self.done
        if (kind == "replan" and self.done == self.at) or (kind == "train" and self.done > self.at):
            raise StoppedError


def turns_of(run: Path) -> list[dict]:
    return [row for row in read_rows(run / "events.jsonl") if "turn" in row]
