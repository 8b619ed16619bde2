"""Before the first step: a micro-batch that fits, a compiler that works, and the seconds of a step."""

import time
from dataclasses import dataclass

import torch

from chainrule.base import DeviceError, bytes_text, count_text
from chainrule.config import Config
from chainrule.data import Windows
from chainrule.device import MachineFacts
from chainrule.model import GPT
from chainrule.plan import memory_bytes
from chainrule.train.state import TrainState
from chainrule.train.step import LossFunction, Precision, backward, gradient_norms
from chainrule.train.watch import Watch

# Tokens of a forward pass from which larger ones gain nothing: on a CPU the caches hold no more; on a GPU all
# multiprocessors are busy.
ENOUGH_TOKENS = {"cpu": 8192, "mps": 16384, "cuda": 65536}
MEMORY_SHARE = 0.8
MOST_ROUNDS, PROBE_SECONDS = 6, 2.0
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc")


@dataclass(frozen=True)
class Probed:
    """What the first passes showed: windows of a forward pass, seconds of a whole update."""

    micro_batch: int
    step_seconds: float
    loss_function: LossFunction
    compiled: bool


def probe(state: TrainState, config: Config, facts: MachineFacts, windows: Windows, watch: Watch) -> Probed:
    """Runs updates on real windows, undoes them, and settles micro-batch and compilation.

    A micro-batch that does not fit is halved, with a notice; the batch of an update stays the same. When torch.compile
    fails, training goes on without it, with a notice. Raises DeviceError when not even one window fits.
    """
    model, precision = state.model, Precision(facts.device, facts.precision)
    micro_batch = config.machine.micro_batch or likely_micro_batch(config, facts)
    compiled = wants_compile(config, facts)
    loss_function = training_loss(model, compiled=compiled)
    while True:
        part = Windows(
            windows.ids[:micro_batch], None if windows.documents is None else windows.documents[:micro_batch]
        )
        try:
            passing, moving = _timed(state, loss_function, part, precision)
            break
        except (RuntimeError, MemoryError) as fault:  # torch.OutOfMemoryError is a RuntimeError
            if _is_out_of_memory(fault):
                micro_batch = _halved(micro_batch, config, facts, watch)
            elif compiled:
                watch("notice", {"message": f"torch.compile failed, training goes on without it: {_first_line(fault)}"})
                loss_function, compiled = model.loss, False
            else:
                raise
    return Probed(micro_batch, passing * config.batch_windows / len(part.ids) + moving, loss_function, compiled)


def likely_micro_batch(config: Config, facts: MachineFacts) -> int:
    """The largest divisor of the batch that keeps the device busy without more than 80 % of its memory, by the plan."""
    enough = max(1, ENOUGH_TOKENS[facts.device] // config.model.context_length)
    for size in range(min(config.batch_windows, enough), 1, -1):
        need = memory_bytes(config, micro_batch=size, precision=facts.precision, device=facts.device)
        if config.batch_windows % size == 0 and need.total <= MEMORY_SHARE * facts.memory_bytes:
            return size
    return 1


def training_loss(model: GPT, *, compiled: bool) -> LossFunction:
    """The loss of a batch, through torch.compile or as it is."""
    return torch.compile(model.loss) if compiled else model.loss


def wants_compile(config: Config, facts: MachineFacts) -> bool:
    """On a GPU always; on a CPU it costs 14 to 60 s and returned -13 to +8 % here, so only when asked for."""
    return config.machine.compile == "on" or (config.machine.compile == "auto" and facts.device == "cuda")


def _timed(
    state: TrainState, loss_function: LossFunction, windows: Windows, precision: Precision
) -> tuple[float, float]:
    """Seconds of forward and backward, and of the optimizer, in the quickest of a few rounds; the weights are put back.

    The first round, which compiles and allocates, is not counted. A single round was up to 1.5 times as slow as the run
    that followed, which then ended long before its time.
    """
    before = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    rounds: list[tuple[float, float]] = []
    began = time.perf_counter()
    try:
        while len(rounds) < 2 or (len(rounds) <= MOST_ROUNDS and time.perf_counter() - began < PROBE_SECONDS):
            start = time.perf_counter()
            backward(loss_function, windows, len(windows.ids), precision).item()
            passed = time.perf_counter()
            state.optimizer.step(1.0)
            gradient_norms(state.model).tolist()  # waits for the device
            rounds.append((passed - start, time.perf_counter() - passed))
            state.optimizer.zero_grad()
    finally:
        state.model.load_state_dict(before)
        state.optimizer.forget()
    return min(rounds[1:], key=sum)


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
        "notice",
        {
            "message": f"a micro-batch of {micro_batch} windows does not fit in memory; going on with {half} "
            f"(the batch of an update stays {same} tokens)"
        },
    )
    return half


def _is_out_of_memory(fault: Exception) -> bool:
    text = str(fault).lower()
    return isinstance(fault, MemoryError | torch.OutOfMemoryError) or any(words in text for words in OUT_OF_MEMORY)


def _first_line(fault: Exception) -> str:
    return f"{type(fault).__name__}: {str(fault).strip().splitlines()[0][:160] if str(fault).strip() else ''}"
