"""Before the first step: a micro-batch that fits, threads and a compiler that pay, and the seconds of a step."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from chainrule.base import DeviceError, bytes_text, count_text, out_of_memory
from chainrule.config import Config
from chainrule.data import Windows
from chainrule.device import MachineFacts
from chainrule.model import GPT
from chainrule.plan import memory_bytes
from chainrule.run import Event
from chainrule.train.objective import LossFunction, Objective, next_token
from chainrule.train.settings import in_windows
from chainrule.train.state import TrainState
from chainrule.train.timing import Timed, first_windows, time_updates
from chainrule.train.watch import Watch

# Tokens of a forward pass from which larger ones gain nothing: on a CPU the caches hold no more; on a GPU all
# multiprocessors are busy.
ENOUGH_TOKENS = {"cpu": 8192, "mps": 16384, "cuda": 65536}
MEMORY_SHARE = 0.8


@dataclass(frozen=True)
class FirstPasses:
    """What the first passes showed: windows of one, threads, seconds of a whole update."""

    micro_batch: int
    threads: int
    step_seconds: float
    objective: Objective
    compiled: bool

    @property
    def settings(self) -> dict[str, object]:
        """As the settings of the machine say it."""
        compiled = "on" if self.compiled else "off"
        return {"micro_batch": self.micro_batch, "compile": compiled, "threads": self.threads}


def probe(
    state: TrainState,
    config: Config,
    facts: MachineFacts,
    windows: Windows,
    watch: Watch,
    objective_of: Callable[[GPT, LossFunction], Objective] = next_token,
) -> FirstPasses:
    """Runs updates that move nothing on real windows, and settles micro-batch, threads and compilation.

    A micro-batch that does not fit is halved, with a notice; the batch of an update stays the same. When torch.compile
    fails, training goes on without it, with a notice. Raises DeviceError when not even one window fits.
    """
    model = state.model
    micro_batch = config.machine.micro_batch or likely_micro_batch(config, facts, windows.ids.shape[1] - 1)
    compiled = wants_compile(config, facts)
    objective = objective_of(model, training_loss(model, compiled=compiled))
    while True:
        part = first_windows(windows, micro_batch)
        try:
            timed = time_updates(state, objective, part, facts, same_shape=compiled)
            break
        except (RuntimeError, MemoryError) as fault:  # torch.OutOfMemoryError is a RuntimeError
            if out_of_memory(fault):
                micro_batch = _halved(micro_batch, config, facts, watch)
            elif compiled:
                watch(Event(f"torch.compile failed, training goes on without it: {_first_line(fault)}"))
                objective, compiled = objective_of(model, training_loss(model, compiled=False)), False
            else:
                raise
    _say_threads(timed, watch)
    seconds = timed.window_seconds * config.batch_windows + timed.moving_seconds
    return FirstPasses(micro_batch, timed.threads, seconds, objective, compiled)


def likely_micro_batch(config: Config, facts: MachineFacts, window_tokens: int | None = None) -> int:
    """The largest divisor of the batch that keeps the device busy without more than 80 % of its memory, by the plan.

    `window_tokens` is how long a window is, where that is not the context.
    """
    length, n_windows = window_tokens or config.model.context_length, config.batch_windows
    as_long = in_windows(config, length)
    enough = max(1, ENOUGH_TOKENS[facts.device] // length)
    for size in range(min(n_windows, enough), 1, -1):
        need = memory_bytes(as_long, micro_batch=size, precision=facts.precision, device=facts.device)
        if n_windows % size == 0 and need.total <= MEMORY_SHARE * facts.memory_bytes:
            return size
    return 1


def training_loss(model: GPT, *, compiled: bool, backend: str = "inductor") -> LossFunction:
    """The loss of a batch, through torch.compile with that backend, or as it is.

    Logits in portions are left alone, or on a GPU compiled by themselves.
    """
    if not compiled:
        model.compile_nothing()
        return model.loss
    if model.head_weight.device.type == "cuda":
        model.compile_portions(backend)
    else:
        model.keep_portions_uncompiled()
    return torch.compile(model.loss, backend=backend)


def wants_compile(config: Config, facts: MachineFacts) -> bool:
    """On a GPU always; on a CPU it costs 14 to 60 s and returned -13 to +8 % here, so only when asked for."""
    return config.machine.compile == "on" or (config.machine.compile == "auto" and facts.device == "cuda")


def _say_threads(timed: Timed, watch: Watch) -> None:
    """A line when fewer threads than there might be were the quickest."""
    most = max(timed.tried)
    if timed.threads < most:
        one, other = timed.tried[timed.threads], timed.tried[most]
        threads = f"{timed.threads} thread{'s' if timed.threads > 1 else ''}"
        watch(Event(f"going on with {threads}: {one:.2g} s for what {most} threads do in {other:.2g} s"))


def _halved(micro_batch: int, config: Config, facts: MachineFacts, watch: Watch) -> int:
    if micro_batch == 1:
        raise DeviceError(
            f"one window of {config.model.context_length} tokens does not fit in the memory of {facts.device} "
            f"({bytes_text(facts.memory_bytes)}); lower model.context_length or model.emb_dim, or set "
            "machine.activation_checkpointing"
        )
    if facts.device == "cuda":
        torch.cuda.empty_cache()
    half = micro_batch // 2
    same = count_text(config.batch_windows * config.model.context_length)
    watch(
        Event(
            f"a micro-batch of {micro_batch} windows does not fit in memory; going on with {half} "
            f"(the batch of an update stays {same} tokens)"
        )
    )
    return half


def _first_line(fault: Exception) -> str:
    return f"{type(fault).__name__}: {str(fault).strip().splitlines()[0][:160] if str(fault).strip() else ''}"
