"""The lens on one token, over HTTP: the same probability as the text's, bounds, one at a time."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chainrule.lens.opening import look_at_token
from chainrule.serve import own_routes
from chainrule.serve.own_routes import MOST_TOKENS

# The run that they share is trained once, where the browser is that looks at it, too.
pytestmark = pytest.mark.xdist_group("browser")


def written(server: Any, **more: Any) -> tuple[list[int], list[float]]:
    """Ids of a prompt and its text, and the log-probabilities of the text."""
    choice = server.completion("Story 3: ", return_token_ids=True, logprobs=1, max_tokens=4, **more)["choices"][0]
    return choice["prompt_token_ids"] + choice["token_ids"], choice["logprobs"]["token_logprobs"]


@pytest.mark.parametrize("step", [2, 8])
def test_a_token_has_the_probability_with_which_it_was_written(tale: Any, step: int) -> None:
    ids, logprobs = written(tale, model=f"tale@{step}")
    for place in range(len(logprobs)):
        cut = len(ids) - len(logprobs) + place + 1
        found = tale.post("/lens", {"model": f"tale@{step}", "ids": ids[:cut]}).json()
        assert found["logprob"] == pytest.approx(logprobs[place], abs=1e-5) and found["model"] == f"tale@{step}"
        assert found["ids"] == ids[:cut] and len(found["tokens"]) == cut
        assert [one["module"] for one in found["depths"]] == ["final_norm", "blocks.1", "blocks.0", "token_embedding"]
        assert all(len(one["places"]) == cut - 1 for one in found["depths"])


def test_a_page_of_all_operations_is_a_file_to_keep_and_not_a_page_of_the_server(tale: Any) -> None:
    page = tale.post("/lens", {"ids": [1, 2, 3], "form": "page"})
    assert page.status_code == 200 and 'id="picture"' in page.text
    assert page.headers["content-disposition"].startswith("attachment")
    assert page.headers["content-security-policy"] == "sandbox"


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({"ids": []}, "ids"),
        ({"ids": [1]}, "ids"),
        ({"ids": [1] * (MOST_TOKENS + 2)}, "ids"),
        ({"ids": [1, -1]}, "ids"),
        ({"ids": ["a", "b"]}, "ids"),
        ({"ids": [1, 2**30]}, "vocabulary"),
        ({"ids": [1] * 66}, "context"),
        ({"ids": [1, 2], "form": "svg"}, "form"),
        ({}, "ids"),
    ],
)
def test_what_cannot_be_looked_at_is_a_400_that_says_why(tale: Any, asked: dict[str, Any], word: str) -> None:
    refused = tale.post("/lens", asked)
    assert refused.status_code == 400 and word in refused.json()["error"]["message"]


def test_an_unknown_model_is_a_404(tale: Any) -> None:
    assert tale.post("/lens", {"model": "tale@3", "ids": [1, 2]}).status_code == 404


def test_only_one_is_looked_at_at_a_time_and_texts_are_written_meanwhile(tale: Any, monkeypatch: Any) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(*given: Any) -> Any:
        begun.set()
        go_on.wait(20)
        return look_at_token(*given)

    monkeypatch.setattr(own_routes, "look_at_token", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(tale.post, "/lens", {"ids": [1, 2]})
        begun.wait(20)
        second = tale.post("/lens", {"ids": [1, 2]})
        assert (second.status_code, second.json()["error"]["code"]) == (429, "lens_busy")
        assert second.headers["retry-after"] and tale.completion("a")["choices"]
        go_on.set()
        assert first.result().status_code == 200
    assert tale.post("/lens", {"ids": [1, 2]}).status_code == 200


def test_a_picture_of_too_many_weights_is_refused(tale: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(own_routes, "MOST_DRAWN", 10)
    refused = tale.post("/lens", {"ids": [1, 2], "form": "page"})
    assert refused.status_code == 400 and "up to 10 weights" in refused.json()["error"]["message"]
