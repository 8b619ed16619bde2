"""What a run wrote at its end: shown up to its last whole sentence or function, and judged as a whole."""

from collections.abc import Sequence

from chainrule.data import Dataset
from chainrule.evaluate import excerpts, sample_quality, up_to_its_end, words_of
from chainrule.generate import Completion as Written
from chainrule.run import Completion, Quality, TextQuality
from chainrule.tokenizer import Tokenizer

HELD_OUT_TEXTS = 12


def shown(done: Sequence[Written]) -> tuple[Completion, ...]:
    """Prompt and text of each completion; `cut` counts the characters behind the end that the length cut off."""
    ended = [up_to_its_end(one.prompt, one.text) if one.finish == "length" else one.text for one in done]
    pairs = zip(done, ended, strict=True)
    return tuple(Completion(text, one.prompt, len(one.text) - len(text)) for one, text in pairs)


def judged(done: Sequence[Written], dataset: Dataset, tokenizer: Tokenizer) -> Quality:
    """The quality of the texts, and of held-out text of the same length, by the training text's own words.

    The texts are judged whole, with what the length cut off, as the held-out ones are.
    """
    known = words_of(dataset.split("train"), tokenizer)
    length = max(16, max((len(one.ids) for one in done), default=0))
    people = excerpts(dataset.split("validation"), tokenizer, count=HELD_OUT_TEXTS, n_tokens=length)
    own = sample_quality([one.text for one in done], known)
    held_out = TextQuality(**sample_quality(people, known).figures())
    return Quality(**own.figures(), word_list=len(known), held_out=held_out)
