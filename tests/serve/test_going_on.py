"""An answer that was begun goes on: the same tokens as if the model had begun it itself."""

from typing import Any

import pytest

ASKED = {"temperature": 0, "logprobs": True}
QUESTION = {"role": "user", "content": "hi"}


def content(chat: Any, messages: list[dict[str, str]], **more: Any) -> str:
    answer = chat.post("/v1/chat/completions", {**ASKED, "messages": messages, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


def test_an_answer_that_was_begun_goes_on_as_it_would_have(chat: Any) -> None:
    whole = content(chat, [QUESTION], max_tokens=12)
    begun = [QUESTION, {"role": "assistant", "content": whole[:5]}]
    going_on = {"continue_final_message": True, "add_generation_prompt": False}
    assert whole[:5] + content(chat, begun, max_tokens=7, **going_on) == whole


@pytest.mark.parametrize(
    ("messages", "more"),
    [
        ([QUESTION], {"continue_final_message": True, "add_generation_prompt": False}),
        ([], {"continue_final_message": True, "add_generation_prompt": False}),
        ([QUESTION], {"continue_final_message": True}),
        ([QUESTION], {"add_generation_prompt": False}),
        ([QUESTION, {"role": "assistant", "content": "x"}], {}),
    ],
)
def test_what_would_go_on_from_nothing_is_refused(chat: Any, messages: Any, more: Any) -> None:
    answer = chat.post("/v1/chat/completions", {**ASKED, "messages": messages, "max_tokens": 2, **more})
    assert answer.status_code == 400 and answer.json()["error"]["message"]
