"""What a simulated rank holds at its peak, against what a real one allocated: FSDP2 over gloo, in processes here.

    python benchmarks/simulated_memory.py [--ranks 2]

Each line is a shape. The real side is one update by torch's own FSDP2 among processes on this machine, and its peak is
what torch's profiler saw allocated; the optimizer is not stepped, as it is not in the simulation. Gloo gathers into a
copy of its own, as large as what it gathers (CUDA's NCCL does not): `with gloo` adds that to what was simulated.
"""

import argparse
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from torch.distributed.device_mesh import init_device_mesh
from torch.profiler import ProfilerActivity, profile

from chainrule.config import Config, Layer, modern, resolve
from chainrule.plan import Layout
from chainrule.simulate import simulate
from chainrule.simulate.ranks import _sharded

SHAPES = {
    "activations: width 256, 8 windows of 512": (256, 8, 6, 512, 2048, 8),
    "both: width 512, 2 windows of 256": (512, 8, 6, 256, 4096, 2),
    "weights: width 1024, 1 window of 64": (1024, 16, 6, 64, 2048, 1),
}


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--ranks", type=int, default=2)
    n = parser.parse_args().ranks
    print(f"{'shape':<42} {'real':>8} {'simulated':>9} {'off':>7} {'with gloo':>9} {'off':>7}   (MiB, {n} ranks)")
    for name, (emb_dim, n_heads, n_layers, context, vocab_size, micro_batch) in SHAPES.items():
        values = {
            section: dict(part) for section, part in modern(emb_dim, n_heads, n_layers, context, vocab_size).items()
        }
        config = resolve([Layer("shape", {**values, "optimizer": {"kind": "adamw"}})]).config
        layout = Layout(fsdp=n, micro_batch=micro_batch)
        found = simulate(config, layout, n * micro_batch)
        told = found.total - found.memory["optimizer"]
        gathered = _gathered(config)
        real = _real(config, layout)
        print(
            f"{name:<42} {real / 2**20:>8.1f} {told / 2**20:>9.1f} {told / real - 1:>+7.1%} "
            f"{(told + gathered) / 2**20:>9.1f} {(told + gathered) / real - 1:>+7.1%}"
        )


def _gathered(config: Config) -> float:
    """Bytes of the largest thing that is gathered at once, in bfloat16: a block, or the ends."""
    model = config.model
    block = 4 * model.emb_dim**2 + 3 * model.emb_dim * model.hidden_dim
    return 2.0 * max(block, model.vocab_size * model.emb_dim)


def _real(config: Config, layout: Layout) -> float:
    """The highest peak of the ranks."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        given = (config.model_dump_json(), layout, port, folder)
        multiprocessing.spawn(_rank, given, nprocs=layout.fsdp)  # type: ignore[attr-defined,no-untyped-call]
        return max(json.loads(path.read_text()) for path in Path(folder).iterdir())


def _rank(rank: int, settings: str, layout: Layout, port: int, folder: str) -> None:
    """One process: an update under the profiler, and its peak written down."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=layout.fsdp)
    config = Config.model_validate_json(settings)
    mesh = init_device_mesh("cpu", (layout.fsdp,), mesh_dim_names=("fsdp",))
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        stage = _sharded(config.model, layout, mesh, last=True)
        stage.to_empty(device="cpu")
        for parameter in stage.parameters():
            torch.nn.init.normal_(parameter, std=0.02)
        stage(torch.zeros(layout.micro_batch, config.model.context_length, dtype=torch.long)).backward()
    held = peak = 0
    for n_bytes in _allocations(seen):
        held += n_bytes
        peak = max(peak, held)
    (Path(folder) / f"{rank}.json").write_text(json.dumps(peak))
    dist.destroy_process_group()


def _allocations(seen: profile) -> Iterator[int]:
    """Bytes that were taken, or with a minus given back, in their order."""
    assert seen.profiler is not None and seen.profiler.kineto_results is not None
    events = [one for one in seen.profiler.kineto_results.events() if one.name() == "[memory]"]
    for one in sorted(events, key=lambda event: event.start_ns()):
        yield one.nbytes()  # type: ignore[attr-defined]  # not in the stubs


if __name__ == "__main__":
    main()
