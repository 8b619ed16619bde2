"""Each silent fault of fine-tuning is planted, and caught before the first step."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from finetune.test_packing import network, some

from chainrule.base import DataError, TrainingError
from chainrule.finetune.checks import CHECKS, Prepared, check
from chainrule.finetune.examples import Taught, Writing, taught
from chainrule.finetune.grow import grown, with_own_template
from chainrule.finetune.packing import packed
from chainrule.finetune.probe import overfit
from chainrule.finetune.rows import Talk
from chainrule.tokenizer import OWN_TEMPLATE, ChatTemplate
from chainrule.tokenizer.train import byte_tokenizer

WORDS, TEMPLATE = with_own_template(byte_tokenizer())


def prepared(examples: list[Taught] | None = None, **more: Any) -> Prepared:
    made = some(12) if examples is None else examples
    held = [replace(one, ids=np.append(one.ids, 10), trained=np.append(one.trained, False)) for one in some(2)]
    embedding = torch.ones(WORDS.vocab_size, 4)
    whole = Prepared(made, held, packed(made, 95, 0), WORDS, TEMPLATE, embedding, len(made) + 2)
    return replace(whole, **more)


def but_one(change: Any) -> Prepared:
    examples = some(12)
    return prepared([change(examples[0]), *examples[1:]])


def nothing_learnt(example: Taught) -> Taught:
    return replace(example, trained=np.zeros(len(example), bool))


def all_learnt(example: Taught) -> Taught:
    return replace(example, trained=np.ones(len(example), bool))


def end_not_learnt(example: Taught) -> Taught:
    trained = example.trained.copy()
    trained[list(example.ends)] = False
    return replace(example, trained=trained)


def learnt_past_the_end(example: Taught) -> Taught:
    trained = example.trained.copy()
    trained[-1] = True
    return replace(example, trained=trained, ends=(len(example) - 1,))


def begins_twice(example: Taught) -> Taught:
    first = example.ids[:1]
    return replace(example, ids=np.concatenate([first, example.ids]), trained=np.append(False, example.trained))


def other_template(source: str) -> ChatTemplate:
    return replace(TEMPLATE, source=source)


def hidden_end() -> frozenset[int]:
    return frozenset((WORDS.end_of_text,))


def without_row() -> torch.Tensor:
    embedding = torch.ones(WORDS.vocab_size, 4)
    embedding[WORDS.control_tokens["<|im_end|>"]] = 0
    return embedding


PLANTED: list[tuple[str, Any, str]] = [
    ("few_left_out", lambda: prepared(left_out=["a.jsonl:3: too long"] * 2), "2 of 14 rows"),
    ("few_left_out", lambda: prepared([], left_out=["a.jsonl:3: too long"], n_rows=1), "may be left out"),
    ("something_is_learnt", lambda: but_one(nothing_learnt), "no token of it is learnt"),
    ("prompts_are_not_learnt", lambda: but_one(all_learnt), "the user's words too"),
    ("the_end_is_learnt", lambda: but_one(end_not_learnt), "would never learn to end"),
    ("the_end_is_learnt", lambda: but_one(learnt_past_the_end), "at which generation does not stop"),
    ("the_end_is_learnt", lambda: prepared(template=replace(TEMPLATE, stop=hidden_end())), "does not stop"),
    ("one_beginning", lambda: but_one(begins_twice), "twice"),
    (
        "the_template_is_this_models",
        lambda: prepared(template=other_template(OWN_TEMPLATE.replace("<|im_start|>", "<|start_header_id|>"))),
        "template of another model",
    ),
    (
        "the_template_is_this_models",
        lambda: prepared(template=other_template("{% set system = none %}{{ system }}" + OWN_TEMPLATE)),
        "writes 'None'",
    ),
    ("nothing_is_in_both", lambda: prepared(held_out=some(1)), "held-out examples are learnt too"),
    ("every_token_has_a_row", lambda: prepared(embedding=without_row()), "embedding of zeros"),
]


def test_examples_that_are_well_pass() -> None:
    check(prepared())


@pytest.mark.parametrize(("name", "make", "message"), PLANTED)
def test_a_planted_fault_is_caught_by_its_check(name: str, make: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        CHECKS[name](make())
    with pytest.raises(DataError):
        check(make())


def test_every_check_has_a_planted_fault() -> None:
    assert {name for name, _, _ in PLANTED} == set(CHECKS)


def test_a_window_in_which_nothing_is_learnt_is_caught() -> None:
    whole = prepared()
    trained = whole.packed.trained.copy()
    trained[0] = False
    with pytest.raises(DataError, match="1 windows have no learnt token"):
        check(replace(whole, packed=replace(whole.packed, trained=trained)))


def talks() -> list[Taught]:
    pairs = [("red", "warm"), ("blue", "cold"), ("green", "fresh"), ("black", "dark")]
    messages = [({"role": "user", "content": q}, {"role": "assistant", "content": a}) for q, a in pairs]
    return [taught(Talk(one, "x"), Writing(WORDS, TEMPLATE, 96)) for one in messages]


def test_a_sound_setup_passes_the_overfit_probe() -> None:
    result = overfit(network(), talks(), TEMPLATE.stop, n_choices=WORDS.vocab_size)
    assert (result.n_rows, result.n_exact, result.n_stopped) == (4, 4, 4)
    assert "4 of 4 rows answered word for word and stopped" in result.sentence


def test_the_probe_finds_an_end_at_which_generation_does_not_stop() -> None:
    with pytest.raises(TrainingError, match="they do not stop"):
        overfit(network(), talks(), frozenset((WORDS.end_of_text,)), n_choices=WORDS.vocab_size)


def test_the_probe_finds_a_mask_that_leaves_out_a_part_of_the_answers() -> None:
    def later(example: Taught) -> Taught:
        trained = example.trained.copy()
        trained[np.flatnonzero(trained)[0]] = False
        prompt = replace(example, trained=trained)
        return prompt

    # What is asked for is then the second letter on, from a prompt that ends inside the answer: known, but the served
    # prompt differs. The examples' own questions are asked here, so plant it where the answer has a hole.
    def holed(example: Taught) -> Taught:
        trained = example.trained.copy()
        trained[np.flatnonzero(trained)[-2]] = False
        return replace(example, trained=trained, ends=(int(np.flatnonzero(trained)[-2]),))

    with pytest.raises(TrainingError, match=r"they do not stop|other answers"):
        overfit(network(), [holed(later(one)) for one in talks()], TEMPLATE.stop, n_choices=WORDS.vocab_size)


def test_the_probe_finds_weights_that_are_not_trained() -> None:
    model = network()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    model.final_norm.weight.requires_grad_(True)
    with torch.no_grad():
        model.token_embedding.weight.zero_()
    with pytest.raises(TrainingError, match="learnt nothing"):
        overfit(model, talks(), TEMPLATE.stop, n_choices=WORDS.vocab_size, most_seconds=3)


def test_new_rows_are_near_the_mean_of_the_others_and_differ() -> None:
    state = {"token_embedding.weight": torch.randn(257, 64), "blocks.0.x": torch.ones(3)}
    made = grown(state, 257, 259, seed=0)
    rows = made["token_embedding.weight"]
    assert torch.equal(rows[:257], state["token_embedding.weight"]) and rows.shape == (259, 64)
    assert torch.equal(made["blocks.0.x"], state["blocks.0.x"])
    distance = torch.linalg.vector_norm(rows[257:] - rows[:257].mean(0), dim=1)
    assert (distance > 0).all() and (distance < 2).all() and not torch.equal(rows[257], rows[258])
    assert torch.equal(grown(state, 257, 259, seed=0)["token_embedding.weight"], rows)
    padded = {"token_embedding.weight": torch.cat([state["token_embedding.weight"], torch.zeros(10, 64)])}
    assert grown(padded, 257, 259, seed=0)["token_embedding.weight"].shape == (267, 64)
