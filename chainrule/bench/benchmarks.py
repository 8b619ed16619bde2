"""The benchmarks by name, and how one is carried out."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from chainrule.base import ConfigError, DeviceError, Pressure, cpu_pressure, nearest
from chainrule.bench import nanogpt
from chainrule.bench.asked import Asked, own_text
from chainrule.bench.contest import Contest, hold
from chainrule.bench.decoding import decoding
from chainrule.bench.growth import growth
from chainrule.bench.results import CONTENDED, Result, versions
from chainrule.bench.starting import starting
from chainrule.bench.training import training
from chainrule.bench.until_loss import until_loss
from chainrule.config import MachineConfig
from chainrule.device import MachineFacts, look_at_machine

BENCHMARKS: dict[str, Callable[[Asked], Iterator[Contest]]] = {
    "training": training,
    "until-loss": until_loss,
    "decoding": decoding,
    "starting": starting,
    "growth": growth,
}
PEERS = ("nanogpt",)


@dataclass(frozen=True)
class Call:
    """What a person asks for: rounds, peers by name with their folders, a text, threads (0: all that may be used)."""

    rounds: int = 5
    against: tuple[str, ...] = ()
    text: Path | None = None
    threads: int = 0
    short: bool = False
    busy: bool = False


def checked_names(names: Iterable[str]) -> tuple[str, ...]:
    """The benchmarks asked for, `all` being all of them; raises ConfigError with the nearest name."""
    for name in names:
        if name not in (*BENCHMARKS, "all"):
            raise ConfigError(
                f"unknown benchmark {name!r}.{nearest(name, BENCHMARKS)} There are: {', '.join(BENCHMARKS)}."
            )
    return tuple(BENCHMARKS) if "all" in names else tuple(dict.fromkeys(names))


def peers(against: Iterable[str]) -> dict[str, Path]:
    """Folders by the name of the peer, out of NAME=PATH; raises ConfigError for other words and for empty folders."""
    found = {}
    for word in against:
        name, equals, place = word.partition("=")
        if name not in PEERS or not equals or not place:
            raise ConfigError(f"--against {word!r} names no peer; write nanogpt=PATH, a checkout of nanoGPT")
        found[name] = nanogpt.checked_folder(Path(place).expanduser())
    return found


def measure(names: Iterable[str], call: Call, tell: Callable[[str], None]) -> Iterator[Result]:
    """Carries out one benchmark after the other; `tell` hears of each reading.

    Raises DeviceError when other programs hold the processor, unless `call.busy` says that it is measured all the same.
    """
    by_name = peers(call.against)
    if call.text is not None and not call.text.is_file():
        raise ConfigError(f"--text {call.text}: no such file; give a file of text in UTF-8")
    refuse_company(cpu_pressure(), tell, busy=call.busy)
    facts = look_at_machine(MachineConfig(device="cpu", threads=call.threads))
    with tempfile.TemporaryDirectory(prefix="chainrule-bench-") as name:
        folder = Path(name)
        asked = Asked(
            call.text.absolute() if call.text else own_text(folder),
            folder,
            facts.precision,
            facts.threads,
            facts.peak_flops,
            nanogpt=by_name.get("nanogpt"),
            short=call.short,
            given=call.text is not None,
        )
        for benchmark in names:
            yield _carried_out(benchmark, asked, call, facts, tell)


def refuse_company(pressure: Pressure | None, tell: Callable[[str], None], *, busy: bool) -> None:
    """Raises DeviceError where other programs hold the processor; with `busy` it is only told."""
    if pressure is None or pressure.last_10 <= CONTENDED:
        return
    said = f"in {pressure.last_10:.0%} of the last ten seconds some program waited for a processor"
    if not busy:
        raise DeviceError(
            f"{said}: figures would tell of the others. End them, or measure all the same with --busy "
            "(the result says that it was contended)"
        )
    tell(f"{said}: these figures are contended")


def _carried_out(benchmark: str, asked: Asked, call: Call, facts: MachineFacts, tell: Callable[[str], None]) -> Result:
    made, start, before = datetime.now(UTC), time.perf_counter(), cpu_pressure()
    contests = tuple(hold(contest, call.rounds, tell) for contest in BENCHMARKS[benchmark](asked))
    after, seconds = cpu_pressure(), time.perf_counter() - start
    found = versions()
    if asked.nanogpt:
        found["nanoGPT (model.py, train.py)"] = nanogpt.fingerprint(asked.nanogpt)
    return Result(
        benchmark,
        made.isoformat(timespec="seconds"),
        facts.processor_class,
        call.rounds,
        asked.threads,
        call.short,
        asked.text_name,
        facts.row(),
        found,
        round((after.waited_seconds - before.waited_seconds) / seconds, 3) if before and after else None,
        contests,
    )
