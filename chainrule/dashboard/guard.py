"""What is asked of every request before anything else looks at it: who calls, and whether it only reads."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chainrule.web import SAFE_HEADERS, Callers, RefusedError

# Without a token: whether it lives, and the page in which a token can be typed.
OPEN_ROUTES = ("/health", "/")
OPEN_FOLDER = "/assets/"
READING = ("GET", "HEAD")


class Guard:
    """ASGI middleware: Host, Origin, token; under a `prefix` alone; and no method that could write."""

    def __init__(self, app: ASGIApp, callers: Callers, prefix: str) -> None:
        self._app, self._callers, self._prefix = app, callers, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what may pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send) if scope["type"] == "lifespan" else None
            return
        try:
            self._callers.check_caller(scope["method"], scope["headers"])
            if scope["method"] not in READING:
                raise RefusedError(405, "this page only reads: GET and HEAD are answered")
            path = scope["path"].removeprefix(self._prefix) or "/"
            if path not in OPEN_ROUTES and not path.startswith(OPEN_FOLDER):
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
                self._callers.check_token(headers)
        except RefusedError as refusal:
            more = {"Allow": "GET, HEAD"} if refusal.status == 405 else {}
            answer = JSONResponse({"error": {"message": str(refusal)}}, refusal.status, {"Connection": "close", **more})
            await answer(scope, receive, _safe(send))
            return
        await self._app(scope, receive, _safe(send))


def _safe(send: Send) -> Send:
    """Adds the headers that are on every answer."""
    raw = [(name.lower().encode(), value.encode()) for name, value in SAFE_HEADERS.items()]

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *raw]}
        await send(message)

    return sent
