"""A plain HTTP client for trying servers: it sends what no well-mannered client would, and trusts no answer."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from chainrule.base import ConfigError

JSON = "application/json"
ANSWER_BYTES = 64 * 2**20


class UnmetError(Exception):
    """A demand of the contract that is not met, in words."""


class NotOfferedError(Exception):
    """The server says plainly that it does not offer this."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def json(self) -> Any:
        """The body as JSON; raises UnmetError when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise UnmetError(f"status {self.status}, and the body is no JSON: {self.body[:80]!r}") from None

    def ok(self) -> Any:
        """The JSON of a 200; raises UnmetError for anything else."""
        if self.status != 200:
            raise UnmetError(f"status {self.status}: {self.body[:120].decode(errors='replace')}")
        return self.json

    def refused(self, *statuses: int) -> Any:
        """The error of one of these statuses, which has OpenAI's shape."""
        if self.status not in statuses:
            raise UnmetError(f"status {self.status}, not {' or '.join(map(str, statuses))}")
        error = self.json.get("error") if isinstance(self.json, dict) else None
        if not isinstance(error, dict) or not isinstance(error.get("message"), str):
            raise UnmetError(f"status {self.status}, and no error.message")
        return error

    def events(self) -> list[Any]:
        """The objects of a stream, which has to end by [DONE]."""
        if self.status != 200 or not self.headers.get("content-type", "").startswith("text/event-stream"):
            raise UnmetError(f"status {self.status}, {self.headers.get('content-type')}: no stream")
        data = [line[5:].strip() for line in self.body.split(b"\n") if line.startswith(b"data:")]
        if not data or data[-1] != b"[DONE]":
            raise UnmetError("the stream does not end by data: [DONE]")
        return [json.loads(one) for one in data[:-1]]


@dataclass(frozen=True)
class Caller:
    """Calls one server; `url` may end by /v1. Raises ConfigError for an address that is none."""

    url: str
    token: str | None = None
    model: str | None = None
    timeout: float = 60.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{self.url!r} is no server's address; write it like http://127.0.0.1:8000")

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET."""
        return self.send("GET", path, b"", headers or {})

    def post(self, path: str, content: Any, headers: Mapping[str, str] | None = None) -> Answer:
        """POST of JSON, the model's name among it; bytes are sent as they are."""
        if isinstance(content, dict) and self.model is not None:
            content = {"model": self.model, **content}
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.send("POST", path, body, {"Content-Type": JSON, **(headers or {})})

    def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Any request; raises UnmetError when nothing comes back."""
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=self.timeout)
        token = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            connection.request(method, self._path(path), body or None, {**token, **headers})
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, told, answer.read(ANSWER_BYTES))
        except (OSError, http.client.HTTPException) as fault:
            raise UnmetError(f"no answer: {fault or type(fault).__name__}") from None
        finally:
            connection.close()

    def _path(self, path: str) -> str:
        return urlsplit(self.url).path.rstrip("/").removesuffix("/v1") + path
