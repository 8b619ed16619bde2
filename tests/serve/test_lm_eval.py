"""lm-eval's way of asking (local-completions over ids, `echo`, `logprobs`) gives the figures of our own evaluator.

Its request and what it reads of the answer are written out here (lm_eval/models/openai_completions.py of 0.4.13), so
that the test needs neither the package nor its data.
"""

import random
from typing import Any

from chainrule.evaluate import Candidate
from chainrule.evaluate.tasks.likelihood import Item, answers

WORDS = ["the", "a", "cat", "dog", "sat", "runs", "house", "river", "old", "new", "under", "over", "and"]


def questions(count: int) -> list[Item]:
    """In the form of PIQA: a goal and two solutions."""
    dice = random.Random(3)
    texts = [[" ".join(dice.choices(WORDS, k=dice.randint(2, 9))) for _ in range(3)] for _ in range(count)]
    return [Item(goal, (f" {one}", f" {two}"), dice.randint(0, 1)) for goal, one, two in texts]


def told(server: Any, rows: list[tuple[list[int], int]]) -> list[tuple[float, bool]]:
    """Of each row of ids, the sum of what lies behind its first `n`, and whether all of that is greedy."""
    asked = {"prompt": [ids for ids, _ in rows], "temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": 1234}
    answer = server.post("/v1/completions", {**asked, "echo": True, "model": "tiny"}).json()
    found = []
    for choice, (_, n) in zip(sorted(answer["choices"], key=lambda one: one["index"]), rows, strict=True):
        own, top = (choice["logprobs"][name][n:-1] for name in ("token_logprobs", "top_logprobs"))
        greedy = all(value == max(tops.values()) for value, tops in zip(own, top, strict=True))
        found.append((sum(own), greedy))
    return found


def test_a_file_of_questions_gets_the_same_answers_as_by_our_evaluator(base: Any) -> None:
    items, tokenizer = questions(24), base.opened.tokenizer
    rows = [
        (tokenizer.encode(item.context + choice), len(tokenizer.encode(item.context)))
        for item in items
        for choice in item.choices
    ]
    over_http = told(base, rows)
    mine = {item.context: said for item, said in answers(Candidate(base.opened.model, tokenizer), items)}
    flat = [one for item in items for one in mine[item.context]]
    assert len(flat) == len(over_http) == 48
    for (logprob, greedy), said in zip(over_http, flat, strict=True):
        assert abs(logprob + said.nats) < 1e-4 and greedy == said.greedy
    right = [over_http[2 * place][0] > over_http[2 * place + 1][0] for place in range(24)]
    expected = [mine[item.context][0].nats < mine[item.context][1].nats for item in items]
    assert right == expected and 0 < sum(right) < 24


def test_what_the_model_would_write_itself_is_told_as_greedy(base: Any) -> None:
    ids = base.opened.tokenizer.encode("the cat")
    written = base.opened.tokenizer.encode(base.completion(ids, max_tokens=5)["choices"][0]["text"])
    assert told(base, [([*ids, *written], len(ids))])[0][1]
    assert not told(base, [([*ids, *written[:-1], written[-1] ^ 1], len(ids))])[0][1]
