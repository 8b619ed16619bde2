"""Processes that have found each other: what the leader tells them, what they tell it, and who is gone.

Words and small numbers go over gloo on every device, in a group of their own: others wait there while the leader looks
and writes, for as long as that takes. Weights and gradients go over what the device has (NCCL for CUDA).
"""

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Self

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from chainrule.base import DeviceError, RankError, World
from chainrule.plan import Layout

# Until all are there; text may be prepared for days while the others wait for the first word.
MEETING, WAITING = timedelta(minutes=30), timedelta(days=7)
# A process that fails says why before it goes; whoever finds it gone waits so long for that word.
LAST_WORD_SECONDS = 1.0
SETTLE_SECONDS = 0.2
FAULT = "chainrule/fault"
# Gloo's errors are plain ones; their words are all that tells them.
CUT_OFF = re.compile(r"gloo|NCCL|[Cc]onnection|[Bb]roken pipe|[Ss]ocket")


def cut_off(fault: RuntimeError) -> bool:
    """Whether torch raised it because another process is gone."""
    return isinstance(fault, dist.DistError) or bool(CUT_OFF.search(str(fault)))


class Group:
    """All processes of a run, this one among them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._control: Any = dist.new_group(backend="gloo", timeout=WAITING)

    @classmethod
    @contextmanager
    def met(cls, world: World) -> Iterator[Self]:
        """Inside, they are together. Raises DeviceError where they do not find each other."""
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(world.local_rank % torch.cuda.device_count())
        try:
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if cuda else "gloo", rank=world.rank, world_size=world.size, timeout=MEETING
            )
        except (RuntimeError, ValueError) as fault:
            raise DeviceError(
                f"rank {world.rank} of {world.size} did not meet the others: {str(fault).splitlines()[0][:200]}. Are "
                "all started, is MASTER_ADDR to be reached from here, and MASTER_PORT free there?"
            ) from fault
        try:
            yield cls(world)
        finally:
            # Gloo's threads let go of the last tensors a moment after everybody has them. What they free when Python is
            # being torn down aborts the process (pytorch #179291), and whoever waits for it would begin all again.
            time.sleep(SETTLE_SECONDS)
            dist.destroy_process_group()

    def mesh(self, layout: Layout, device: str) -> DeviceMesh:
        """The processes by dimension; those that share matrices are neighbours, for these send the most."""
        return init_device_mesh(
            device, (layout.pp, layout.dp, layout.fsdp, layout.tp), mesh_dim_names=("pp", "dp", "fsdp", "tp")
        )

    def tell(self, message: dict[str, Any]) -> None:
        """Says something to all others; the leader alone does."""
        dist.broadcast_object_list([json.dumps(message)], src=0, group=self._control)

    def hear(self) -> dict[str, Any]:
        """What the leader says next."""
        words: list[Any] = [None]
        dist.broadcast_object_list(words, src=0, group=self._control)
        heard: dict[str, Any] = json.loads(words[0])
        return heard

    def texts(self, own: str) -> list[str]:
        """What each process says, by rank."""
        found: list[Any] = [None] * self.world.size
        dist.all_gather_object(found, own, group=self._control)
        return found

    def table(self, own: Sequence[float]) -> list[list[float]]:
        """The numbers of each process, by rank: sums of them have the same bits everywhere, and every time."""
        rows = [torch.empty(len(own), dtype=torch.float64) for _ in range(self.world.size)]
        dist.all_gather(rows, torch.tensor(own, dtype=torch.float64), group=self._control)
        return [row.tolist() for row in rows]

    def leave_word(self, step: int, fault: BaseException) -> None:
        """Before this process fails: why, for the leader, which will find it gone."""
        words = {"rank": self.world.rank, "step": step, "why": f"{type(fault).__name__}: {fault}"}
        self._store().set(f"{FAULT}/{self.world.restarts}", json.dumps(words))

    def last_word(self, step: int) -> RankError:
        """Who is gone, and why, as far as it could say that."""
        deadline = time.monotonic() + LAST_WORD_SECONDS
        key = f"{FAULT}/{self.world.restarts}"
        try:
            store = self._store()
            while not store.check([key]) and time.monotonic() < deadline:
                time.sleep(0.05)
            if store.check([key]):
                words = json.loads(store.get(key))
                return RankError(f"rank {words['rank']} failed at step {words['step']}: {words['why']}")
        except RuntimeError:  # the store went with its process
            pass
        return RankError(f"a rank is gone at step {step}, without a word: it was killed, or its machine is down")

    def _store(self) -> Any:
        return dist.distributed_c10d._get_default_store()
