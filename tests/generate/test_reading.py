"""A prompt that is read in pieces is the prompt that is read at once, and models beside each other stay themselves."""

import random
from typing import Any

import pytest
import torch
from torch import Tensor

from chainrule.config import ModelConfig
from chainrule.generate import PIECE, Decoder, Prefix, Reading, Temperature
from chainrule.generate.quantise import packed_model
from chainrule.model import GPT, ExactReader

CONTEXT, VOCABULARY = 3 * PIECE + 20, 96
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "n_kv_heads": 2}
FAMILIES: dict[str, dict[str, Any]] = {"gpt2": {}, "llama": MODERN, "qwen3": {**MODERN, "qk_norm": True}}
GREEDY = (Temperature(0),)
WEIGHTS = ["float32", "bfloat16", "int8", "int4"]
Heard = dict[int, Tensor]


def model(family: str = "llama", weights: str = "float32", seed: int = 0) -> GPT:
    torch.manual_seed(seed)
    shape = {"vocab_size": VOCABULARY, "context_length": CONTEXT, "emb_dim": 32, "n_heads": 4, "n_layers": 2}
    made = GPT(ModelConfig(**shape, **FAMILIES[family])).eval()
    with torch.no_grad():
        made.token_embedding.weight.mul_(4)
    return made if weights == "float32" else packed_model(made, weights)[0]


def decoder(network: GPT, reader: ExactReader) -> Decoder:
    return Decoder(network, 6, CONTEXT, n_choices=VOCABULARY, reader=reader)


def ids_of(length: int, seed: int = 1) -> list[int]:
    return random.Random(seed).choices(range(VOCABULARY), k=length)


def hearer(found: Heard) -> Any:
    def hear(place: int, scores: Tensor) -> None:
        for row, one in enumerate(scores):
            assert place + row not in found, "a place is told once"
            found[place + row] = one.clone()

    return hear


def at_once(network: GPT, reader: ExactReader, ids: list[int], n_new: int = 5) -> Heard:
    """The scores behind every place, of a text that is alone and read in one pass."""
    found, writing = Heard(), decoder(network, reader)
    writing.admit(ids, rules=GREEDY, hear=hearer(found))
    for _ in range(n_new):
        writing.step()
    return found


def in_pieces(reading: Reading, heard: Heard, left: int = 1) -> list[int]:
    sizes = []
    while reading.n_unread > left:
        sizes.append(reading.go_on(hearer(heard), VOCABULARY))
    return sizes


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_pieces_give_the_bits_of_one_pass_whatever_the_weights(family: str, weights: str) -> None:
    network = model(family, weights)
    reader, ids, heard = ExactReader(network), ids_of(2 * PIECE + 70), Heard()
    expected = at_once(network, reader, ids)
    reading = Reading(network.config, ids, CONTEXT, reader)
    assert in_pieces(reading, heard) == [PIECE, PIECE, 69]
    writing = decoder(network, reader)
    for number in range(2):  # a text, and a second one out of the same reading
        writing.admit(ids, rules=GREEDY, prefix=reading.prefix, hear=hearer(heard) if number == 0 else None)
    for _ in range(5):
        one, other = writing.step().values()
        assert one == other
    assert heard.keys() == expected.keys()
    assert all(torch.equal(heard[place], expected[place]) for place in expected)


def test_a_piece_ends_at_the_same_places_wherever_it_begins() -> None:
    network = model()
    reader, ids = ExactReader(network), ids_of(2 * PIECE + 70)
    expected = at_once(network, reader, ids, 1)
    known = Reading(network.config, ids[:31] + [0] * 10, CONTEXT, reader)
    in_pieces(known, Heard())
    heard = Heard()
    reading = Reading(network.config, ids, CONTEXT, reader, known.prefix)
    assert reading.n_read == 31
    assert in_pieces(reading, heard, left=PIECE) == [PIECE - 31, PIECE]
    assert all(torch.equal(heard[place], expected[place]) for place in heard)


def test_what_is_known_whole_is_read_no_more() -> None:
    network = model()
    reader, ids = ExactReader(network), ids_of(40)
    known = Reading(network.config, ids, CONTEXT, reader)
    in_pieces(known, Heard())
    again = Reading(network.config, ids, CONTEXT, reader, known.prefix)
    assert again.n_unread == 1 and again.go_on() == 0
    assert again.prefix.cache is known.prefix.cache


@pytest.mark.parametrize("exact", [True, False])
def test_models_beside_each_other_write_what_each_writes_alone(exact: bool) -> None:
    networks = [model(seed=0), model(seed=1), model(seed=2)]
    readers: list[Any] = [ExactReader(one) if exact else one for one in networks]
    texts = [(ids_of(5 + 7 * number, number), number % 3) for number in range(6)]

    def begun(writing: Decoder, ids: list[int], of: int) -> int:
        nothing = Reading(networks[of].config, ids, CONTEXT, readers[of]).prefix
        return writing.admit(ids, rules=GREEDY, prefix=nothing)

    alone = []
    for ids, of in texts:
        writing = Decoder(networks[of], 1, CONTEXT, n_choices=VOCABULARY, reader=readers[of])
        row = begun(writing, ids, of)
        alone.append([writing.step()[row] for _ in range(12)])
    together = Decoder(networks[0], 6, CONTEXT, n_choices=VOCABULARY, reader=readers[0])
    rows = {begun(together, ids, of): number for number, (ids, of) in enumerate(texts)}
    written: dict[int, list[int]] = {number: [] for number in rows.values()}
    kept: dict[int, Prefix] = {}
    while rows:
        for row, token in together.step().items():
            number = rows[row]
            written[number].append(token)
            # Rows end at different times, so that the others move.
            if len(written[number]) == 12 - number:
                kept[number] = together.kept(row)
                together.release(row)
                del rows[row]
    for number, tokens in written.items():
        assert tokens == alone[number][: 12 - number], number
        assert kept[number].reader is readers[number % 3]
