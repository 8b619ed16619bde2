"""Laws of generation: the batch equals one by one, the cache equals none, greedy equals transformers."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import transformers

from chainrule.base import ChainruleError, ConfigError, ModelError
from chainrule.checkpoint import to_hugging_face
from chainrule.config import ModelConfig
from chainrule.generate import Temperature, generate, sampling_rules, stream
from chainrule.generate.prompts import batches, row_seeds
from chainrule.generate.rules import TopK
from chainrule.generate.writing import tokens_cut
from chainrule.model import GPT
from chainrule.tokenizer import Tokenizer, train_bpe
from chainrule.tokenizer.train import byte_tokenizer

MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "n_kv_heads": 2}
FAMILIES: dict[str, dict[str, Any]] = {"gpt2": {}, "llama": MODERN, "qwen3": {**MODERN, "qk_norm": True}}
GREEDY = (Temperature(0),)
PROMPTS = ["The cat", "", "a much longer prompt than the others", "é😀", "x"]


def tokenizer() -> Tokenizer:
    return train_bpe(["the cat sat on the mat. the dog ate the cat's hat. a longer prompt. "] * 3, 300)


def model(family: str = "gpt2", vocab_size: int = 300, context_length: int = 48, seed: int = 0) -> GPT:
    """Weights so large that what it writes depends on all of the text before, and never settles."""
    shape = {"vocab_size": vocab_size, "context_length": context_length, "emb_dim": 32, "n_heads": 4, "n_layers": 2}
    made = GPT(ModelConfig(**shape, drop_rate=0.2, **FAMILIES[family]))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * (0.4 if parameter.dim() > 1 else 1.0))
    return made


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param


@torch.no_grad()
def by_hand(network: GPT, ids: list[int], count: int, n_choices: int) -> list[int]:
    """Greedy without a cache, one full pass for each token, inside the context."""
    network.eval()
    ids = list(ids)
    for _ in range(count):
        ids.append(int(network(torch.tensor([ids]))[0, -1, :n_choices].argmax()))
    return ids[-count:]


def test_greedy_is_the_argmax_of_full_passes(family: str) -> None:
    network, words = model(family), tokenizer()
    for prompt in PROMPTS:
        ids = words.encode(prompt) or [words.end_of_text]
        expected = by_hand(network, ids, 20, words.vocab_size)
        if words.end_of_text in expected:
            expected = expected[: expected.index(words.end_of_text)]
        assert list(generate(network, words, [prompt], max_new_tokens=20, rules=GREEDY)[0].ids) == expected


def test_greedy_equals_transformers_token_for_token(family: str) -> None:
    words = tokenizer()
    network = model(family, words.vocab_size)
    settings, tensors = to_hugging_face(network.config, network.state_dict())
    theirs = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(**settings)).eval()
    theirs.load_state_dict(tensors, strict=False)
    theirs.tie_weights()
    for ours in generate(network, words, PROMPTS, max_new_tokens=24, rules=GREEDY):
        ids = torch.tensor([words.encode(ours.prompt) or [words.end_of_text]])
        mask = torch.ones_like(ids)
        settings = {"do_sample": False, "eos_token_id": words.end_of_text, "pad_token_id": words.end_of_text}
        written = theirs.generate(ids, attention_mask=mask, max_new_tokens=24, **settings)[0, ids.shape[1] :].tolist()
        assert list(ours.ids) == [token for token in written if token != words.end_of_text]


@pytest.mark.parametrize("heal", [False, True])
@pytest.mark.parametrize(
    "rules", [(), GREEDY, sampling_rules(temperature=0.8, top_k=40, top_p=0.9, min_p=0.01, repetition_penalty=1.3)]
)
def test_a_batch_writes_what_each_prompt_gets_alone(family: str, rules: Any, heal: bool) -> None:
    network, words = model(family), tokenizer()
    settings = {"max_new_tokens": 70, "rules": rules, "seed": 5, "stop": ["th"], "heal": heal}  # past the context of 48
    together = generate(network, words, PROMPTS, **settings)
    assert together == [generate(network, words, [prompt], **settings)[0] for prompt in PROMPTS]
    assert [done.prompt for done in together] == PROMPTS


def test_prompts_of_very_different_lengths_are_batched_apart_and_keep_their_order() -> None:
    words = byte_tokenizer()
    network = model(vocab_size=words.vocab_size, context_length=512)
    prompts = ["a" * 300, "b", "c" * 200, "d" * 290]
    together = generate(network, words, prompts, max_new_tokens=5)
    assert together == [generate(network, words, [prompt], max_new_tokens=5)[0] for prompt in prompts]


def test_a_stream_gives_the_same_text_in_pieces(family: str) -> None:
    network, words = model(family), tokenizer()
    for prompt in PROMPTS:
        whole = generate(network, words, [prompt], max_new_tokens=60, seed=2, stop=["e "])[0].text
        pieces = list(stream(network, words, prompt, max_new_tokens=60, seed=2, stop=["e "]))
        assert "".join(pieces) == whole and all(pieces)


def test_the_seed_decides_and_copies_of_a_prompt_differ() -> None:
    network, words = model(), tokenizer()
    first = generate(network, words, ["The", "The"], max_new_tokens=20, seed=1)
    assert first == generate(network, words, ["The", "The"], max_new_tokens=20, seed=1)
    assert first[0].ids != first[1].ids
    assert first[0].ids != generate(network, words, ["The"], max_new_tokens=20, seed=2)[0].ids


def test_training_goes_on_as_if_nothing_had_been_written() -> None:
    network, words = model(), tokenizer()
    network.train()
    before = torch.get_rng_state()
    generate(network, words, ["The"], max_new_tokens=5)
    next(stream(network, words, "The", max_new_tokens=5))
    assert network.training and torch.equal(torch.get_rng_state(), before)
    assert all(not parameter.is_inference() for parameter in network.parameters())


def pinned(words: Tokenizer, *order: int) -> GPT:
    """A model that writes the ids of `order` one after the other, whatever came before, then the last for ever."""
    network = model(vocab_size=words.vocab_size, context_length=64)
    start = words.end_of_text
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.final_norm.weight.fill_(1.0)
        # Place p shows direction p, and the head maps it to the id that is wanted there.
        for place in range(31):
            network.position_embedding.weight[place, place] = 1.0
            network.position_embedding.weight[place, 31] = -1.0
            wanted = order[min(place, len(order) - 1)]
            network.token_embedding.weight[wanted, place] += 1e-3
    assert start < words.vocab_size
    return network


def test_end_of_text_ends_the_text_and_is_no_part_of_it() -> None:
    words = byte_tokenizer()
    ids = [*words.encode("ok"), words.end_of_text]
    done = generate(pinned(words, *ids), words, [""], max_new_tokens=20, rules=GREEDY)[0]
    assert (done.text, done.finish, done.ids) == ("ok", "end", tuple(ids[:2]))


def test_a_stop_string_across_token_borders_is_found_and_left_out() -> None:
    words = byte_tokenizer()
    network = pinned(words, *words.encode("one\n\ntwo\n\n"))
    done = generate(network, words, [""], max_new_tokens=20, rules=GREEDY, stop=["\n\n", "zzz"])[0]
    assert (done.text, done.finish) == ("one", "stop")
    assert list(stream(network, words, "", max_new_tokens=20, rules=GREEDY, stop=["\n\n"])) == ["o", "n", "e"]


def test_a_character_of_several_tokens_comes_in_one_piece() -> None:
    words = byte_tokenizer()
    network = pinned(words, *words.encode("ä😀!"))
    assert list(stream(network, words, "", max_new_tokens=7, rules=GREEDY)) == ["ä", "😀", "!"]
    cut = generate(network, words, [""], max_new_tokens=4, rules=GREEDY)[0]
    assert (cut.text, cut.finish) == ("ä\ufffd", "length")


def test_past_the_context_the_younger_half_is_read_again() -> None:
    network, words = model(context_length=16), tokenizer()
    ids = words.encode("The cat sat on")
    expected = [*ids, *by_hand(network, ids, 17 - len(ids), 300)]  # the 17th token comes from a full context
    while len(expected) < 17 + 8:
        expected += by_hand(network, expected[9:], 1, 300)
    written = generate(network, words, ["The cat sat on"], max_new_tokens=25 - len(ids), rules=GREEDY)[0].ids
    assert [*ids, *written] == expected[: len(ids) + len(written)] and len(written) > 12


def test_rows_of_a_padded_vocabulary_are_never_drawn() -> None:
    words = tokenizer()
    network = model(vocab_size=512)
    for done in generate(network, words, PROMPTS, max_new_tokens=40, rules=(Temperature(50.0),)):
        assert max(done.ids, default=0) < words.vocab_size


def test_of_a_prompt_longer_than_the_context_the_end_is_read_and_the_cut_is_told(family: str) -> None:
    network, words = model(family, context_length=16), tokenizer()
    ids = words.encode("The cat sat on the mat. " * 9)
    kept = words.decode(ids[-16:])
    assert words.encode(kept) == ids[-16:]
    done = generate(network, words, ["The cat sat on the mat. " * 9, kept], max_new_tokens=12, rules=GREEDY)
    assert done[0].ids == done[1].ids and (done[0].n_cut, done[1].n_cut) == (len(ids) - 16, 0)
    assert tokens_cut(network, words, done[0].prompt) == len(ids) - 16
    assert "".join(stream(network, words, done[0].prompt, max_new_tokens=12, rules=GREEDY)) == done[0].text


def test_the_seeds_of_many_copies_are_made_in_one_pass() -> None:
    prompts = ["a", "b"] * 100_000  # counted anew for each, this would take minutes
    seeds = row_seeds(prompts, 3)
    assert seeds[:2] == [seeds[0], seeds[0]] and len(set(seeds)) == 100_000
    assert row_seeds(["b"], 3) == seeds[:1] != row_seeds(["b"], 4)


def test_a_batch_has_no_more_rows_than_its_cache_has_room_for() -> None:
    config = model().config
    assert [len(rows) for rows in batches(config, [5] * 130, 10)] == [64, 64, 2]
    large = ModelConfig(vocab_size=300, context_length=2**17, emb_dim=1024, n_heads=16, n_layers=16)
    assert {len(rows) for rows in batches(large, [5] * 5, 1000)} == {5}
    assert {len(rows) for rows in batches(large, [5] * 5, 2**17)} == {1}


def test_no_prompts_give_no_completions() -> None:
    assert generate(model(), tokenizer(), []) == []


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"max_new_tokens": 10**9}, ConfigError, "10,000,000 of one call; ask for fewer tokens or copies"),
        ({"max_new_tokens": 20_000, "prompts": ["The"] * 600}, ConfigError, "600 texts of up to 20,000 tokens"),
        ({"max_new_tokens": 0}, ConfigError, "at least 1"),
        ({"max_new_tokens": -5}, ConfigError, "at least 1"),
        ({"stop": ["", "x"]}, ConfigError, "non-empty strings"),
        ({"stop": "abc"}, ConfigError, "list of non-empty strings"),
        ({"prompts": ["\ud800"]}, ChainruleError, "surrogate"),
    ],
)
def test_bad_settings_are_refused_with_a_remedy(change: dict[str, Any], error: type[Exception], message: str) -> None:
    settings = {"prompts": ["The"], "max_new_tokens": 5, "stop": [], **change}
    prompts = settings.pop("prompts")
    with pytest.raises(error, match=message):
        generate(model(), tokenizer(), prompts, **settings)
    if len(prompts) == 1:
        with pytest.raises(error, match=message):
            stream(model(), tokenizer(), prompts[-1], **settings)


def test_a_tokenizer_with_more_ids_than_the_model_is_refused() -> None:
    with pytest.raises(ModelError, match="vocab_size=100"):
        generate(model(vocab_size=100), tokenizer(), ["é"])


def test_scores_that_are_no_numbers_are_said() -> None:
    network = model()
    torch.nn.init.constant_(network.final_norm.weight, float("nan"))
    with pytest.raises(ModelError, match="NaN"):
        generate(network, tokenizer(), ["The"], rules=(TopK(3),))


def test_one_prompt_is_one_text() -> None:
    network, words = model(), tokenizer()
    (alone,) = generate(network, words, "Once upon", max_new_tokens=4, seed=3)
    (listed,) = generate(network, words, ["Once upon"], max_new_tokens=4, seed=3)
    assert alone == listed and str(alone) == "Once upon" + alone.text
