"""Greedy answers and their log-probabilities are the same to the last bit, whatever else is being written."""

import hashlib
import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from serve.servers import running

ALPHABET = "the cat sat on a mat and saw 1 dog, 2 birds; x = f(y)\n"


def requests_of(count: int, seed: int) -> list[dict[str, Any]]:
    """Mixed requests: lengths around the borders of 64 keys and of blocks of rows, lists, echo, shared beginnings."""
    dice = random.Random(seed)
    begun = "".join(dice.choices(ALPHABET, k=70))
    found = []
    for number in range(count):
        text = "".join(dice.choices(ALPHABET, k=dice.choice((1, 5, 31, 62, 63, 64, 90, 127, 128, 150))))
        prompt: Any = begun + text if number % 3 == 0 else text
        if number % 7 == 0:
            prompt = [prompt, text[:3], begun[: 60 + number % 9]]
        asked = {"prompt": prompt, "temperature": 0, "max_tokens": dice.choice((1, 3, 8, 17)), "logprobs": 2}
        asked |= {"echo": True} if number % 5 == 0 else {}
        asked |= {"frequency_penalty": 1.5} if number % 4 == 1 else {}
        asked |= {"n": 3} if number % 6 == 2 else {}
        found.append(asked)
    return found


def fingerprint(server: Any, asked: dict[str, Any]) -> str:
    """Of texts, tokens and log-probabilities; JSON writes a float so that it comes back bit for bit."""
    answer = server.post("/v1/completions", asked)
    assert answer.status_code == 200, answer.text
    return hashlib.sha256(json.dumps(answer.json()["choices"], sort_keys=True).encode()).hexdigest()


@pytest.mark.parametrize(
    ("count", "weights"),
    [(24, "float32"), (8, "int8"), (8, "int4"), (8, "bfloat16"), pytest.param(200, "float32", marks=pytest.mark.slow)],
)
def test_alone_together_and_behind_kept_beginnings_all_bits_are_equal(
    chat_folder: Path, count: int, weights: str
) -> None:
    asked = requests_of(count, seed=1)
    with running(chat_folder, weights=weights, prefix_bytes=0) as server:
        alone = [fingerprint(server, one) for one in asked]
        assert server.client.get("/metrics").text.count("reused_tokens_total 0") == 1
    with running(chat_folder, weights=weights) as server, ThreadPoolExecutor(12) as clients:
        together = list(clients.map(lambda one: fingerprint(server, one), asked))
        again = list(clients.map(lambda one: fingerprint(server, one), reversed(asked)))[::-1]
        reused = server.client.get("/metrics").text
    assert together == alone
    assert again == alone
    assert "reused_tokens_total 0" not in reused


def test_echo_tells_what_the_model_itself_computes(base: Any) -> None:
    text = "the cat sat on the mat"
    told = base.completion(text, echo=True, logprobs=1, max_tokens=1)["choices"][0]["logprobs"]
    ids = base.opened.tokenizer.encode(text)
    with torch.no_grad():
        expected = base.opened.model(torch.tensor([ids]))[0].log_softmax(-1)
    expected = expected[range(len(ids) - 1), ids[1:]]
    torch.testing.assert_close(torch.tensor(told["token_logprobs"][1:-1]), expected, rtol=0, atol=1e-5)
    assert told["token_logprobs"][0] is None and told["tokens"][: len(ids)] == list(text)
    assert told["text_offset"] == list(range(len(ids) + 1))
