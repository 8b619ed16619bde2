"""Examples as they will be learnt, from the tensors themselves: stretches that are learnt and that are not."""

from dataclasses import dataclass
from itertools import groupby

from chainrule.finetune.examples import Taught
from chainrule.tokenizer import Tokenizer


@dataclass(frozen=True)
class Span:
    """A stretch of an example."""

    text: str
    """As it reads; a control token as its word."""
    learnt: bool
    control: bool = False
    n_tokens: int = 1


def spans(example: Taught, tokenizer: Tokenizer) -> list[Span]:
    """The example in order; their `n_tokens` add up to its length. The text is raw: print it by `show.printable`."""
    words = {number: word for word, number in tokenizer.control_tokens.items()}
    marked = zip(example.ids.tolist(), example.trained.tolist(), strict=True)
    found: list[Span] = []
    for (learnt, control), group in groupby(marked, key=lambda one: (one[1], one[0] in words)):
        ids = [number for number, _ in group]
        if control:
            found += [Span(words[number], learnt, control=True) for number in ids]
        else:
            found.append(Span(tokenizer.decode(ids), learnt, n_tokens=len(ids)))
    return found
