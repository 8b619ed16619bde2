"""What is asked of every request before anything else looks at it: who calls, from where, with how much.

Who may call is said by `web` (Host, Origin, Sec-Fetch-Site, token). Nor can a page of another site send
`application/json` without being allowed to: that is asked of every body.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chainrule.serve.bodies import PARSED, strict_json
from chainrule.serve.errors import ApiError, error_response
from chainrule.serve.settings import BODY_BYTES, BODY_SECONDS, Serving
from chainrule.web import SAFE_HEADERS, RefusedError

LONG_BODY_BYTES = 2**16
# Without a token: whether it lives, and the page in which a token can be typed.
OPEN_ROUTES = ("/health", "/")
OPEN_FOLDER = "/assets/"


class Guard:
    """ASGI middleware; refusals are JSON. The body of a POST is read, bounded and parsed before the route sees it."""

    def __init__(self, app: ASGIApp, settings: Serving) -> None:
        self._app, self._callers = app, settings.callers
        # One thread: while it parses nothing else runs anyway, and each more would keep the memory of its largest body.
        self._parsing = ThreadPoolExecutor(1, "chainrule-bodies")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what may pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send) if scope["type"] == "lifespan" else None
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        origin = self._callers.named_origin(headers)
        told = _with_headers(send, {"Access-Control-Allow-Origin": origin, "Vary": "Origin"} if origin else {})
        try:
            self._callers.check_caller(scope["method"], scope["headers"])
            if scope["method"] == "OPTIONS" and origin:
                await _preflight(told)
                return
            if scope["path"] not in OPEN_ROUTES and not scope["path"].startswith(OPEN_FOLDER):
                self._callers.check_token(headers)
            # No route takes a body with another method: those get their 405.
            if scope["method"] == "POST":
                _check_kind(headers)
                content = await _body(headers, receive)
                scope[PARSED] = await self._parsed(content)
                receive = _again(content, receive)
        except RefusedError as refusal:
            fault = ApiError(refusal.status, str(refusal), code=refusal.code)
            await error_response(fault, {"Connection": "close"})(scope, receive, told)
            return
        except ApiError as fault:
            await error_response(fault, {"Connection": "close"})(scope, receive, told)
            return
        await self._app(scope, receive, told)

    async def _parsed(self, content: bytes) -> object:
        """Its value; a long body is looked through in a thread, which lets /health have its turn now and then."""
        if len(content) <= LONG_BODY_BYTES:
            return strict_json(content)
        return await asyncio.get_running_loop().run_in_executor(self._parsing, strict_json, content)


def _check_kind(headers: Mapping[str, str]) -> None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(415, f"Content-Type is {kind or 'missing'}; send application/json")
    if headers.get("content-encoding", "identity") != "identity":
        raise ApiError(415, "send the body without Content-Encoding")


async def _body(headers: Mapping[str, str], receive: Receive) -> bytes:
    """The whole body, checked; raises ApiError as soon as it is too long or too slow."""
    length = headers.get("content-length", "0")
    if length.isdigit() and len(length) < 20 and int(length) > BODY_BYTES:
        raise _too_large()
    try:
        content = await asyncio.wait_for(_read(receive), BODY_SECONDS)
    except TimeoutError:
        raise ApiError(408, f"the body did not arrive within {BODY_SECONDS:.0f} seconds") from None
    return content


async def _read(receive: Receive) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ApiError(400, "the client left")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_BYTES:
            raise _too_large()
        if not message.get("more_body"):
            return b"".join(parts)


def _too_large() -> ApiError:
    return ApiError(413, f"the body is larger than {BODY_BYTES:,} bytes")


def _again(content: bytes, receive: Receive) -> Receive:
    """Gives the body that was read, then what comes (that the client leaves)."""
    waiting: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def received() -> Message:
        return waiting.pop() if waiting else await receive()

    return received


def _with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    """Adds headers to every answer, and those that are safe for all."""
    more = {**SAFE_HEADERS, **headers}
    raw = [(name.lower().encode(), value.encode()) for name, value in more.items()]

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *raw]}
        await send(message)

    return sent


async def _preflight(send: Send) -> None:
    allowed = "authorization, content-type"
    headers = {"access-control-allow-methods": "GET, POST", "access-control-allow-headers": allowed}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 204, "headers": raw})
    await send({"type": "http.response.body", "body": b""})
