"""Reading tokens so that the numbers of one do not depend, to the last bit, on what is read beside it.

A matrix product of a library adds up in an order of its own choice, and that choice depends on how many rows there are:
on a CPU with AVX-512 one or two rows go through another kernel than four, and a token that is read alone, in a batch or
behind a cached prefix gets scores that differ in their last bits. A greedy text then changes where two tokens are
nearly equal (vLLM issue 54490, llama.cpp issue 7594). Here every product has a number of rows that was tried on this
machine and gives each row the same bits at every place (`row_counts`), and rows are filled up to it; attention is
computed for each text by itself, over a number of keys that depends on the token's place alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chainrule.base import DeviceError
from chainrule.model.block import Block
from chainrule.model.cache import KVCache
from chainrule.model.flat import FlatBlock, FlatBlocks
from chainrule.model.gpt import GPT
from chainrule.model.position import check_length

# Most rows first. One row is always exact: it is then the only row of every product.
ROW_COUNTS = (128, 32, 8)
# Keys are read up to the next multiple of this; what lies behind a token's own place weighs nothing.
KEYS_AT_ONCE = 64


class ExactReader:
    """Reads tokens with `model` like `model.stream` and `model.logits`, each token's numbers independent of all others.

    In place of the model in a `Decoder`. The promise holds for one model in one process with one number of threads.
    Raises DeviceError for a model that is not on the CPU.
    """

    def __init__(self, model: GPT) -> None:
        if model.token_embedding.weight.device.type != "cpu":
            raise DeviceError(
                "answers equal to the last bit are promised on the CPU alone; take the fast mode elsewhere"
            )
        self._model = model
        self.row_counts = row_counts(model)
        """The numbers of rows that matrix products may have, the largest first."""

    @torch.no_grad()
    def stream(self, ids: Int[Tensor, "B T"], cache: KVCache) -> Float[Tensor, "B T D"]:
        """The residual stream of new tokens, which are appended to `cache`; see `GPT.stream`."""
        model, (n_rows, length) = self._model, ids.shape
        check_length(cache.length, length, model.config)
        places = (cache.lengths[:, None] + torch.arange(length)).flatten()
        looks = _looks(places.view(n_rows, length), cache.max_length)
        cache.begin(length)
        tokens, position = ids.flatten(), model.position_embedding
        portions = self._portions(n_rows * length)
        at = [_filled(places[one.start : one.stop], one.n_rows)[:, None] for one in portions]
        rotations = [position.rotation(where) for where in at]
        x = [
            position.embed(model.token_embedding(_filled(tokens[one.start : one.stop], one.n_rows)[:, None]), where)
            for one, where in zip(portions, at, strict=True)
        ]
        for layer, block in enumerate(_blocks(model)):
            heads = [block.heads(part, rotation) for part, rotation in zip(x, rotations, strict=True)]
            q, k, v = (_joined(parts, portions) for parts in zip(*heads, strict=True))
            cache.append(layer, _by_text(k, n_rows).to(cache.keys.dtype), _by_text(v, n_rows))
            gathered = self._gathered(q, cache, layer, looks)
            x = [
                block.finished(part, _filled(gathered[one.start : one.stop], one.n_rows)[:, None])
                for one, part in zip(portions, x, strict=True)
            ]
        cache.advance(length)
        return _joined([model.final_norm(part) for part in x], portions).view(n_rows, length, -1)

    @torch.no_grad()
    def logits(self, x: Float[Tensor, "N D"]) -> Float[Tensor, "N V"]:
        """Scores of every token of the vocabulary, behind each of the streams."""
        portions = self._portions(len(x))
        scores = [self._model.logits(_filled(x[one.start : one.stop], one.n_rows)) for one in portions]
        return torch.cat([part[: one.stop - one.start] for one, part in zip(portions, scores, strict=True)])

    def _gathered(self, q: Tensor, cache: KVCache, layer: int, looks: Sequence["_Look"]) -> Float[Tensor, "N W"]:
        """What each token's heads gather from its own text."""
        keys, values = cache.keys[layer], cache.values[layer]
        out = torch.empty(len(q), q.shape[1] * q.shape[3], dtype=q.dtype)
        for look in looks:
            k, v = (part[look.rows, :, : look.n_keys].flatten(0, 1) for part in (keys, values))
            queries = q[look.tokens].to(k.dtype)
            out[look.tokens] = _by_products(queries, k, v, look, self.row_counts).to(q.dtype)
        return out

    def _portions(self, n_tokens: int) -> list["_Portion"]:
        return _portions(n_tokens, self.row_counts)


