"""Prompts out of held-out text: beginnings of its sentences, and none of code."""

from pathlib import Path

import numpy as np
import pytest

from chainrule.config.quickstart import QUICKSTARTS
from chainrule.config.schema import PROMPTS
from chainrule.data import TokenStore
from chainrule.data.mapped import Shard
from chainrule.tokenizer.train import byte_tokenizer
from chainrule.train import prompts
from chainrule.train.prompts import fitting_prompts, held_out_prompts

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


CHINESE = [f"第{number}天的天气很好，我们一起去公园散步。孩子们在草地上玩耍。\n" for number in "一二三四五六七八九十"]
ARABIC = [
    f"{word} الطقس جميل جدا وذهبنا جميعا إلى الحديقة لنتمشى.\n" for word in ["اليوم", "أمس", "غدا", "صباحا", "مساء"]
]


@pytest.mark.parametrize("lines", [CHINESE, ARABIC], ids=["Chinese", "Arabic"])
def test_every_language_gives_beginnings_of_its_own(lines: list[str]) -> None:
    text = "".join(lines) * 20
    found = fitting_prompts(store_of(text), WORDS)
    assert found and len(set(found)) == 3
    assert all(prompt in text and prompt == prompt.strip() and 3 <= len(prompt) <= 40 for prompt in found)


def test_code_gives_beginnings_of_its_lines() -> None:
    text = Path(prompts.__file__).read_text()
    found = fitting_prompts(store_of(text), WORDS)
    assert found and all(f"\n{prompt}" in text.replace("\n    ", "\n") or prompt in text for prompt in found)


def test_no_default_prompt_ends_with_a_blank() -> None:
    assert not any(prompt.endswith(" ") for prompt in (*PROMPTS, *sum(QUICKSTARTS.values(), ())))
