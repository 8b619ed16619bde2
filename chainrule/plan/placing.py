"""The layout for so many devices: of all that divide and fit in memory the quickest; of equally quick the simplest."""

from collections.abc import Iterator
from dataclasses import dataclass

from chainrule.config import Config
from chainrule.plan.count import parameters
from chainrule.plan.devices import Machines
from chainrule.plan.layout import Layout, misfits
from chainrule.plan.memory_of_ranks import RankMemory, rank_memory
from chainrule.plan.update_time import StepTime, step_time

# Of a device's memory that a plan fills.
FILLED = 0.92
MICRO_BATCHES = (1, 2, 4, 8, 16)
# A simpler layout is taken when it is slower by no more than this.
SIMPLER = 0.03


@dataclass(frozen=True)
class Placed:
    """A layout with what it takes, for a batch that it divides."""

    layout: Layout
    batch_windows: int
    memory: RankMemory
    time: StepTime


def place(
    config: Config,
    machines: Machines,
    batch_tokens: float,
    memory_bytes: float | None = None,
    only: Layout | None = None,
) -> Placed | None:
    """The best layout for an update of about `batch_tokens`; None where nothing fits.

    `memory_bytes` of each device may be filled; by default most of what it has. `only` has the ranks by dimension,
    where they are given: then the micro-batch is chosen.
    """
    room = memory_bytes or FILLED * machines.device.memory_bytes
    found = [one for one in _all(config, machines, batch_tokens) if one.memory.total <= room]
    if only is not None:
        found = [one for one in found if one.layout.text() == only.text()]
    if not found:
        return None
    quickest = min(_seconds(one) for one in found)
    return min((one for one in found if _seconds(one) <= (1 + SIMPLER) * quickest), key=_simplicity)


def smallest(config: Config, machines: Machines, batch_tokens: float) -> Placed | None:
    """The layout that needs the least memory; None where none divides."""
    return min(_all(config, machines, batch_tokens), key=lambda one: one.memory.total, default=None)


def _all(config: Config, machines: Machines, batch_tokens: float) -> Iterator[Placed]:
    model, count = config.model, parameters(config.model).total
    for layout in _layouts(machines, model.n_layers):
        together = layout.readers * layout.micro_batch
        windows = together * max(1, round(batch_tokens / model.context_length / together))
        # A batch three times what is best wastes more than any layout saves.
        if windows * model.context_length > 3 * max(batch_tokens, layout.readers * model.context_length):
            continue
        if not any(misfits(model, layout, windows)):
            time = step_time(model, machines.device, layout, windows, parameters=count)
            yield Placed(layout, windows, rank_memory(config, layout, windows), time)


def _layouts(machines: Machines, n_layers: int) -> Iterator[Layout]:
    n, near = machines.n, machines.device.per_machine
    for tp in (k for k in (1, 2, 4, 8) if n % k == 0 and k <= near):
        for pp in (k for k in range(1, n_layers + 1) if n // tp % k == 0 and n_layers % k == 0):
            readers = n // tp // pp
            for fsdp in {1, min(readers, max(1, near // tp)), readers}:
                if readers % fsdp:
                    continue
                for micro_batch in MICRO_BATCHES:
                    yield Layout(readers // fsdp, fsdp, tp, pp, micro_batch)
                    yield Layout(readers // fsdp, fsdp, tp, pp, micro_batch, recompute="all")


def _seconds(one: Placed) -> float:
    """Of a window: batches differ a little."""
    return one.time.total / one.batch_windows


def _simplicity(one: Placed) -> tuple[float, ...]:
    layout = one.layout
    kinds = sum(n > 1 for n in (layout.tp, layout.pp)), (layout.dp > 1) + (layout.fsdp > 1)
    return (*kinds, layout.recompute == "all", layout.pp, layout.tp, _seconds(one))
