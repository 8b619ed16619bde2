"""Who may call: by host, origin, kind of content, token and size; on every route."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from serve.servers import running

from chainrule.base import ConfigError
from chainrule.serve.bodies import MOST_VALUES, strict_json
from chainrule.serve.errors import ApiError
from chainrule.serve.settings import BODY_BYTES, Serving

ROUTES = ["/", "/health", "/metrics", "/v1/models", "/tokenizer_info", "/openapi.json", "/checkpoints", "/nothing"]
ASKED = {"prompt": "a", "max_tokens": 1}
EVIL = "https://attacker.example"


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("host", ["attacker.example", "localhost.attacker.example", "127.0.0.1.nip.io", "", "[::2]:80"])
def test_another_host_is_refused_on_every_route(chat: Any, path: str, host: str) -> None:
    answer = chat.client.get(path, headers={"Host": host})
    assert answer.status_code == 421 and "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST", "localhost:1234", "[::1]:80"])
def test_names_of_this_machine_are_answered(chat: Any, host: str) -> None:
    assert chat.client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions", "/tokenize", "/lens", "/nothing"])
def test_pages_of_others_and_plain_text_may_not_write(chat: Any, path: str) -> None:
    origins = [{"Origin": EVIL}, {"Origin": "null"}]
    for headers in (*origins, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        answer = chat.post(path, ASKED, headers=headers)
        assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a", ""):
        body = json.dumps(ASKED).encode()
        assert chat.client.post(path, content=body, headers={"Content-Type": kind}).status_code == 415
    preflight = {"Origin": EVIL, "Access-Control-Request-Method": "POST"}
    answer = chat.client.options(path, headers=preflight)
    assert answer.status_code >= 400 and "access-control-allow-origin" not in answer.headers


def test_the_own_page_may_write(chat: Any) -> None:
    own = {"Origin": chat.url, "Sec-Fetch-Site": "same-origin"}
    assert chat.post("/v1/completions", ASKED, headers=own).status_code == 200


def test_a_link_from_elsewhere_opens_the_page_and_a_script_from_elsewhere_reads_nothing(chat: Any) -> None:
    far = {"Sec-Fetch-Site": "cross-site"}
    page = chat.client.get("/", headers={**far, "Sec-Fetch-Mode": "navigate"})
    assert page.status_code == 200 and "script-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert chat.client.get("/v1/models", headers={**far, "Sec-Fetch-Mode": "cors"}).status_code == 403


def test_a_body_too_large_is_refused_before_it_has_come(chat: Any) -> None:
    parts = urlsplit(chat.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    connection.putrequest("POST", "/v1/completions")
    for name, value in {"Content-Type": "application/json", "Content-Length": str(BODY_BYTES + 1)}.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    chunks = (b" " * 2**20 for _ in range(BODY_BYTES // 2**20 + 2))
    answer = chat.client.post("/v1/completions", content=chunks, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


@pytest.fixture(scope="module")
def closed(base_folder: Path) -> Iterator[Any]:
    with running(base_folder, token="a long secret", origins=("http://friend.example:3000",)) as server:
        yield server


def test_without_the_token_only_health_and_the_page_answer(closed: Any) -> None:
    for given in ("", "Bearer", "Bearer a long secre", "Bearer a long secret2", "Basic a long secret", "Bearer ä"):
        headers = {"Authorization": given.encode("latin-1")}
        assert closed.client.get("/v1/models", headers=headers).status_code == 401
        answer = closed.post("/v1/completions", ASKED, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
        assert all(closed.client.get(path, headers=headers).status_code == 401 for path in ("/metrics", "/checkpoints"))
        assert closed.post("/lens", {"ids": [1, 2]}, headers=headers).status_code == 401
        assert closed.client.get("/health", headers=headers).status_code == 200
        assert closed.client.get("/", headers=headers).status_code == 200
    assert closed.client.get("/v1/models").status_code == 200


def test_an_origin_that_was_named_may_read_and_no_other(closed: Any) -> None:
    friend = {"Origin": "http://friend.example:3000", "Sec-Fetch-Site": "cross-site"}
    answer = closed.post("/v1/completions", ASKED, headers=friend)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == friend["Origin"] and answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers
    preflight = closed.client.options("/v1/completions", headers={**friend, "Access-Control-Request-Method": "POST"})
    assert preflight.status_code == 204
    assert closed.post("/v1/completions", ASKED, headers={"Origin": "http://friend.example"}).status_code == 403


@pytest.mark.parametrize(
    "settings",
    [
        {"host": "0.0.0.0"},
        {"host": "192.168.1.5"},
        {"host": "::"},
        {"token": "short"},
        {"token": "ünïcode token"},
        {"origins": ("*",)},
        {"origins": ("http://a.example/",)},
        {"rows": 0},
        {"max_queue": -1},
        {"max_length": 1},
        {"port": 70_000},
    ],
)
def test_settings_that_would_be_unsafe_or_useless_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Serving(**settings)


def test_json_is_read_as_json() -> None:
    for value in ({"a": [1, 2.5, None, "ü"]}, [], 1e308, {"a": {"b": {}}}):
        assert strict_json(json.dumps(value).encode()) == value


def test_values_are_counted_and_commas_of_texts_are_not() -> None:
    commas = {"prompt": ',[{\\"' * MOST_VALUES, "n": 1}
    assert strict_json(json.dumps(commas).encode()) == commas
    for body in (b"[" + b"1," * MOST_VALUES + b"1]", b"[" + b'"a",' * MOST_VALUES + b'""]', b"[" * 2 * MOST_VALUES):
        with pytest.raises(ApiError, match="values"):
            strict_json(body)
    assert len(strict_json(b"[" + b"1," * (MOST_VALUES - 1) + b"1]")) == MOST_VALUES


def test_only_a_post_can_bring_a_body_and_other_methods_are_told_so(chat: Any) -> None:
    """The guard looks at the bodies of POST alone."""
    told = chat.client.get("/openapi.json").json()["paths"]
    assert {method for path in told.values() for method in path} == {"get", "post"}
    for method in ("PUT", "PATCH", "DELETE", "TRACE"):
        answer = chat.client.request(method, "/v1/completions", content=b"{")
        assert answer.status_code == 405 and answer.headers["Allow"] == "POST", method
