"""Devices by their data sheets: what they compute, hold and pass on; a price is the user's own."""

import math
import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chainrule.base import ConfigError, nearest

GB, TB, TFLOP = 1e9, 1e12, 1e12
PCIE4, PCIE5 = 32 * GB, 64 * GB
# What a rented machine's network gives each of its devices where nobody says otherwise: 400 Gbit/s, as one adapter for
# each device has it; machines of cards on PCIe usually share one of 25 Gbit/s.
INFINIBAND, ETHERNET = 50 * GB, 3.1 * GB


@dataclass(frozen=True)
class Device:
    """One accelerator: published peaks in FLOP/s (dense, without sparsity), bytes, and bytes a second one way."""

    name: str
    bf16_flops: float
    fp32_flops: float
    memory_bytes: float
    memory_bandwidth: float
    link_bandwidth: float
    """To its neighbours in the same machine."""
    source: str
    network_bandwidth: float = INFINIBAND
    """To devices of other machines."""
    per_machine: int = 8
    sustained: float = 0.75
    """Share of the peak that can be kept up, beside an A100's: where power and memory are scarcer it is less."""
    price: float | None = None
    """Of one device for an hour, in the user's own money; None where none was given."""

    @property
    def sustained_flops(self) -> float:
        """The peak in bfloat16, as far as it can be kept up."""
        return self.bf16_flops * self.sustained


# Megatron reaches 56 % of an A100 and 48 % of an H100, torchtitan 49 and 35: an H100 keeps up some four fifths of what
# an A100 does. For the others nothing was found, and a little less is assumed.
HOPPER = 0.8
# Links are given in both directions together by NVIDIA: half of that is what one direction passes.
DEVICES = {
    one.name.lower(): one
    for one in (
        Device("A100", 312 * TFLOP, 19.5 * TFLOP, 80 * GB, 2.039 * TB, 300 * GB, "NVIDIA A100 80GB data sheet, 2021",
               25 * GB, sustained=1.0),
        Device("A100-40", 312 * TFLOP, 19.5 * TFLOP, 40 * GB, 1.555 * TB, 300 * GB, "NVIDIA A100 data sheet, 2020",
               25 * GB, sustained=1.0),
        Device("H100", 989 * TFLOP, 67 * TFLOP, 80 * GB, 3.35 * TB, 450 * GB, "NVIDIA H100 SXM data sheet",
               sustained=HOPPER),
        Device("H200", 989 * TFLOP, 67 * TFLOP, 141 * GB, 4.8 * TB, 450 * GB, "NVIDIA H200 SXM data sheet",
               sustained=HOPPER),
        Device("B200", 2250 * TFLOP, 75 * TFLOP, 180 * GB, 7.7 * TB, 900 * GB, "NVIDIA HGX B200 data sheet"),
        Device("MI300X", 1307 * TFLOP, 163 * TFLOP, 192 * GB, 5.3 * TB, 448 * GB, "AMD Instinct MI300X data sheet"),
        Device("L40S", 362 * TFLOP, 91.6 * TFLOP, 48 * GB, 0.864 * TB, PCIE4, "NVIDIA L40S data sheet", ETHERNET),
        Device("L4", 121 * TFLOP, 30.3 * TFLOP, 24 * GB, 0.3 * TB, PCIE4, "NVIDIA L4 data sheet", ETHERNET),
        Device("A10G", 70 * TFLOP, 35 * TFLOP, 24 * GB, 0.6 * TB, PCIE4, "NVIDIA A10G data sheet (AWS g5)", ETHERNET),
        Device("RTX4090", 165 * TFLOP, 82.6 * TFLOP, 24 * GB, 1.008 * TB, PCIE4, "NVIDIA Ada whitepaper, fp32 sums",
               ETHERNET, per_machine=1),
        Device("RTX3090", 71 * TFLOP, 35.6 * TFLOP, 24 * GB, 0.936 * TB, PCIE4, "NVIDIA Ampere GA102 whitepaper",
               ETHERNET, per_machine=1),
    )
}  # fmt: skip
COUNTED = re.compile(r"\s*(?:(\d+)\s*[x*×]\s*)?([A-Za-z][\w.+-]*)\s*")
TABLE_KEYS = (
    "bf16_flops",
    "fp32_flops",
    "memory_bytes",
    "memory_bandwidth",
    "link_bandwidth",
    "network_bandwidth",
    "per_machine",
    "sustained",
    "price",
)


@dataclass(frozen=True)
class Machines:
    """So many devices of one kind."""

    n: int
    device: Device

    @property
    def price_an_hour(self) -> float | None:
        """Of all of them; None where no price was given."""
        return None if self.device.price is None else self.n * self.device.price


def parse_machines(text: str, known: dict[str, Device] | None = None) -> Machines:
    """`8xH100` or `H100`; raises ConfigError with the nearest name for a device that is not in the table."""
    known = DEVICES if known is None else known
    match = COUNTED.fullmatch(text)
    if not match or match[1] == "0" * len(match[1] or "-"):
        raise ConfigError(f"{text!r} names no machines; write a number and a device such as 8xH100")
    device = known.get(match[2].lower())
    if device is None:
        names = [one.name for one in known.values()]
        raise ConfigError(
            f"unknown device {match[2]!r}.{nearest(match[2], names)} Devices: {', '.join(names)}. One of your own goes "
            "into a file for --devices: [devices.NAME] with bf16_flops, memory_bytes, memory_bandwidth, link_bandwidth"
        )
    return Machines(int(match[1] or 1), device)


def read_devices(path: Path) -> dict[str, Device]:
    """The table with what a TOML file says of devices: `[devices.H100]` with `price = 2.4`, or a whole new one."""
    try:
        tables = tomllib.loads(path.read_text("utf-8")).get("devices", {})
    except (OSError, ValueError) as fault:
        raise ConfigError(f"{path} cannot be read as TOML: {fault}") from fault
    known = dict(DEVICES)
    for name, values in tables.items() if isinstance(tables, dict) else ():
        known[name.lower()] = _device(name, values, known.get(name.lower()), path)
    return known


def _device(name: str, values: Any, known: Device | None, path: Path) -> Device:
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: devices.{name} is no table; write [devices.{name}] and its numbers below")
    for key, value in values.items():
        if key not in TABLE_KEYS:
            raise ConfigError(
                f"{path}: devices.{name} has {key!r}.{nearest(key, TABLE_KEYS)} It may have {', '.join(TABLE_KEYS)}"
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise ConfigError(f"{path}: devices.{name}.{key} = {value!r} is no positive number")
    if known is not None:
        return replace(known, **values)
    missing = [key for key in ("bf16_flops", "memory_bytes", "memory_bandwidth", "link_bandwidth") if key not in values]
    if missing:
        raise ConfigError(f"{path}: devices.{name} is not in the table, and lacks {', '.join(missing)}")
    return Device(name=name, source=str(path), **{"fp32_flops": values["bf16_flops"] / 2, **values})
