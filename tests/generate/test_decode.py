"""Laws of rows that come and go: each writes what it would write alone, and no token is read twice."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from chainrule.base import ModelError
from chainrule.config import ModelConfig
from chainrule.generate import Rule, Temperature, sampling_rules
from chainrule.generate.decode import Decoder
from chainrule.model import GPT

CONTEXT, VOCABULARY = 40, 61
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "n_kv_heads": 2}
FAMILIES: dict[str, dict[str, Any]] = {"gpt2": {}, "llama": MODERN}
GREEDY = (Temperature(0),)
SAMPLED = sampling_rules(temperature=0.9, top_k=30, top_p=0.95, repetition_penalty=1.2)
each_family = pytest.mark.parametrize("family", FAMILIES)


def model(family: str = "gpt2", context_length: int = CONTEXT) -> GPT:
    shape = {"vocab_size": VOCABULARY, "context_length": context_length, "emb_dim": 32, "n_heads": 4, "n_layers": 2}
    made = GPT(ModelConfig(**shape, **FAMILIES[family])).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * (0.4 if parameter.dim() > 1 else 1.0))
    return made


def decoder(network: GPT, n_rows: int = 4) -> Decoder:
    return Decoder(network, n_rows, CONTEXT, n_choices=VOCABULARY)


def prompt(length: int, seed: int) -> list[int]:
    return random.Random(seed).choices(range(VOCABULARY), k=length)


def alone(network: GPT, ids: list[int], count: int, **settings: Any) -> list[int]:
    writer = decoder(network, 1)
    row = writer.admit(ids, **settings)
    return [writer.step()[row] for _ in range(count)]


class Seen:
    """A rule that changes nothing, and keeps the scores by the text that they go on from."""

    def __init__(self) -> None:
        self.scores: dict[tuple[int, ...], Tensor] = {}

    def apply(self, logits: Tensor, ids: Tensor) -> Tensor:
        self.scores |= dict(zip(map(tuple, ids.tolist()), logits.clone(), strict=True))
        return logits


@contextmanager
def counted(network: GPT) -> Iterator[list[int]]:
    """The numbers of tokens that the model reads inside, pass by pass."""
    passes: list[int] = []
    hook = network.token_embedding.register_forward_hook(lambda _module, given, _made: passes.append(given[0].numel()))
    yield passes
    hook.remove()


def written_in_turmoil(network: GPT, texts: list[tuple[list[int], int, Any]], seed: int) -> list[list[int]]:
    """Writes each text (its prompt, its count, its settings) in a batch where they begin and end at any time."""
    dice, writer = random.Random(seed), decoder(network, 3)
    waiting, rows, done = list(range(len(texts))), dict[int, int](), [list[int]() for _ in texts]
    while waiting or rows:
        while waiting and writer.n_free and dice.random() < 0.6:
            text = waiting.pop(0)
            ids, _, settings = texts[text]
            rows[writer.admit(ids, **settings)] = text
        for row, token in writer.step().items():
            done[rows[row]].append(token)
        for row, text in list(rows.items()):
            if len(done[text]) == texts[text][1]:
                writer.release(row)
                del rows[row]
    return done


@each_family
@pytest.mark.parametrize("seed", range(3))
def test_a_text_alone_is_the_text_in_a_batch_where_others_come_and_go(family: str, seed: int) -> None:
    network, dice = model(family), random.Random(seed)
    rules: list[tuple[Rule, ...]] = [GREEDY, SAMPLED, ()]
    texts = [
        (prompt(dice.randint(1, 30), one), dice.randint(1, 50), {"rules": dice.choice(rules), "seed": one})
        for one in range(9)
    ]
    assert written_in_turmoil(network, texts, seed) == [
        alone(network, ids, count, **settings) for ids, count, settings in texts
    ]


@each_family
def test_the_scores_in_such_a_batch_are_those_of_the_whole_text_from_scratch(family: str) -> None:
    network, seen = model(family), Seen()
    texts = [(prompt(length, length), 12, {"rules": (seen, *GREEDY)}) for length in (3, 20, 11, 7, 1, 28)]
    written_in_turmoil(network, texts, 0)
    assert len(seen.scores) == 6 * 12
    for ids, scores in seen.scores.items():
        with torch.no_grad():
            whole = network(torch.tensor([ids]))[0, -1]
        torch.testing.assert_close(scores, whole, atol=1e-5, rtol=1e-5)


@each_family
def test_a_second_turn_reads_its_own_tokens_alone_and_writes_what_the_whole_text_would(family: str) -> None:
    network = model(family)
    writer = decoder(network, 1)
    first = prompt(10, 0)
    row = writer.admit(first, rules=GREEDY)
    answer = [writer.step()[row] for _ in range(5)]
    kept = writer.kept(row)
    writer.release(row)
    assert kept.ids == tuple(first + answer[:-1])
    whole = [*first, *answer, *prompt(6, 1)]
    row = writer.admit(whole, rules=GREEDY, prefix=kept)
    with counted(network) as passes:
        second = [writer.step()[row] for _ in range(4)]
    assert passes == [1 + 6, 1, 1, 1]  # the answer's last token had been drawn and not read
    assert second == alone(network, whole, 4, rules=GREEDY)


def test_a_prefix_serves_many_texts_as_far_as_they_begin_like_it() -> None:
    network = model()
    system = prompt(12, 0)
    texts = [[*system, *prompt(5, 1)], [*system[:7], *prompt(4, 2)], prompt(9, 3), system, system[:4]]
    first = decoder(network, 1)
    row = first.admit(system)
    first.step()
    kept = first.kept(row)
    assert [kept.n_shared(ids) for ids in texts] == [12, 7, 0, 11, 3]
    writer = decoder(network, 5)
    rows = [writer.admit(ids, rules=GREEDY, prefix=kept) for ids in texts]
    steps = [writer.step() for _ in range(12)]
    for row, ids in zip(rows, texts, strict=True):
        written = [step[row] for step in steps if row in step]
        assert written == alone(network, ids, len(written), rules=GREEDY) and len(written) >= 4


def test_a_newcomer_is_read_in_one_pass_and_writes_from_the_next_step_on() -> None:
    network = model()
    writer = decoder(network)
    old = writer.admit(prompt(4, 0))
    writer.step()
    new = writer.admit(prompt(21, 1))
    with counted(network) as passes:
        assert set(writer.step()) == {old, new}
        assert set(writer.step()) == {old, new}
    assert passes == [20, 2, 2]


def test_rows_that_begin_together_are_read_together() -> None:
    network = model()
    writer = decoder(network)
    rows = [writer.admit(prompt(length, length)) for length in (6, 8, 6)]
    with counted(network) as passes:
        assert [set(writer.step()) for _ in range(3)] == [{rows[0], rows[2]}, {rows[0], rows[2]}, set(rows)]
    assert passes == [18, 3, 3]


def test_what_is_released_makes_room_and_costs_nothing_more() -> None:
    network = model()
    writer = decoder(network, 3)
    rows = [writer.admit(prompt(5, seed)) for seed in range(3)]
    writer.step()
    writer.release(rows[0])
    assert writer.n_free == 1
    with counted(network) as passes:
        assert set(writer.step()) == set(rows[1:])
    assert passes == [2]
    assert writer.admit([1]) not in rows
    for row in (*rows[1:], 3):
        writer.release(row)
    assert writer.step() == {} and writer.n_free == 3


def test_a_row_that_forgets_its_older_half_disturbs_no_other() -> None:
    network = model(context_length=16)
    texts = [(prompt(length, length), 40, {"rules": GREEDY}) for length in (2, 9, 16, 5)]
    assert written_in_turmoil(network, texts, 1) == [alone(network, ids, 40, rules=GREEDY) for ids, _, _ in texts]
    writer = decoder(network, 1)
    row = writer.admit(prompt(16, 0))
    for _ in range(3):
        writer.step()
    assert len(writer.kept(row).ids) == 8 + 1  # of a full context of 16 the younger half, and what came after it


def test_what_does_not_fit_is_refused_with_a_remedy() -> None:
    writer = decoder(model(), 1)
    with pytest.raises(ModelError, match="a text of 41 tokens; give at least 1 and at most max_length=40"):
        writer.admit(prompt(41, 0))
    with pytest.raises(ModelError, match="a text of 0 tokens"):
        writer.admit([])
    row = writer.admit([1, 2])
    with pytest.raises(ModelError, match="all 1 rows are being written; release one"):
        writer.admit([3])
    writer.release(row)
    for ask in (writer.release, writer.kept):
        with pytest.raises(ModelError, match=f"row {row} is not being written"):
            ask(row)
