"""From prompts to tokens: one forward pass over what all rows have, then one token at a time for all rows at once."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chainrule.base import ModelError
from chainrule.generate.rules import NEVER, Rule
from chainrule.model import GPT, KVCache

NUMBERS_AT_ONCE = 256
FIRST_ROOM = 1024


def decode(
    model: GPT,
    prompts: Sequence[Sequence[int]],
    *,
    rules: Sequence[Rule],
    seeds: Sequence[int],
    max_new_tokens: int,
    n_choices: int,
    choices: Mapping[int, Sequence[int]] | None = None,
) -> Iterator[dict[int, int]]:
    """Yields, step by step, the new token of each row that has one: {row: id}.

    Rows are aligned at their beginning, so each token has the place that it would have alone: what is read in one pass
    is the length of the shortest prompt, and a longer one gives its own next token in place of a sampled one until it
    ends. No padding, no mask, one cache. Row `i` draws from a generator of its own (`seeds[i]`), and the global random
    state is untouched, so a row's text does not depend on its neighbours. Ids from `n_choices` on are never chosen
    (rows of a padded vocabulary). When the context is full, its older half is forgotten and the rest read again.

    `choices` holds, for rows whose first new token may not be chosen freely, the ids that it is chosen among.

    `model` must be in evaluation mode; `prompts` are non-empty and within the context, their ids in the vocabulary.
    """
    device = model.token_embedding.weight.device
    dice = [_uniforms(seed) for seed in seeds]
    lengths = [len(prompt) for prompt in prompts]
    known, longest = min(lengths), max(lengths)
    text = _Growing([list(prompt[:known]) for prompt in prompts], device)
    window = Window(model, len(prompts), min(model.config.context_length, longest + max_new_tokens))
    while known < longest + max_new_tokens:
        logits = window.next_logits(text.ids)
        if logits.isnan().any():
            raise ModelError("the model's scores are not numbers (NaN); its weights are damaged or have diverged")
        logits[:, n_choices:] = NEVER
        made = [known - length for length in lengths]  # tokens that each row has drawn; negative inside its prompt
        for row, allowed in (choices or {}).items():
            if made[row] == 0:
                logits[row] = _only(logits[row], allowed)
        for rule in rules:
            logits = rule.apply(logits, text.ids)
        # On the CPU: a GPU's running sums differ from call to call, and the token is wanted here anyway.
        numbers = torch.tensor([next(dice[row]) if n >= 0 else 0.0 for row, n in enumerate(made)])
        drawn = draw(logits.cpu(), numbers).tolist()
        following = [prompts[row][known] if n < 0 else drawn[row] for row, n in enumerate(made)]
        text.append(following)
        known += 1
        yield {row: following[row] for row, n in enumerate(made) if 0 <= n < max_new_tokens}


class Window:
    """The cached part of the text that the model sees: all of it, or at least the younger half of the context."""

    def __init__(self, model: GPT, n_rows: int, max_length: int) -> None:
        self.model, self.n_rows, self.max_length = model, n_rows, max_length
        self.read = 0
        self._empty()

    @torch.no_grad()
    def next_logits(self, text: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """Scores, in float32, of the token after `text`, of which only what is new is computed."""
        if self.cache.length + text.shape[1] - self.read > self.max_length:
            self._empty()
            self.read = text.shape[1] - max(1, self.max_length // 2)
        logits = self.model.logits(self.model.stream(text[:, self.read :], self.cache)[:, -1])
        self.read = text.shape[1]
        return logits.float()

    def _empty(self) -> None:
        weight = self.model.token_embedding.weight
        self.cache = KVCache(self.model.config, self.n_rows, self.max_length, dtype=weight.dtype, device=weight.device)


class _Growing:
    """The rows' ids so far; room is made by doubling, so that a long text does not copy itself at each token."""

    def __init__(self, rows: list[list[int]], device: torch.device) -> None:
        begun = torch.tensor(rows, device=device)
        self._room = torch.zeros(len(rows), max(FIRST_ROOM, 2 * begun.shape[1]), dtype=begun.dtype, device=device)
        self.length = begun.shape[1]
        self._room[:, : self.length] = begun

    @property
    def ids(self) -> Int[Tensor, "B T"]:
        return self._room[:, : self.length]

    def append(self, ids: list[int]) -> None:
        if self.length == self._room.shape[1]:
            self._room = torch.cat((self._room, torch.zeros_like(self._room)), dim=1)
        self._room[:, self.length] = torch.tensor(ids, device=self._room.device)
        self.length += 1


def draw(logits: Float[Tensor, "B V"], uniforms: Float[Tensor, " B"]) -> Int[Tensor, " B"]:
    """The token at which the running sum of the probabilities passes each row's number in [0, 1)."""
    shares = logits.softmax(-1)
    sums = shares.cumsum(-1)
    places = torch.searchsorted(sums, uniforms[:, None] * sums[:, -1:], right=True).squeeze(-1)
    # Rounding can carry a number close to 1 past the end: the last token that has a share is meant then.
    last = shares.shape[-1] - 1 - (shares > 0).flip(-1).int().argmax(-1)
    return torch.minimum(places, last)


def _only(logits: Float[Tensor, " V"], allowed: Sequence[int]) -> Float[Tensor, " V"]:
    kept = torch.full_like(logits, NEVER)
    places = torch.tensor(allowed, device=logits.device)
    return kept.scatter(0, places, logits[places])


def _uniforms(seed: int) -> Iterator[float]:
    """Numbers in [0, 1) without an end, made as they are asked for: the length of a text costs nothing beforehand."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield from torch.rand(NUMBERS_AT_ONCE, generator=generator).tolist()
