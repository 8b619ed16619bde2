"""Prompts out of held-out text: beginnings of its sentences, and none of code."""

from pathlib import Path

import numpy as np

from chainrule.data import TokenStore
from chainrule.data.mapped import Shard
from chainrule.tokenizer.train import byte_tokenizer
from chainrule.train import prompts
from chainrule.train.prompts import held_out_prompts

WORDS = byte_tokenizer()


def store_of(text: str) -> TokenStore:
    ids = np.array([*WORDS.encode(text), WORDS.end_of_text], np.uint16)
    return TokenStore([Shard(ids, np.array([len(ids)], np.uint64), np.zeros(1, np.uint32))], ("here",))


def test_prose_gives_beginnings_of_its_own_sentences() -> None:
    verbs = ["stands", "walks", "waits", "sleeps", "looks", "thinks", "sings"]
    text = "".join(f"{verb.title()} the bird beside the long river and the mill. " for verb in verbs * 30)
    found = held_out_prompts(store_of(text), WORDS)
    assert found and len(found) == 3 == len(set(found))
    for prompt in found:
        assert f". {prompt} " in text and len(prompt.split()) == 4
    assert found == held_out_prompts(store_of(text), WORDS)


def test_code_and_a_text_too_short_give_none() -> None:
    assert held_out_prompts(store_of(Path(prompts.__file__).read_text()), WORDS) is None
    assert held_out_prompts(store_of("One sentence."), WORDS) is None
