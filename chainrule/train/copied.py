"""How much of the held-out text stands word for word in the training text: what a score on it is worth.

Near duplicates are removed document by document; what is quoted, repeated inside a document that is cut, or parted by
separators that nobody recognised, is not. So stretches of the held-out text are looked for in the training text itself.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from chainrule.data import Dataset, TokenStore
from chainrule.evaluate import share_found
from chainrule.run import Copied

# A line of prose or code: shorter ones are phrases that anybody might write.
STRETCH_BYTES, N_STRETCHES = 64, 1000
# Two seconds of a core, whatever the size of the text.
MOST_TOKENS, N_BLOCKS = 40_000_000, 64


def copied_row(dataset: Dataset) -> Copied:
    """Of evenly spread stretches of held-out text, the share that stands in the training text to the letter.

    `stretch_bytes` is their mean length, `searched_share` how much of the training text was looked through (of a large
    one evenly spread blocks, so that more may stand there).
    """
    held, train, report = dataset.split("validation"), dataset.split("train"), dataset.manifest.report
    bytes_per_token = report.split_bytes["validation"] / held.n_tokens
    length = max(4, round(STRETCH_BYTES / max(bytes_per_token, 0.1)))
    stretches = _stretches(held, length, dataset.manifest.end_of_text)
    searched = _Blocks(train, min(1.0, MOST_TOKENS / train.n_tokens))
    return Copied(
        share=round(share_found(stretches, cast(TokenStore, searched)), 4),
        stretches=len(stretches),
        stretch_bytes=round(length * bytes_per_token),
        searched_share=round(searched.n_tokens / train.n_tokens, 4),
    )


def copied_sentence(found: Copied) -> str:
    """It in words."""
    part = "" if found.searched_share == 1 else f" (looked for in {found.searched_share:.1%} of it)"
    return (
        f"{found.share:.1%} of held-out text stands word for word in the training text{part}: of "
        f"{found.stretches:,} evenly spread stretches of about {found.stretch_bytes} bytes."
    )


def _stretches(held: TokenStore, length: int, end_of_text: int) -> list[list[int]]:
    """Runs of `length` tokens inside documents, evenly spread."""
    starts = np.unique(np.linspace(0, max(held.n_tokens - length, 0), N_STRETCHES).astype(np.int64)).tolist()
    runs = (held.read(start, min(length, held.n_tokens)) for start in starts)
    return [run.tolist() for run in runs if end_of_text not in run and len(run) == length]


@dataclass(frozen=True)
class _Blocks:
    """A share of a store in evenly spread blocks, one after another, read as the store is."""

    store: TokenStore
    share: float

    @property
    def n_tokens(self) -> int:
        """Tokens in all blocks."""
        return self.store.n_tokens if self.share == 1 else N_BLOCKS * self._block

    @property
    def _block(self) -> int:
        return int(self.share * self.store.n_tokens) // N_BLOCKS

    def read(self, start: int, count: int) -> NDArray[np.int64]:
        """The tokens at these places of the blocks."""
        if self.share == 1:
            return self.store.read(start, count)
        parts, period = [], self.store.n_tokens // N_BLOCKS
        while count:
            block, inside = divmod(start, self._block)
            part = min(count, self._block - inside)
            parts.append(self.store.read(block * period + inside, part))
            start, count = start + part, count - part
        return np.concatenate(parts) if parts else np.empty(0, np.int64)
