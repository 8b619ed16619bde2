"""The process that decides, and those that follow it: each does what it says, and says nothing itself.

What a leader asks for is a message, and then all do the same: whoever adds one adds a method here and a case below.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from chainrule.base import ChainruleError, DeviceError, RankError, World
from chainrule.checkpoint import load_weights
from chainrule.config import Config
from chainrule.device import MachineFacts, Precision, use_tensor_float, use_threads
from chainrule.kernels import use_kernels
from chainrule.plan import Layout, layout_of
from chainrule.ranks.group import Group, cut_off
from chainrule.ranks.worker import Worker
from chainrule.run import RunFolder
from chainrule.train import Judge, Made, Portion, Stop, TrainState


class Leader:
    """The `Team` of a run as the process of rank 0 has it."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self._worker: Worker | None = None
        self._step, self._failed = 0, False

    @property
    def size(self) -> int:
        """How many processes."""
        return self.group.world.size

    @property
    def on_this_machine(self) -> int:
        """How many of them share this machine."""
        return self.group.world.local_size

    @property
    def layout(self) -> Layout:
        """How the run lies on them."""
        return self._own.layout

    @property
    def _own(self) -> Worker:
        assert self._worker is not None, "begin comes first"
        return self._worker

    def begin(self, run: RunFolder, config: Config, facts: MachineFacts) -> None:
        """Makes the model in parts; raises DeviceError with all that any process finds wrong, by rank."""
        asked = {
            "run": str(run.path.absolute()),
            "config": config.model_dump(mode="json"),
            "device": facts.device,
            "precision": facts.precision,
            "threads": facts.threads,
            "kernels": facts.kernels,
            "versions": versions(),
        }
        with self._asking("begin", asked):
            self._worker = begun(self.group, asked)

    def take(self, state: TrainState) -> None:
        """Shares out weights and the optimizer's state."""
        held = state.optimizer.state()
        with self._asking("take", {"keys": sorted(held)}):
            self._own.take({name: one.detach() for name, one in state.model.named_parameters()}, held, sorted(held))

    def give(self, state: TrainState, *, optimizer: bool) -> None:
        """Gathers the weights into the leader's model, and the optimizer's state where that is asked for."""
        with self._asking("give", {"optimizer": optimizer}):
            weights = self._own.weights()
            held = self._own.state() if optimizer else None
        load_weights(state.model, weights, "what was gathered")
        if held is not None:
            state.optimizer.load_state(held)

    def update(self, portion: Portion, judge: Judge | None = None) -> Made:
        """One update by all."""
        self._step = portion.step + 1
        with self._asking("update", asdict(portion)):
            return self._own.update(portion, 0, judge)

    def trial(self, portion: Portion) -> float:
        """The seconds of an update at a rate of zero, which leaves no trace."""
        with self._asking("trial", asdict(portion)):
            return tried(self._own, portion)

    def end(self) -> None:
        """Lets the others go; in the middle of something that failed they do not listen, and find this one gone."""
        if self._failed:
            return
        try:
            self.group.tell({"do": "end"})
        except RuntimeError as fault:
            if not cut_off(fault):  # one that is gone need not be told
                raise

    @contextmanager
    def _asking(self, what: str, more: dict[str, Any]) -> Iterator[None]:
        """Tells the others, and inside does the same; where one of them is gone by then, says which and why."""
        self._failed = True
        try:
            self.group.tell({"do": what, **more})
            yield
        except RuntimeError as fault:
            if not cut_off(fault):
                raise
            raise self.group.last_word(self._step) from fault
        self._failed = False


@contextmanager
def leading(world: World) -> Iterator[Leader]:
    """Inside, this process leads the others, which `follow`; afterwards they are let go."""
    with Group.met(world) as group:
        leader = Leader(group)
        try:
            yield leader
        finally:
            leader.end()


def follow(world: World) -> None:
    """Does what the leader says, until it says that this is the end; signals are told to it.

    Says nothing itself. Raises RankError where the leader is gone, and what went wrong here after telling it.
    """
    with Stop() as stop, stop.deferred(), Group.met(world) as group:
        following = Following(group, stop)
        try:
            while following.obeyed():
                pass
        except ChainruleError as fault:
            group.leave_word(following.step, fault)
            raise
        except RuntimeError as fault:
            if cut_off(fault):
                raise RankError("the leader is gone, or another rank") from fault
            group.leave_word(following.step, fault)
            raise


class Following:
    """A process that follows: its worker, and the step that it is at."""

    def __init__(self, group: Group, stop: Stop) -> None:
        self.group, self.stop, self.step = group, stop, 0
        self._worker: Worker | None = None

    def obeyed(self) -> bool:
        """Does the next thing; False when there is none."""
        asked = self.group.hear()
        what = asked.pop("do")
        if what == "end":
            return False
        self.step = asked.get("step", self.step - 1) + 1
        if what == "begin":
            self._worker = begun(self.group, asked)
            return True
        worker = self._worker
        assert worker is not None, "begin comes first"
        if what == "take":
            worker.take(None, None, asked["keys"])
        elif what == "give":
            worker.weights()
            if asked["optimizer"]:
                worker.state()
        elif what == "trial":
            tried(worker, Portion(**asked))
        else:
            worker.update(Portion(**asked), self.stop.requested, None)
        return True


def begun(group: Group, asked: dict[str, Any]) -> Worker:
    """The worker of this process; raises DeviceError in every process with what each of them finds wrong."""
    own, wrong = None, ""
    try:
        config, precision = Config.model_validate(asked["config"]), Precision(asked["device"], asked["precision"])
        if not group.world.leads:
            _check_same(asked, config)
        layout = layout_of(config.machine.parallel, group.world.size)
        own = Worker.of(group, layout, RunFolder(Path(asked["run"])), config, precision)
    except (ChainruleError, OSError) as fault:
        wrong = str(fault)
    if any(said := group.texts(wrong)):
        told = "; ".join(f"rank {rank}: {words}" for rank, words in enumerate(said) if words)
        raise DeviceError(f"not all of the {group.world.size} processes can begin: {told}")
    assert own is not None
    return own


def _check_same(asked: dict[str, Any], config: Config) -> None:
    """Takes threads, TF32 and kernels as the leader has; raises DeviceError for what is another here."""
    if not Path(asked["run"]).is_dir():
        raise DeviceError(
            f"{asked['run']} is not to be seen from here; the run's folder must be on a disk that all share"
        )
    if (own := versions()) != asked["versions"]:
        raise DeviceError(f"versions here are {own}, and those of the leader {asked['versions']}; install the same")
    use_threads(asked["threads"])
    use_tensor_float(asked["device"], asked["precision"])
    kernels = use_kernels(config.machine.kernels).name if asked["device"] == "cpu" else asked["kernels"]
    if kernels != asked["kernels"]:
        raise DeviceError(
            f"kernels here are {kernels}, and those of the leader {asked['kernels']}; use --machine.kernels off"
        )


def tried(worker: Worker, portion: Portion) -> float:
    """The seconds of an update whose rate is zero; afterwards the optimizer is as before it."""
    began = time.perf_counter()
    worker.update(portion, 0, None)
    worker.optimizer.forget()
    return time.perf_counter() - began


def versions() -> dict[str, str]:
    """Of what the numbers depend on."""
    return {"chainrule": version("chainrule"), "torch": torch.__version__}
