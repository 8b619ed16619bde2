"""The rows of health.jsonl as one record, whatever of them is torn or from another version."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from chainrule.run.noise import NoiseScale

Row = Mapping[str, Any]
Column = Literal["gradient", "gradient_max", "weight", "ratio", "ratio_max"]


@dataclass(frozen=True)
class HealthRecord:
    """The rows of health.jsonl, by kind; `samples` is the batch of a step and `sample_tokens` the length of one."""

    layers: tuple[str, ...] = ()
    norms: tuple[Row, ...] = ()
    inside: tuple[Row, ...] = ()
    spikes: tuple[Row, ...] = ()
    samples: int = 0
    sample_tokens: int = 0

    @classmethod
    def of_rows(cls, rows: Iterable[Row]) -> "HealthRecord":
        """The record; rows that are not of this form (a torn file, another version) are left out."""
        kinds: dict[str, list[Row]] = {"layers": [], "norms": [], "inside": [], "spike": []}
        for row in rows:
            if isinstance(row.get("kind"), str) and row["kind"] in kinds and isinstance(row.get("step"), int):
                kinds[row["kind"]].append(row)
        head = kinds["layers"][-1] if kinds["layers"] else {}
        names = head.get("layers")
        layers = tuple(map(str, names)) if isinstance(names, list) else ()
        norms = tuple(row for row in kinds["norms"] if _has_columns(row, len(layers)))
        sizes = [size if isinstance(size := head.get(key), int) else 0 for key in ("samples", "sample_tokens")]
        return cls(layers, norms, tuple(kinds["inside"]), tuple(kinds["spike"]), *sizes)

    def tail(self, column: Column, share: float = 0.25) -> dict[str, float]:
        """The median of each layer over the last `share` of the rows; a layer without a finite number is left out."""
        rows = self.norms[-max(1, round(len(self.norms) * share)) :]
        found = {}
        for place, layer in enumerate(self.layers):
            values = [row[column][place] for row in rows if row[column][place] is not None]
            if values:
                found[layer] = float(median(values))
        return found


def mean_noise(rows: Sequence[Row]) -> NoiseScale:
    """The noise scale over several rows, its two parts averaged before they are divided."""
    total = NoiseScale()
    for row in rows:
        parts = row.get("noise")
        if isinstance(parts, list) and len(parts) == 3 and all(isinstance(one, int | float) for one in parts):
            total += NoiseScale(float(parts[0]), float(parts[1]), int(parts[2]))
    return total


def _has_columns(row: Row, n_layers: int) -> bool:
    names = ("gradient", "gradient_max", "weight", "ratio", "ratio_max")
    columns = [row.get(name) for name in names]
    return all(
        isinstance(one, list)
        and len(one) == n_layers
        and all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in one)
        for one in columns
    )
