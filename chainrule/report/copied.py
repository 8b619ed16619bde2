"""How much of the last samples stands word for word in the training text."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from chainrule.base import ChainruleError
from chainrule.data import TokenStore, run_dataset
from chainrule.evaluate import Copy, as_much_as, doubled, longest_copies
from chainrule.run import Completion, Facts, Sample, sealed_path
from chainrule.tokenizer import Tokenizer, load_tokenizer

MOST_SAMPLES = 12
# The first part is searched whatever it takes, so it is small. The most tokens of a usual text take ten seconds, and
# after a minute of any other there is enough to judge by.
MOST_TOKENS, FIRST_TOKENS, USUAL_SECONDS = 200_000_000, 2**15, 60.0
# In characters rather than tokens, so that runs with different vocabularies can be compared: two thirds of a line of
# code is a phrase that anybody might write, two full lines are not.
SEED_BYTES, RUN_BYTES = 24, 120


@dataclass(frozen=True)
class CopiedSample:
    """A sample cut into stretches: (text, whether it is copied), and where its longest match stands."""

    prompt: str
    stretches: tuple[tuple[str, bool], ...]
    longest: str
    source: str
    copy: Copy


@dataclass(frozen=True)
class Copied:
    """The search's result, or in `why_not` the reason that there is none."""

    samples: tuple[CopiedSample, ...] = ()
    min_run: int = 0
    searched_tokens: int = 0
    whole: bool = True
    why_not: str = ""

    @property
    def share(self) -> float:
        """Share of all tokens of the samples that lie in copied runs."""
        sizes = [max(1, sum(len(text) for text, _ in sample.stretches)) for sample in self.samples]
        return float(np.average([sample.copy.share for sample in self.samples], weights=sizes)) if sizes else 0.0


def search_copies(facts: Facts, seconds: float = USUAL_SECONDS) -> Copied:
    """Looks for the run's last samples in its own training shards, in as much of them as there are `seconds` for.

    Says why when it cannot.
    """
    texts = list(_texts(facts))
    if not texts:
        return Copied(why_not="The run has written no samples.")
    try:
        tokenizer = load_tokenizer(sealed_path(facts.run, facts.run.tokenizer))
        text = run_dataset(facts.run)
        text.check_tokenizer(tokenizer.fingerprint, str(facts.run.tokenizer))
        store = text.split("train")
        return _search(texts, tokenizer, store, seconds)  # a shard is compared with its checksums where it is read
    except (ChainruleError, OSError) as fault:
        return Copied(why_not=f"The training text could not be searched: {fault}")


def _texts(facts: Facts) -> Iterator[tuple[str, str]]:
    """(prompt, continuation) of the completions, then of the last round of samples; each text once."""
    last = max((row.step for row in facts.samples), default=None)
    rows: list[Completion | Sample] = [*facts.summary.completions, *(row for row in facts.samples if row.step == last)]
    seen: set[tuple[str, str]] = set()
    for prompt, written in ((row.prompt, row.text) for row in rows):
        if written.strip() and (prompt, written) not in seen and len(seen) < MOST_SAMPLES:
            seen.add((prompt, written))
            yield prompt, written


def _search(texts: list[tuple[str, str]], tokenizer: Tokenizer, store: TokenStore, seconds: float) -> Copied:
    samples = [tokenizer.encode(_whole(prompt + written)) for prompt, written in texts]
    some = store.read(0, min(store.n_tokens, 65_536))
    bytes_per_token = max(1.0, float(tokenizer.byte_lengths[some].mean()))
    seed, min_run = (max(4, round(n / bytes_per_token)) for n in (SEED_BYTES, RUN_BYTES))

    def search(n_tokens: int, check: Callable[[], None]) -> list[Copy]:
        return longest_copies(samples, store, min_run=min_run, seed=seed, max_tokens=n_tokens, check=check)

    most = min(store.n_tokens, MOST_TOKENS)
    searched, copies = as_much_as(seconds, doubled(FIRST_TOKENS, most), search)
    shown = [
        _shown(prompt, sample, copy, tokenizer, store)
        for (prompt, _), sample, copy in zip(texts, samples, copies, strict=True)
    ]
    return Copied(tuple(shown), min_run, searched, searched == store.n_tokens)


def _shown(prompt: str, sample: list[int], copy: Copy, tokenizer: Tokenizer, store: TokenStore) -> CopiedSample:
    edges = [0, *(edge for stretch in copy.copied for edge in stretch), len(sample)]
    pieces = [tokenizer.decode(sample[a:b]) for a, b in pairwise(edges)]
    stretches = tuple((piece, place % 2 == 1) for place, piece in enumerate(pieces) if piece)
    longest = tokenizer.decode(sample[copy.start : copy.start + copy.length])
    return CopiedSample(prompt, stretches, longest, _source(store, copy), copy)


def _source(store: TokenStore, copy: Copy) -> str:
    """The source, and the document's number among the training documents, in which the longest match stands."""
    if not copy.length:
        return ""
    number, source = store.document_at(copy.position)
    return f"document {number + 1:,}" + (f" ({source})" if source else "")


def _whole(text: str) -> str:
    """The text with half characters (lone surrogates) as question marks: the tokenizer takes none."""
    return text.encode(errors="replace").decode()
