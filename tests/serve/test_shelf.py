"""Several models behind one port, and the checkpoints of a run, which are read when they are asked for."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from serve.servers import running, until

from chainrule.base import ConfigError
from chainrule.checkpoint import open_model, step_folder
from chainrule.model import is_packed
from chainrule.run import RunFolder, held_out_rows
from chainrule.serve.app import build_app
from chainrule.serve.offers import offered
from chainrule.serve.settings import Serving

# The run that they share is trained once, where the browser is that looks at it, too.
pytestmark = pytest.mark.xdist_group("browser")

STEPS = [2, 4, 6, 8]


def names(server: Any) -> list[str]:
    return [one["id"] for one in server.client.get("/v1/models").json()["data"]]


def test_checkpoints_are_listed_behind_their_run_and_described_by_name(tale: Any) -> None:
    assert names(tale) == ["tale", *(f"tale@{step}" for step in STEPS)]
    described = tale.client.get("/v1/models/tale@4").json()
    assert (described["parent"], described["step"], described["chat"]) == ("tale", 4, False)
    assert described["origin"].startswith("step 4 of ") and described["max_model_len"] == 64


@pytest.mark.parametrize("step", STEPS)
def test_a_checkpoint_answers_with_its_own_weights(tale: Any, run_folder: Path, step: int) -> None:
    answer = tale.completion("Story 3: ", model=f"tale@{step}", echo=True, logprobs=1, max_tokens=1)
    assert answer["model"] == f"tale@{step}"
    opened = open_model(step_folder(RunFolder(run_folder).checkpoints, step))
    ids = torch.tensor([opened.tokenizer.encode("Story 3: ")])
    scores = opened.model(ids).detach().log_softmax(-1)[0]
    own = [float(scores[place, token]) for place, token in enumerate(ids[0, 1:].tolist())]
    assert answer["choices"][0]["logprobs"]["token_logprobs"][1:-1] == pytest.approx(own, abs=1e-5)


def test_what_is_in_memory_is_bounded_and_the_longest_unused_goes(tale: Any) -> None:
    shelf = tale.api.shelf
    for step in (2, 4, 2, 6):
        tale.completion("a", model=f"tale@{step}")
    best = f"tale@{tale.opened.step}"
    assert len(shelf.in_memory - {best}) <= 2
    if tale.opened.step == 8:
        assert shelf.in_memory == {"tale@8", "tale@2", "tale@6"}
    assert all(seat.n_users == 0 for seat in shelf._seats())


def test_the_step_that_was_opened_is_not_read_again(tale: Any) -> None:
    assert tale.api.shelf._own[f"tale@{tale.opened.step}"].engine is tale.api.engine
    alike = [tale.completion("Story", model=name)["choices"] for name in ("tale", f"tale@{tale.opened.step}")]
    assert alike[0] == alike[1]


@pytest.mark.parametrize("name", ["tale@3", "tale@04", "tale@", "tale@-2", "tale@../2", "other@2", "@2", "tale@2@2"])
def test_any_other_name_is_not_here_and_the_answer_says_what_is(tale: Any, name: str) -> None:
    answer = tale.post("/v1/completions", {"prompt": "a", "model": name})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert "there is 'tale'; tale@STEP has the steps 2, 4, 6, 8" in answer.json()["error"]["message"]
    assert tale.client.get(f"/v1/models/{name}").status_code == 404


def test_many_at_once_are_all_answered_and_nothing_is_held_afterwards(tale: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        asked = [{"prompt": "Story", "model": f"tale@{STEPS[n % 4]}", "max_tokens": 4} for n in range(24)]
        found = list(pool.map(lambda one: tale.post("/v1/completions", one), asked))
    assert {one.status_code for one in found} <= {200, 429} and sum(one.status_code == 200 for one in found) > 4
    until(lambda: all(seat.n_users == 0 for seat in tale.api.shelf._seats()))


def test_one_that_is_at_work_is_not_let_go(run_folder: Path) -> None:
    with running(run_folder, name="tale", checkpoints=1, max_length=60) as server:
        steps = [step for step in STEPS if step != server.opened.step]
        asked = {"prompt": "a", "model": f"tale@{steps[0]}", "max_tokens": 50, "stream": True, "ignore_eos": True}
        with server.client.stream("POST", "/v1/completions", json=asked) as answer:
            lines = answer.iter_lines()
            next(lines)
            seat = server.api.shelf._read[f"tale@{steps[0]}"]
            assert seat.n_users == 1
            told = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        assert told[-1]["choices"][0]["finish_reason"] == "length"
        until(lambda: seat.n_users == 0)
        server.completion("a", model=f"tale@{steps[1]}")
        until(lambda: not seat.engine.alive)
        assert list(server.api.shelf._read) == [f"tale@{steps[1]}"]
        # As if a text were still being written by it; the one that was is let go a moment after its answer.
        seat = server.api.shelf._read[f"tale@{steps[1]}"]
        until(lambda: seat.n_users == 0)
        seat.n_users = 1
        refused = server.post("/v1/completions", {"prompt": "a", "model": f"tale@{steps[0]}"})
        assert refused.status_code == 429 and "at work" in refused.json()["error"]["message"]


def test_a_damaged_checkpoint_is_named_and_the_others_answer(run_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run_folder, tmp_path / "tale")
    with running(copy, name="tale") as server:
        bad, good = [step for step in STEPS if step != server.opened.step][:2]
        file = step_folder(copy / "checkpoints", bad) / "model.safetensors"
        file.write_bytes(file.read_bytes()[:-1])
        refused = server.post("/v1/completions", {"prompt": "a", "model": f"tale@{bad}"})
        assert refused.status_code == 409 and f"step {bad} of tale" in refused.json()["error"]["message"]
        shutil.rmtree(step_folder(copy / "checkpoints", good))
        assert server.post("/v1/completions", {"prompt": "a", "model": f"tale@{good}"}).status_code == 404
        assert f"tale@{good}" not in names(server)
        assert server.completion("a")["choices"]


def test_none_are_offered_where_none_may_be_held(run_folder: Path) -> None:
    with running(run_folder, name="tale", checkpoints=0) as server:
        assert names(server) == ["tale"]
        assert server.post("/v1/completions", {"prompt": "a", "model": "tale@2"}).status_code == 404


def test_two_models_answer_under_their_names_and_the_first_without_one(chat_folder: Path, base_folder: Path) -> None:
    with running(chat_folder, base_folder, name="one") as server:
        assert names(server) == ["one", "base"]
        texts = {name: server.completion("the cat", model=name)["choices"][0]["text"] for name in ("one", "base")}
        assert server.completion("the cat")["choices"][0]["text"] == texts["one"] != texts["base"]
        chats = {"messages": [{"role": "user", "content": "a"}], "max_tokens": 2}
        assert server.post("/v1/chat/completions", {**chats, "model": "one"}).status_code == 200
        assert "base is a base model" in server.post("/v1/chat/completions", {**chats, "model": "base"}).text
        assert server.post("/tokenize", {"prompt": "<|im_end|>", "model": "one"}).json()["count"] == 1
        assert server.post("/tokenize", {"prompt": "<|im_end|>", "model": "base"}).json()["count"] == 10
        assert server.client.get("/health").json()["status"] == "ok"


def test_two_models_of_one_name_are_refused(chat_folder: Path) -> None:
    twice = [offered(str(chat_folder), open_model(chat_folder)) for _ in range(2)]
    with pytest.raises(ConfigError, match="two models are called 'chat'"):
        build_app(twice, Serving())


def test_the_curve_and_the_held_out_losses_are_those_of_the_run(tale: Any, run_folder: Path) -> None:
    (found,) = tale.client.get("/checkpoints").json()["data"]
    looks = {row.step: row.val_loss for row in held_out_rows(RunFolder(run_folder))}
    assert found["model"] == "tale" and found["step"] == tale.opened.step
    assert [(one["id"], one["step"]) for one in found["checkpoints"]] == [(f"tale@{step}", step) for step in STEPS]
    assert all(one["val_loss"] == looks[one["step"]] for one in found["checkpoints"])
    assert found["held_out"] == [[step, loss] for step, loss in sorted(looks.items())]
    assert found["train"] and all(len(point) == 2 for point in found["train"])


def test_a_model_without_a_run_has_no_checkpoints(base: Any) -> None:
    assert base.client.get("/checkpoints").json()["data"] == []


def test_checkpoints_are_packed_as_the_model_is_and_have_no_gradient_then(run_folder: Path) -> None:
    with running(run_folder, name="tale", weights="int8") as server:
        step = next(step for step in STEPS if step != server.opened.step)
        assert server.completion("Story", model=f"tale@{step}")["choices"][0]["text"]
        packed = server.api.shelf._read[f"tale@{step}"].opened.model
        assert is_packed(packed)
        refused = server.post("/lens", {"ids": [1, 2], "model": f"tale@{step}"})
        assert refused.status_code == 400 and "packed" in refused.json()["error"]["message"]
