"""Laws of token healing: not a byte is lost or added, and a prompt may end anywhere."""

import pytest
import torch

from chainrule.config import ModelConfig
from chainrule.generate import Temperature, generate, sampling_rules, stream
from chainrule.generate.healing import beginning_with, taken_back
from chainrule.model import GPT
from chainrule.tokenizer import Tokenizer, train_bpe
from chainrule.tokenizer.train import byte_tokenizer

CODE = (
    "def read(path):\n    return path\n\n\ndef write(path, text):\n    if text:\n        return path\n    return text\n"
    * 4
)
PROMPTS = [
    "def ",
    "def",
    "\n\ndef ",
    "a def wr",
    "def read(path):\n    ",
    "def read(path):\n",
    "é",
    "a é",
    " ",
    "",
    "x  ",
]


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return train_bpe([CODE], 330)


@pytest.fixture(scope="module")
def network(words: Tokenizer) -> GPT:
    shape = {"vocab_size": words.vocab_size, "context_length": 32, "emb_dim": 32, "n_heads": 4, "n_layers": 2}
    made = GPT(ModelConfig(**shape)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * (0.4 if parameter.dim() > 1 else 1.0))
    return made


@pytest.mark.parametrize("rules", [(Temperature(0),), sampling_rules(temperature=1.5, min_p=0.01)])
def test_a_healed_text_is_the_prompt_and_what_comes_after_it_to_the_byte(
    network: GPT, words: Tokenizer, rules: tuple[Temperature, ...]
) -> None:
    healed_ones = 0
    for done in generate(network, words, PROMPTS, max_new_tokens=20, rules=rules, heal=True):
        ids, owed = taken_back(words, done.prompt)
        assert words.decode_bytes(ids) + owed == done.prompt.encode()
        drawn = words.decode_bytes(done.ids)
        assert drawn.startswith(owed) and drawn[len(owed) :].decode(errors="replace") == done.text
        healed_ones += bool(owed)
        if done.finish == "length":
            assert 20 <= len(done.ids) <= 21
        whole = stream(network, words, done.prompt, max_new_tokens=20, rules=rules, heal=True)
        assert "".join(whole) == done.text or done.prompt == ""
    assert healed_ones >= 6


def test_the_first_token_is_the_likeliest_of_those_that_begin_with_what_was_taken_back(
    network: GPT, words: Tokenizer
) -> None:
    for prompt in PROMPTS:
        ids, owed = taken_back(words, prompt)
        if not owed:
            continue
        with torch.no_grad():
            scores = network(torch.tensor([ids]))[0, -1]
        wanted = [number for number, content in enumerate(words.token_bytes) if content.startswith(owed)]
        assert sorted(beginning_with(words, owed)) == wanted
        likeliest = max(wanted, key=lambda number: float(scores[number]))
        assert (
            generate(network, words, [prompt], max_new_tokens=3, rules=[Temperature(0)], heal=True)[0].ids[0]
            == likeliest
        )


def pairs_of(words: Tokenizer, text: str) -> GPT:
    """A network that knows of each token how often which one comes after it in the text, and nothing else."""
    width = 4 * (words.vocab_size // 4 + 1)
    shape = {"vocab_size": words.vocab_size, "context_length": 64, "emb_dim": width, "n_heads": 4, "n_layers": 1}
    made = GPT(ModelConfig(**shape, tied_embeddings=False, drop_rate=0.0)).eval()
    ids = torch.tensor(words.encode(text))
    counts = torch.zeros(words.vocab_size, words.vocab_size)
    counts.index_put_((ids[1:], ids[:-1]), torch.ones(len(ids) - 1), accumulate=True)
    with torch.no_grad():
        for parameter in made.blocks.parameters():
            parameter.zero_()
        made.position_embedding.weight.zero_()
        made.token_embedding.weight.copy_(torch.eye(words.vocab_size, width))
        made.head.weight.zero_()[:, : words.vocab_size] = counts.log1p()
    return made


def test_a_prompt_that_ends_in_a_space_or_within_a_word_is_no_trap(words: Tokenizer) -> None:
    made = pairs_of(words, CODE)

    def whole(prompt: str, *, heal: bool) -> str:
        done = generate(made, words, [prompt], max_new_tokens=6, rules=[Temperature(0)], heal=heal)[0]
        return done.prompt + done.text

    function = whole("\n\ndef", heal=False)
    assert function[:20] in CODE
    for prompt in ("\n\ndef ", "\n\nde", "\n\ndef"):
        assert whole(prompt, heal=True)[:20] == function[:20]
    assert whole("path):\n    ", heal=True)[:17] in ("path):\n    return", "path):\n    if text")
    assert whole("\n\ndef ", heal=False)[:12] not in CODE  # the trap


def test_what_no_other_token_goes_on_from_is_left_as_it_is(words: Tokenizer) -> None:
    plain = byte_tokenizer()
    assert taken_back(plain, "def ") == (plain.encode("def "), b"")
    assert taken_back(words, "d") == (words.encode("d"), b"") and taken_back(words, " ") == (words.encode(" "), b"")
    assert taken_back(words, "") == ([], b"")


def test_one_new_token_is_one_that_adds_to_the_text(network: GPT, words: Tokenizer) -> None:
    for seed in range(20):
        for done in generate(network, words, PROMPTS, max_new_tokens=1, seed=seed, heal=True):
            assert done.text or done.finish == "end" or not words.decode_bytes(done.ids).decode(errors="ignore")
