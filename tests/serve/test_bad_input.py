"""Whatever a client sends is answered by OpenAI's error with the right status, and nothing is worked on before."""

import json
from typing import Any

import pytest
from serve.servers import CONTEXT
from starlette.requests import Request

HELLO = [{"role": "user", "content": "hi"}]
WRONG = [
    ({"prompt": "a", "max_tokens": "5"}, "max_tokens"),
    ({"prompt": "a", "max_tokens": True}, "max_tokens"),
    ({"prompt": "a", "max_tokens": -1}, "max_tokens"),
    ({"prompt": "a", "max_tokens": 1.5}, "max_tokens"),
    ({"prompt": "a", "max_tokens": 10**30}, "max_tokens"),
    ({"prompt": "a", "max_tokens": 0}, "max_tokens"),
    ({"prompt": "a", "n": 10**9}, "n"),
    ({"prompt": ["a"] * 200, "n": 30}, "n"),
    ({"prompt": "a", "temperature": -0.1}, "temperature"),
    ({"prompt": "a", "temperature": "hot"}, "temperature"),
    ({"prompt": "a", "top_p": 0}, "top_p"),
    ({"prompt": "a", "stop": ["a"] * 17}, "stop"),
    ({"prompt": "a", "stop": "a" * 1000}, "stop"),
    ({"prompt": "a", "stop": [1]}, "stop"),
    ({"prompt": "a", "logit_bias": {"a": 1}}, "logit_bias"),
    ({"prompt": "a", "logit_bias": {"1": 1000}}, "logit_bias"),
    ({"prompt": "a", "logit_bias": {"999999": 1}}, "logit_bias"),
    ({"prompt": "a", "logit_bias": {str(n): 1 for n in range(2000)}}, "logit_bias"),
    ({"prompt": "a", "logprobs": 1000}, "logprobs"),
    ({"prompt": "a", "seed": 10**40}, "seed"),
    ({"prompt": "a", "best_of": 4}, "best_of"),
    ({"prompt": "a", "suffix": "b"}, "suffix"),
    ({"prompt": "a", "tools": [{"type": "function"}]}, "tools"),
    ({"prompt": "a", "response_format": {"type": "xml"}}, "response_format"),
    ({"prompt": "a", "stream_options": {"include_usage": True}}, "stream_options"),
    ({"prompt": []}, "prompt"),
    ({"prompt": [[]]}, "prompt"),
    ({"prompt": [1, "a"]}, "prompt"),
    ({"prompt": [[1], 2]}, "prompt"),
    ({"prompt": [-1]}, "prompt"),
    ({"prompt": [99999]}, "prompt"),
    ({"prompt": 5}, "prompt"),
    ({}, "prompt"),
    ({"prompt": "a" * (CONTEXT + 1)}, "prompt"),
    ({"prompt": "a" * (CONTEXT - 4), "max_tokens": 5}, "prompt"),
    ({"prompt": "word " * 400_000}, "prompt"),
    ({"prompt": ["a"] * 1000}, "prompt"),
    ({"prompt": [1] * 300_000 + ["a"]}, "prompt"),
    ({"prompt": [True, False]}, "prompt"),
]


@pytest.mark.parametrize(("content", "param"), WRONG, ids=[f"{one[1]}-{place}" for place, one in enumerate(WRONG)])
def test_a_wrong_field_is_named(chat: Any, content: dict[str, Any], param: str) -> None:
    for stream in (False, True):
        answer = chat.post("/v1/completions", {**content, **({"stream": True} if stream else {})})
        if stream and param == "stream_options":
            continue
        error = answer.json()["error"]
        assert (answer.status_code, error["param"], error["type"]) == (400, param, "invalid_request_error"), error
        assert len(error["message"]) < 1000


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "king", "content": "hi"}],
        [{"role": "assistant", "content": "hi"}],
        [*HELLO, *HELLO],
        [{"role": "user", "content": None}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/a.png"}}]}],
        [{"role": "user"}],
        [{"content": "hi"}],
        ["hi"],
        "hi",
        [{"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}],
        [{"role": "user", "content": "\ud800"}],
        [{"role": "user", "content": "long " * 1000}],
    ],
)
def test_messages_that_are_no_conversation_are_refused(chat: Any, messages: Any) -> None:
    answer = chat.client.post(
        "/v1/chat/completions",
        content=json.dumps({"messages": messages}).encode(),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 400 and answer.json()["error"]["message"], answer.text


def test_a_base_model_that_is_asked_to_chat_says_what_to_do(base: Any) -> None:
    for stream in (False, True):
        answer = base.post("/v1/chat/completions", {"messages": HELLO, "stream": stream})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, "no_chat_template")
        assert "/v1/completions" in error["message"] and "finetune" in error["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nul",
        b'"a"',
        b"[1]",
        b'{"prompt": "a", "temperature": NaN}',
        b'{"prompt": "a", "temperature": -Infinity}',
        b'{"prompt": "a", "temperature": 1e999}',
        b'{"prompt": "a", "max_tokens": ' + b"9" * 5000 + b"}",
        b'{"prompt": "\xff"}',
        b'{"prompt": ' + b"[" * 100 + b"]" * 100 + b"}",
        b"[" * 100_000,
        b'{"a":' * 50_000,
    ],
)
def test_a_body_that_is_no_request_is_400(chat: Any, body: bytes) -> None:
    answer = chat.client.post("/v1/completions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400 and answer.json()["error"]["message"]


def test_a_body_is_parsed_once(chat: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def again(self: Request) -> None:
        raise AssertionError("the guard has parsed it")

    monkeypatch.setattr(Request, "json", again)
    chat.completion([1] * 100)
    tokens = chat.post("/tokenize", {"prompt": "ab"}).json()["tokens"]
    assert chat.post("/detokenize", {"tokens": tokens}).json()["prompt"] == "ab"


def test_harmless_fields_are_passed_over(chat: Any) -> None:
    chat.completion("a", user="me", metadata={"a": 1}, best_of=1, n=1, tools=[], suffix=None, store=False)


def test_other_models_and_routes_are_404_in_the_same_shape(chat: Any) -> None:
    answer = chat.post("/v1/completions", {"prompt": "a", "model": "gpt-9"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    for path in ("/v1/nothing", "/v1/models/other", "/assets/..%2f..%2fapp.py", "/assets/no.js", "/../app.py"):
        assert chat.client.get(path).status_code == 404
    wrong = chat.client.get("/v1/completions")
    assert wrong.status_code == 405 and wrong.json()["error"]["message"]


def test_a_schema_that_cannot_be_enforced_is_refused(chat: Any) -> None:
    pytest.importorskip("llguidance")
    for schema in (
        {"type": "no-such-type"},
        {"type": "string", "format": "no-such-format"},
        {"$ref": "http://127.0.0.1:1/schema.json"},
        {"type": "object", "unevaluatedProperties": False, "x-guidance": {"lenient": True}},
        {"type": "string", "maxLength": 5, "description": "a" * 100_000},
    ):
        form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
        answer = chat.post("/v1/completions", {"prompt": "a", "response_format": form})
        assert answer.status_code == 400, (schema, answer.text)