@dataclass(frozen=True)
class _Portion:
    """Tokens that go through a product together, and the rows that it then has."""

    start: int
    stop: int
    n_rows: int


@dataclass(frozen=True)
class _Look:
    """Tokens that attend in one product: those of one text, or one token of each of several texts."""

    tokens: slice
    rows: slice
    n_keys: int
    mask: Tensor
    """[tokens, keys]: 0 where a token may look, minus infinity elsewhere."""


def _portions(n_tokens: int, counts: Sequence[int]) -> list[_Portion]:
    """As few portions as there can be: the largest that are full, and the smallest that takes the rest."""
    found, start = [], 0
    while start < n_tokens:
        rest = n_tokens - start
        full = next((count for count in counts if count <= rest), counts[-1])
        # Rather one portion that is not full than several small ones, where it is at least three quarters full.
        above = [count for count in counts if rest <= count and 4 * rest >= 3 * count]
        n_rows = above[-1] if above else full
        found.append(_Portion(start, min(n_tokens, start + n_rows), n_rows))
        start += n_rows
    return found


def _looks(places: Int[Tensor, "B T"], max_length: int) -> list[_Look]:
    """How the tokens at these places attend: by text and by how many keys they read."""
    n_texts, length = places.shape
    n_keys = ((places // KEYS_AT_ONCE + 1) * KEYS_AT_ONCE).clamp(max=max_length).tolist()
    runs: list[tuple[int, int, int, int]] = []
    for text in range(n_texts):
        for place in range(length):
            row = text * length + place
            last = runs[-1] if runs else (0, 0, 0, 0)
            # A token each of neighbouring texts, or the tokens of one text.
            if last[3] == n_keys[text][place] and (length == 1 or last[0] == text):
                runs[-1] = (last[0], last[1], row + 1, last[3])
            else:
                runs.append((text, row, row + 1, n_keys[text][place]))
    flat = places.flatten()
    looks = []
    for text, start, stop, count in runs:
        hidden = torch.arange(count) > flat[start:stop, None]
        mask = torch.zeros(stop - start, count).masked_fill(hidden, float("-inf"))
        rows = slice(text, text + (stop - start if length == 1 else 1))
        looks.append(_Look(slice(start, stop), rows, count, mask))
    return looks


def _by_products(
    q: Float[Tensor, "N H 1 K"], k: Tensor, v: Tensor, look: _Look, counts: Sequence[int]
) -> Float[Tensor, "N W"]:
    """softmax(q kᵀ / √K) v; the heads that share keys are rows of one product."""
    n_texts = look.rows.stop - look.rows.start
    n_groups, n_tokens, (_, n_heads, _, width) = len(k) // n_texts, len(q) // n_texts, q.shape
    shared = n_heads // n_groups
    # [texts, groups, tokens and the heads that share a group's keys, K]
    rows = q.view(n_texts, n_tokens, n_groups, shared, width).transpose(1, 2).reshape(len(k), -1, width)
    # Every text has the same mask when each has one token: their places may differ, so it is given for each.
    mask = look.mask.view(n_texts, 1, n_tokens, 1, -1).expand(-1, n_groups, -1, shared, -1).reshape(*rows.shape[:2], -1)
    parts = []
    for one in _portions(rows.shape[1], counts):
        queries = _filled(rows[:, one.start : one.stop], one.n_rows, dim=1)
        scores = torch.bmm(queries * width**-0.5, k.transpose(1, 2))
        weights = (scores + _filled(mask[:, one.start : one.stop], one.n_rows, dim=1)).softmax(-1)
        parts.append(torch.bmm(weights, v)[:, : one.stop - one.start])
    gathered = torch.cat(parts, dim=1).view(n_texts, n_groups, n_tokens, shared, width)
    return gathered.transpose(1, 2).reshape(len(q), -1)


def _blocks(model: GPT) -> list[Block | FlatBlock]:
    """The blocks; of packed weights they may be written out flat, all in one module."""
    found: list[Block | FlatBlock] = []
    for block in model.blocks:
        found += block.each() if isinstance(block, FlatBlocks) else [block] if isinstance(block, Block) else []
    return found


def _filled(x: Tensor, n_rows: int, dim: int = 0) -> Tensor:
    """`x` with `n_rows` rows: the last are zeros."""
    missing = n_rows - x.shape[dim]
    if not missing:
        return x
    shape = list(x.shape)
    shape[dim] = missing
    return torch.cat((x, x.new_zeros(shape)), dim)


def _joined(parts: Sequence[Tensor], portions: Sequence[_Portion]) -> Tensor:
    """The rows of all portions, without those that filled them up."""
    return torch.cat([part[: one.stop - one.start] for part, one in zip(parts, portions, strict=True)])


def _by_text(x: Float[Tensor, "N G 1 K"], n_texts: int) -> Float[Tensor, "B G T K"]:
    return x.view(n_texts, -1, *x.shape[1:2], x.shape[3]).transpose(1, 2)


@torch.no_grad()
def row_counts(model: GPT) -> tuple[int, ...]:
    """The numbers of rows with which this machine's matrix products give a row the same bits at every place.

    Tried with random numbers on a block of the model, on its head and on attention. The smallest that is equal to
    itself with its rows in another order leads, and the larger ones have to be equal to it; one row alone, (1,), is
    what is left where none is.
    """
    block = _blocks(model)[0]
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(max(ROW_COUNTS), generator=generator)
    trials = [_trial(function, shape, generator) for function, shape in _products(model, block)]
    for place in range(len(ROW_COUNTS) - 1, -1, -1):
        least = ROW_COUNTS[place]
        expected = [trial(least) for trial in trials]
        if all(torch.equal(trial(least, order), found[order]) for trial, found in zip(trials, expected, strict=True)):
            larger = [n for n in ROW_COUNTS[:place] if _agrees(n, trials, expected, order)]
            return (*larger, least)
    return (1,)


def _products(model: GPT, block: Block | FlatBlock) -> list[tuple[Callable[[Tensor], Tensor], int]]:
    """What a token goes through, as functions of rows, with the width that they take."""
    config, dtype = model.config, model.token_embedding.weight.dtype
    generator = torch.Generator().manual_seed(1)
    found: list[tuple[Callable[[Tensor], Tensor], int]] = [
        (lambda x: torch.cat([part.flatten(1) for part in block.heads(x[:, None])], 1), config.emb_dim),
        (
            lambda x: block.finished(x.new_zeros(len(x), 1, config.emb_dim), x[:, None])[:, 0],
            config.n_heads * config.head_dim,
        ),
        (lambda x: model.logits(model.final_norm(x)), config.emb_dim),
    ]
    for n_keys in {KEYS_AT_ONCE, min(5 * KEYS_AT_ONCE, config.context_length), config.context_length}:
        k, v = torch.randn(2, config.n_kv_heads, n_keys, config.head_dim, generator=generator).to(dtype)

        def attended(x: Tensor, k: Tensor = k, v: Tensor = v) -> Tensor:
            q = x.view(len(x), config.n_kv_heads, config.head_dim).transpose(0, 1)
            weights = torch.bmm(q * config.head_dim**-0.5, k.transpose(1, 2)).softmax(-1)
            return torch.bmm(weights, v).transpose(0, 1).flatten(1)

        found.append((attended, config.n_kv_heads * config.head_dim))
    return found


def _trial(function: Callable[[Tensor], Tensor], width: int, generator: torch.Generator) -> Callable[..., Tensor]:
    """The function on random rows, so many at a time, in the given order."""
    x = torch.randn(max(ROW_COUNTS), width, generator=generator)

    def tried(n_rows: int, order: Tensor | None = None) -> Tensor:
        rows = x if order is None else x[order]
        return torch.cat([function(part) for part in torch.split(rows, n_rows)])

    return tried


def _agrees(n_rows: int, trials: Sequence[Callable[..., Tensor]], expected: Sequence[Tensor], order: Tensor) -> bool:
    """Whether so many rows at a time, in another order, give the expected bits."""
    return all(torch.equal(trial(n_rows, order), found[order]) for trial, found in zip(trials, expected, strict=True))
