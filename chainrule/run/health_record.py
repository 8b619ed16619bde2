"""The rows of health.jsonl as one record, whatever of them is torn or from another version."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from chainrule.run.noise import NoiseScale
from chainrule.run.record import Record
from chainrule.run.records import InsideRow, LayersRow, NormsRow, SpikeRow

ColumnName = Literal["gradient", "gradient_max", "weight", "ratio", "ratio_max"]
COLUMNS: tuple[ColumnName, ...] = ("gradient", "gradient_max", "weight", "ratio", "ratio_max")
KINDS: dict[str, type[Record]] = {one.KIND: one for one in (LayersRow, NormsRow, InsideRow, SpikeRow)}


@dataclass(frozen=True)
class HealthRecord:
    """The rows of health.jsonl, by kind; `samples` is the batch of a step and `sample_tokens` the length of one."""

    layers: tuple[str, ...] = ()
    norms: tuple[NormsRow, ...] = ()
    inside: tuple[InsideRow, ...] = ()
    spikes: tuple[SpikeRow, ...] = ()
    samples: int = 0
    sample_tokens: int = 0

    @classmethod
    def of(cls, rows: Iterable[Record]) -> "HealthRecord":
        """The record; norms that are of other layers than the last that were named are left out."""
        head = LayersRow(())
        norms, inside, spikes = list[NormsRow](), list[InsideRow](), list[SpikeRow]()
        for row in rows:
            match row:
                case LayersRow():
                    head = row
                case NormsRow():
                    norms.append(row)
                case InsideRow():
                    inside.append(row)
                case SpikeRow():
                    spikes.append(row)
        fitting = [row for row in norms if all(len(getattr(row, name)) == len(head.layers) for name in COLUMNS)]
        return cls(head.layers, tuple(fitting), tuple(inside), tuple(spikes), head.samples, head.sample_tokens)

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Any]]) -> "HealthRecord":
        """The record of what a journal holds; rows that are not of these forms are left out."""
        found = ((KINDS.get(str(row.get("kind"))), row) for row in rows)
        sound = (kind.of(row) for kind, row in found if kind is not None)
        return cls.of(row for row in sound if row is not None)

    def tail(self, column: ColumnName, share: float = 0.25) -> dict[str, float]:
        """The median of each layer over the last `share` of the rows; a layer without a finite number is left out."""
        rows = self.norms[-max(1, round(len(self.norms) * share)) :]
        found = {}
        for place, layer in enumerate(self.layers):
            values = [value for row in rows if (value := getattr(row, column)[place]) is not None]
            if values:
                found[layer] = float(median(values))
        return found


def mean_noise(rows: Sequence[NormsRow]) -> NoiseScale:
    """The noise scale over several rows, its two parts averaged before they are divided."""
    total = NoiseScale()
    for row in rows:
        if row.noise is not None and len(row.noise) == 3:
            total += NoiseScale(row.noise[0], row.noise[1], int(row.noise[2]))
    return total
