"""A rank's part of a model, sharded by torch's own FSDP2 over a process group that sends nothing.

The tensors are fake: they have shapes and no memory, so that ranks by the thousand need none. What is alive is counted
by torch's tracker. Tensor parallelism is not run: the rank's part of each matrix is built as a narrower model, whose
stream, which sequence parallelism would share out, is whole; so what is told of activations is an upper bound there.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.testing._internal.distributed.fake_pg import FakeStore

from chainrule.base import ConfigError
from chainrule.config import Config, ModelConfig
from chainrule.model import GPT
from chainrule.plan import Layout, check_layout, rank_memory
from chainrule.simulate.traffic import Counted, Sent, sent

# What the tracker's kinds are called here.
PARTS = {
    "SHARDED_PARAM": "weights",
    "SHARDED_GRAD": "gradients",
    "UNSHARDED_PARAM": "gathered",
    "ALL_GATHER": "gathered",
    "UNSHARDED_GRAD": "scattered",
    "REDUCE_SCATTER": "scattered",
    "ACT": "activations",
    "TEMP": "temporary",
    "BUFFER": "other",
    "INP": "other",
}


@dataclass(frozen=True)
class Simulated:
    """The fullest rank's bytes at its peak by part, what it sends in an update, and how long the simulation took."""

    memory: Mapping[str, float]
    sent: tuple[Sent, ...]
    stage: str
    seconds: float

    @property
    def total(self) -> float:
        """Bytes of the peak."""
        return sum(self.memory.values())


class Stage(nn.Module):
    """A rank's blocks with one end: of the last stage the loss, of the others the stream."""

    def __init__(self, model: GPT, *, last: bool) -> None:
        super().__init__()
        self.model, self.last = model, last

    def forward(self, ids: Tensor) -> Tensor:
        """A number whose gradients reach everything."""
        return self.model.loss(ids, ids) if self.last else self.model.stream(ids).sum()


def simulate(config: Config, layout: Layout, batch_windows: int, per_machine: int = 8) -> Simulated:
    """One update of that layout, one rank of each kind; raises ConfigError for a layout that does not divide.

    The optimizer's moments are counted by arithmetic: stepped under the tracker they are counted several times over.
    """
    began = time.perf_counter()
    model = config.model
    check_layout(model, layout, batch_windows)
    if model.vocab_size % layout.tp:
        raise ConfigError(f"vocab_size={model.vocab_size} is not divided by tp={layout.tp}; round it up")
    found: dict[str, dict[str, float]] = {}
    counted: dict[str, int] = {}
    with _many(layout) as mesh:
        for name, last in (("first", False), ("last", True)) if layout.pp > 1 else (("only", True),):
            found[name], counted = _rank(config, layout, batch_windows, mesh, last=last)
    stage = max(found, key=lambda name: sum(found[name].values()))
    told = sent(model, layout, batch_windows, counted, per_machine)
    return Simulated(found[stage], tuple(told), stage, time.perf_counter() - began)


@contextmanager
def _many(layout: Layout) -> Iterator[DeviceMesh]:
    """The mesh over which weights are sharded, among as many ranks as the layout has."""
    if dist.is_initialized():
        raise ConfigError("this process belongs to a group of its own already; simulate in another process")
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=layout.ranks)
    try:
        shape = (layout.pp, layout.dp, layout.fsdp, layout.tp)
        mesh = init_device_mesh("cpu", shape, mesh_dim_names=("pp", "dp", "fsdp", "tp"))
        yield mesh["dp", "fsdp"] if layout.dp > 1 else mesh["fsdp"]
    finally:
        dist.destroy_process_group()


def _rank(
    config: Config, layout: Layout, batch_windows: int, mesh: DeviceMesh, *, last: bool
) -> tuple[dict[str, float], dict[str, int]]:
    """Bytes by part at the peak of a micro-batch among its fellows, and of its collectives by kind."""
    # Sharded on meta, before any tensor is fake: a mesh is put together from values.
    stage = _sharded(_part(config.model, layout), layout, mesh, last=last)
    counting = Counted()
    with FakeTensorMode(allow_non_fake_inputs=True):
        stage.to_empty(device="cpu")
        ids = torch.zeros(layout.micro_batch, config.model.context_length, dtype=torch.long)
        tracker = FSDPMemTracker(stage, torch.optim.SGD(stage.parameters()))
        tracker.track_inputs((ids,))
        with tracker, counting:
            loss = stage(ids)
            kept = _bytes(tracker, "current").get("activations", 0.0)
            loss.backward()
        peak, after = _bytes(tracker, "peak"), _bytes(tracker, "current")
    fellows = min(layout.pp, layout.micro_batches(batch_windows)) - 1 if not last else 0
    # Where all is computed anew a block's input alone is kept, which sequence parallelism shares out.
    peak["activations"] += fellows * kept / (layout.tp if layout.recompute == "all" else 1)
    if layout.micro_batches(batch_windows) > 1:
        peak["gradients"] = after["gradients"]  # of the micro-batches before
    peak["optimizer"] = rank_memory(config, layout, batch_windows).optimizer
    return {name: value for name, value in peak.items() if value}, dict(counting.n_bytes)


def _sharded(model: ModelConfig, layout: Layout, mesh: DeviceMesh, *, last: bool) -> Stage:
    with torch.device("meta"):
        gpt = GPT(model)
    gpt.checkpointing = layout.recompute == "all"
    for part in gpt.modules():
        if hasattr(part, "products_pay"):
            # Attention as on a GPU: what this processor has is no matter.
            part.products_pay = False  # type: ignore[assignment]
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    for block in gpt.blocks:
        fully_shard(block, mesh=mesh, mp_policy=policy)
    stage = Stage(gpt, last=last)
    fully_shard(stage, mesh=mesh, mp_policy=policy)
    return stage


def _part(model: ModelConfig, layout: Layout) -> ModelConfig:
    """What a rank has of the model: some of its blocks, and of their matrices some heads and columns."""
    narrower = {
        "n_heads": model.n_heads // layout.tp,
        "n_kv_heads": model.n_kv_heads // layout.tp,
        "hidden_dim": model.hidden_dim // layout.tp,
        "vocab_size": model.vocab_size // layout.tp,
        "n_layers": model.n_layers // layout.pp,
        "exportable": False,
    }
    return ModelConfig(**{**model.model_dump(), **narrower})


def _bytes(tracker: FSDPMemTracker, when: str) -> dict[str, float]:
    found = dict.fromkeys(PARTS.values(), 0.0)
    for device in tracker.get_tracker_snapshot(when).values():
        for kind, n_bytes in device.items():
            name = PARTS.get(str(kind).rpartition(".")[2])
            if name is not None:
                found[name] += n_bytes
    return found
