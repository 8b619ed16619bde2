"""How much of a disk a run's checkpoints take, before any of them is written."""

from collections.abc import Sequence
from dataclasses import replace

from chainrule.config import Config, TrainingConfig
from chainrule.plan.memory import memory_bytes

# Each tensor has its name, shape and place in its file's head, and AdamW a count of steps beside it; a block has 8 to
# 14 tensors, and there are the weights and one or two numbers for each in the optimizer.
HEAD_BYTES, TENSORS_OF_A_BLOCK = 200, 3 * 14
STATE_BYTES = 8 << 10


def checkpoint_bytes(config: Config, copies: int = 0, learning: int | None = None) -> int:
    """Bytes of one checkpoint: weights, optimizer, what stands around them, and `copies` bytes of other files.

    Where only so many numbers are `learning`, it holds them alone.
    """
    need = memory_bytes(config, learning=learning)
    if learning is not None:
        need = replace(need, weights=4 * learning)
    heads = HEAD_BYTES * TENSORS_OF_A_BLOCK * (config.model.n_layers + 1)
    return need.weights + need.optimizer + heads + STATE_BYTES + copies


def checkpoints_to_come(training: TrainingConfig, there: Sequence[int] = ()) -> int:
    """For how many more checkpoints than there are now (at these steps) a run needs room at once; 0 when it is done.

    The newest training.keep_last stay and the best, and the next is whole before one of them goes. A run of few saves
    keeps fewer.
    """
    last = max(there, default=0)
    saves = -(-(training.steps - last) // training.save_every)
    most = min(training.keep_last + 2, len(there) + saves)
    return max(1, most - len(there)) if saves > 0 else 0
