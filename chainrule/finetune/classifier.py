"""A classifier out of a language model: a head on the stream at a text's last token, and what of the model learns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from chainrule.model import GPT, Batch, LoraSettings, WindowsLike, add_lora
from chainrule.tokenizer import Tokenizer

ALL = slice(None)
# Batches whose rows are sorted by length together: rows of a batch are then nearly as long as each other, and padding
# is little, while batches stay mixed.
SORTED_TOGETHER = 16


class Classifier(nn.Module):
    """Scores of each label from the stream at the last token of a text that is no padding.

    The first token's stream knows nothing of the text, and that of padding little (LLMs-from-scratch, chapter 6: 75 and
    78 % right against 98 %).
    """

    def __init__(self, model: GPT, n_labels: int, seed: int = 0) -> None:
        super().__init__()
        self.model = model
        self.head = nn.Linear(model.config.emb_dim, n_labels)
        dice = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.head.weight.normal_(0.0, 0.02, generator=dice)
            self.head.bias.zero_()

    def forward(self, batch: Batch) -> Float[Tensor, "B C"]:
        """Scores (logits) of each row's labels; `batch` is of `LabelWindows`."""
        # Attention looks back alone, so that no place before the padding sees it.
        stream = self.model.stream(batch.inputs)
        return self.head(stream[torch.arange(len(batch)), last_places(batch)])


@dataclass(frozen=True)
class LabelWindows:
    """Rows of tokens, each with its label where the next token would stand, then padding, of which `documents` is 1."""

    ids: Int64[np.ndarray, "B L"]
    documents: Int64[np.ndarray, "B L"] | None
    trained: None = None
    """All tokens count for who asks by token; nobody does here."""

    @classmethod
    def of(cls, rows: Sequence[tuple[Sequence[int], int]]) -> "LabelWindows":
        """From the tokens of each text and the number of its label."""
        longest = max(len(ids) for ids, _ in rows)
        padded = [[*ids, label, *[0] * (longest - len(ids))] for ids, label in rows]
        marks = [[0] * len(ids) + [1] * (longest + 1 - len(ids)) for ids, _ in rows]
        return cls(np.array(padded, dtype=np.int64), np.array(marks, dtype=np.int64))


@dataclass(frozen=True)
class LabelLoss:
    """Cross-entropy of the label, a mean over texts: an `Objective` of train's step."""

    classifier: Classifier

    def loss(self, batch: Batch) -> Tensor:
        """Nats of surprise at a text's label."""
        places = last_places(batch)
        labels = batch.targets[torch.arange(len(batch)), places]
        return nn.functional.cross_entropy(self.classifier(batch).float(), labels)

    def counted(self, windows: WindowsLike, rows: slice = ALL) -> int:
        """Texts."""
        return len(windows.ids[rows])


def last_places(batch: Batch) -> Tensor:
    """The place of each row's last token that is no padding."""
    assert batch.documents is not None
    return (batch.documents == 0).sum(dim=1) - 1


def encoded(tokenizer: Tokenizer, texts: Sequence[str], context_length: int) -> tuple[list[list[int]], int]:
    """The tokens of each text behind an end-of-text, as in pretraining, and how many texts were cut at their end."""
    rows = [[tokenizer.end_of_text, *ids.tolist()] for ids in tokenizer.encode_batch(list(texts))]
    return [row[:context_length] for row in rows], sum(len(row) > context_length for row in rows)


def shuffled_batches(rows: Sequence[tuple[list[int], int]], size: int, seed: int) -> Iterator[LabelWindows]:
    """All rows once, in an order that the seed decides, in batches of rows of about one length."""
    dice = Random(seed)  # noqa: S311  # an order that can be had again, no secret
    order = list(range(len(rows)))
    dice.shuffle(order)
    batches = list[list[int]]()
    for at in range(0, len(order), size * SORTED_TOGETHER):
        together = sorted(order[at : at + size * SORTED_TOGETHER], key=lambda place: len(rows[place][0]))
        batches += [together[start : start + size] for start in range(0, len(together), size)]
    dice.shuffle(batches)
    return (LabelWindows.of([rows[place] for place in batch]) for batch in batches)


def _all(model: GPT, rank: int, seed: int) -> None:
    model.requires_grad_(True)


def _last(model: GPT, rank: int, seed: int) -> None:
    """As in LLMs-from-scratch, chapter 6."""
    model.requires_grad_(False)
    model.blocks[-1].requires_grad_(True)
    model.final_norm.requires_grad_(True)


def _lora(model: GPT, rank: int, seed: int) -> None:
    add_lora(model, LoraSettings(rank), seed, name="classifier")


# What learns besides the head.
WAYS: Mapping[str, Callable[[GPT, int, int], None]] = {"all": _all, "last": _last, "lora": _lora}


def predictions(classifier: Classifier, rows: Sequence[list[int]], size: int = 32) -> list[int]:
    """The number of the likeliest label of each text."""
    return [max(range(len(shares)), key=shares.__getitem__) for shares in label_shares(classifier, rows, size)]


@torch.no_grad()
def label_shares(classifier: Classifier, rows: Sequence[list[int]], size: int = 32) -> list[list[float]]:
    """The probability of each label, by its number, of each text."""
    classifier.eval()
    order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
    found = [list[float]()] * len(rows)
    device = classifier.head.weight.device
    for at in range(0, len(order), size):
        places = order[at : at + size]
        batch = Batch.of(LabelWindows.of([(rows[place], 0) for place in places]), device=device)
        shares = classifier(batch).double().softmax(dim=1).tolist()
        for place, each in zip(places, shares, strict=True):
            found[place] = each
    return found
