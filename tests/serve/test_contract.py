"""The contract is met by our server whole, and a server that does not meet it is told so demand by demand."""

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from chainrule.base import ConfigError
from chainrule.cli import main
from chainrule.serve import Caller, conformance, unmet


def test_our_server_meets_every_demand(chat: Any) -> None:
    pytest.importorskip("llguidance")
    found = conformance(Caller(chat.url + "/v1"))
    assert [one for one in found if one.outcome != "met"] == []


def test_a_base_model_offers_no_chat_and_meets_the_rest(base: Any) -> None:
    found = conformance(Caller(base.url))
    assert unmet(found) == []
    assert {one.area for one in found if one.outcome == "not offered"} == {"chat"}


@pytest.fixture(scope="module")
def careless() -> Iterator[str]:
    """A server that answers everything by 200, as those do that pass over what they do not know."""

    class Careless(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            choice = {"index": 0, "text": "a", "finish_reason": "length", "logprobs": None}
            used = {"prompt_tokens": 1, "completion_tokens": 6, "total_tokens": 7}
            body = {"object": "text_completion", "choices": [choice], "usage": used, "data": [{"id": "m"}]}
            self.send_response(200)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *words: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Careless)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_what_a_server_passes_over_in_silence_is_found(careless: str) -> None:
    found = {one.demand: one.outcome for one in conformance(Caller(careless))}
    assert found["text, usage, finish_reason"] == found["/health"] == "met"
    silent = ["echo + logprobs (lm-eval)", "suffix: 400 rather than ignored", "NaN: 400", "another Origin is refused"]
    assert {found[name] for name in silent} == {"unmet"}


def test_nobody_there_is_unmet_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "http://127.0.0.1:9", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["unmet"] > 30


def test_an_address_that_is_none_is_said() -> None:
    with pytest.raises(ConfigError, match="write it like"):
        Caller("localhost:8000")
