"""The server outlasts clients that speak no HTTP, or half of it, and no field of a request has a type that fails it."""

import itertools
import json
from typing import Any

import pytest
from pydantic import BaseModel
from raw_requests import ACTS, answer_to, check_outlasting, chunked, first_then, get, log, post, status_of

from chainrule.serve.asked import ChatRequest, CompletionRequest, DetokenizeRequest, TokenizeRequest
from chainrule.serve.own_routes import LensRequest

NAME = "a\x1b]0;t\x07\x9b31m\u202ex\u2066\x7f\nchainrule: forged<b onmouseover=x>y"
ROUTES: list[tuple[str, type[BaseModel], dict[str, Any]]] = [
    ("/v1/completions", CompletionRequest, {"prompt": "a", "max_tokens": 1}),
    ("/v1/chat/completions", ChatRequest, {"messages": [{"role": "user", "content": "a"}], "max_tokens": 1}),
    ("/tokenize", TokenizeRequest, {"prompt": "a"}),
    ("/detokenize", DetokenizeRequest, {"tokens": [1]}),
    ("/lens", LensRequest, {"ids": [1, 2]}),
]
VALUES = [
    None,
    True,
    False,
    -1,
    0,
    2**64,
    1.5,
    1e308,
    "",
    NAME,
    "\ud800",
    [],
    [None],
    [[]],
    [NAME],
    {},
    {NAME: NAME},
    {"": {}},
]


def test_a_client_that_speaks_no_http_ends_nothing(chat: Any) -> None:
    check_outlasting(chat.url)


@pytest.mark.parametrize(("path", "kind", "sound"), ROUTES, ids=[one[0] for one in ROUTES])
def test_no_field_has_a_type_that_fails_the_server(chat: Any, path: str, kind: type[BaseModel], sound: Any) -> None:
    names = {field.alias or name for name, field in kind.model_fields.items()}
    assert len(names) >= 2
    with log() as records:
        for name, value in itertools.product(sorted(names), VALUES):
            body = json.dumps(
                {**sound, "max_tokens": 1, name: value} if "max_tokens" in sound else {**sound, name: value}
            )
            answer = chat.client.post(path, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code in (200, 400, 404), (name, value, answer.text)
            assert not ACTS.search(answer.text), (name, value, answer.text)
        assert not [record for record in records if record.exc_info]


def test_rubbish_in_the_midst_of_an_answer_ends_that_connection_alone(chat: Any) -> None:
    body = json.dumps({"prompt": "a", "max_tokens": 200, "stream": True, "ignore_eos": True}).encode()
    whole = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    with log() as records:
        first_then(chat.url, chunked(whole, b"Host: 127.0.0.1\r\n"), b"zz\r\n")
        first_then(chat.url, post(body, host=b"Host: 127.0.0.1\r\n"), b"\0\0\0\r\n\r\n")
        answer_to(chat.url, chunked(whole[: len(body)] + b"\r\nzz\r\n"))
        assert status_of(answer_to(chat.url, get())) == 200
        assert not [record for record in records if record.exc_info]
