"""In what order prompts are read: each once, long ones in pieces, and nobody waits for a long one."""

import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from serve.servers import running, until, write_model
from torch import Tensor

from chainrule.checkpoint import OpenedModel, open_model
from chainrule.generate import PIECE, Rule, Temperature
from chainrule.model import ExactReader, KVCache
from chainrule.serve.engine import Engine
from chainrule.serve.metrics import Metrics
from chainrule.serve.settings import Serving
from chainrule.serve.texts import Failed, Job, Piece, Wanted

GREEDY: tuple[Rule, ...] = (Temperature(0),)
Shapes = list[tuple[int, int]]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> OpenedModel:
    return open_model(write_model(tmp_path_factory.mktemp("long") / "model", context_length=8 * PIECE))


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Shapes:
    """The rows and tokens of every pass through a model."""
    found, plain = Shapes(), ExactReader.stream

    def stream(self: ExactReader, ids: Tensor, cache: KVCache) -> Tensor:
        found.append(tuple(ids.shape))
        return plain(self, ids, cache)

    monkeypatch.setattr(ExactReader, "stream", stream)
    return found


def wanted(n_prompt: int, n_new: int, **more: Any) -> Wanted:
    ids = torch.randint(97, 122, (n_prompt,), generator=torch.Generator().manual_seed(n_prompt)).tolist()
    return Wanted(tuple(ids), n_new, GREEDY, 0, (), frozenset(), **more)


class Writing:
    """An engine, and the pieces that each job heard, in the order in which they came."""

    def __init__(self, opened: OpenedModel, **settings: Any) -> None:
        self.engine = Engine({"m": opened}, Serving(**{"rows": 4, "prefix_bytes": 0, **settings}), Metrics())
        self.heard: list[tuple[str, Piece]] = []
        self._jobs, self._n_texts, self._ended = list[Job](), 0, threading.Semaphore(0)

    def submit(self, name: str, *texts: Wanted, then: Callable[[], None] = lambda: None) -> Job:
        def tell(piece: Piece | Failed) -> None:
            assert isinstance(piece, Piece), piece
            self.heard.append((name, piece))
            then()
            if piece.finish:
                self._ended.release()

        job = Job(texts, tell, "m")
        self._jobs.append(job)
        self._n_texts += len(texts)
        if self.engine.alive:
            self.engine.submit(job)
        return job

    def write(self, n_left: int = 0) -> list[str]:
        """Until all texts but `n_left` have ended; the names of those who were told something, in order."""
        with self.engine._changed:  # so that all that are there at the beginning come at once
            self.engine.start()
            for job in self._jobs:
                self.engine.submit(job)
        done = 0
        while done < self._n_texts - n_left:
            assert self._ended.acquire(timeout=20)
            done += 1
        self.engine.stop()
        return [name for name, _ in self.heard]


def test_between_two_pieces_of_a_long_prompt_the_others_go_on(opened: OpenedModel, passes: Shapes) -> None:
    writing = Writing(opened)
    writing.submit("short", wanted(20, 12))
    writing.submit("long", wanted(6 * PIECE + 5, 2))
    order = writing.write()
    assert order.index("long") >= 6, "six tokens of the other while the long prompt is read"
    pieces = [place for place, shape in enumerate(passes) if shape == (1, PIECE)]
    assert len(pieces) == 6 and all(later - earlier > 1 for earlier, later in pairwise(pieces))


def test_a_short_prompt_that_comes_later_passes_a_long_one(opened: OpenedModel) -> None:
    writing, late = Writing(opened), list[Job]()

    def come() -> None:
        if not late:
            late.append(writing.submit("late", wanted(30, 1)))

    writing.submit("first", wanted(5, 8), then=come)
    writing.submit("long", wanted(7 * PIECE, 1))
    order = writing.write()
    assert order.index("late") < order.index("long")


def test_a_long_prompt_whose_client_leaves_is_read_no_further(opened: OpenedModel, passes: Shapes) -> None:
    writing, jobs = Writing(opened), list[Job]()
    jobs.append(writing.submit("long", wanted(7 * PIECE, 1)))
    writing.submit("other", wanted(5, 6), then=lambda: writing.engine.leave(jobs[0]))
    assert set(writing.write(n_left=1)) == {"other"}
    assert passes.count((1, PIECE)) <= 2 and writing.engine.load.active == 0


@pytest.mark.parametrize("n_prompt", [40, 2 * PIECE + 40])
def test_choices_read_their_prompt_once(opened: OpenedModel, passes: Shapes, n_prompt: int) -> None:
    texts = [wanted(n_prompt, 3)] * 6  # more than there are rows
    several = Writing(opened)
    several.submit("choices", *texts)
    several.write()
    # Of the prompt all but its last token, then a token a text and step: four rows, and then the two others.
    assert sum(rows * tokens for rows, tokens in passes) == n_prompt - 1 + 6 * 3
    alone = Writing(opened)
    alone.submit("alone", texts[0])
    alone.write()
    expected = "".join(piece.text for _, piece in alone.heard)
    for index in range(6):
        assert "".join(piece.text for _, piece in several.heard if piece.index == index) == expected


def test_echoed_choices_have_the_log_probabilities_of_one(opened: OpenedModel) -> None:
    asked = wanted(PIECE + 40, 2, n_top=2, echo=True)
    several, alone = Writing(opened), Writing(opened)
    several.submit("choices", asked, asked)
    alone.submit("alone", asked)
    several.write()
    alone.write()
    told = [one for _, piece in alone.heard for one in piece.tokens]
    assert len(told) == PIECE + 42
    for index in range(2):
        assert [one for _, piece in several.heard if piece.index == index for one in piece.tokens] == told


def test_prompts_of_choices_are_counted_once(chat_folder: Path) -> None:
    with running(chat_folder, prefix_bytes=0) as server:
        answer = server.completion("x" * 50, n=3, max_tokens=2)
        assert answer["usage"]["prompt_tokens"] == 50
        until(lambda: server.api.engine.load.active == 0)
        assert "chainrule_prompt_tokens_total 50\n" in server.client.get("/metrics").text
