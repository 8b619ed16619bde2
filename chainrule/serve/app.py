"""The routes: OpenAI's interface, the tokenizer, and how the server is doing."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from chainrule import __version__
from chainrule.base import UserError
from chainrule.serve.answering import Held, answer
from chainrule.serve.answers import Shape
from chainrule.serve.asked import REFUSED, ChatRequest, CompletionRequest, DetokenizeRequest, TokenizeRequest
from chainrule.serve.bodies import ParsedRoute
from chainrule.serve.desk import Desk
from chainrule.serve.errors import ERRORS, ApiError, error_response
from chainrule.serve.guard import Guard
from chainrule.serve.metrics import Metrics
from chainrule.serve.offers import Offer
from chainrule.serve.own_routes import own_routes
from chainrule.serve.pages import page_routes
from chainrule.serve.settings import Serving
from chainrule.serve.shelf import Seat, Shelf
from chainrule.serve.texts import Wanted
from chainrule.serve.written import WrittenResponse

# Fields of several types, of which pydantic would tell each that was not met.
FORMS = {
    "stop": "a text or a list of at most 16, each of at most 256 characters",
}
WRITTEN: dict[int | str, dict[str, Any]] = {
    200: {"description": "The answer, whole or with `stream` in pieces.", "content": {"text/event-stream": {}}}
}
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class Api:
    """What the routes share."""

    def __init__(self, offers: Sequence[Offer], settings: Serving) -> None:
        self.metrics = Metrics()
        self.shelf = Shelf(offers, settings, self.metrics)
        first = self.shelf.first
        self.name, self.engine, self.desk, self.words = first.name, first.engine, first.desk, first.words
        self.created = int(time.time())

    async def write(self, request: Request, asked: CompletionRequest | ChatRequest) -> Response:
        """The answer to a request for texts, by the model that it names."""
        options = asked.stream_options
        if options is not None and not asked.stream:
            raise ApiError(400, "stream_options needs stream: true", param="stream_options")
        seat = await self.shelf.take(asked.model)
        try:
            shape = Shape(
                isinstance(asked, ChatRequest),
                seat.name,
                seat.words,
                tuple(await asyncio.to_thread(_texts, seat.desk, asked)),
                asked.n or 1,
                bool(options and options.include_usage),
                bool(asked.return_token_ids),
            )
            sent = await answer(request, seat.engine, shape, stream=bool(asked.stream))
        except BaseException:
            self.shelf.give_back(seat)
            raise
        return Held(sent, lambda: self.shelf.give_back(seat))


def _texts(desk: Desk, asked: CompletionRequest | ChatRequest) -> list[Wanted]:
    return desk.chat(asked) if isinstance(asked, ChatRequest) else desk.completion(asked)


def build_app(offers: Sequence[Offer], settings: Serving) -> FastAPI:
    """The server's application around models; their engines run between the application's start and end."""
    api = Api(offers, settings)

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        api.shelf.start()
        try:
            yield
        finally:
            await asyncio.to_thread(api.shelf.stop)

    # Without its pages of documentation, which load scripts from elsewhere; /openapi.json stays.
    app = FastAPI(
        title="chainrule serve",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=running,
        default_response_class=WrittenResponse,
    )
    app.state.api = api
    for routes in (_writing_routes(api), _tokenizer_routes(api), _state_routes(api), own_routes(api.shelf)):
        app.include_router(routes, responses=ERRORS)
    app.include_router(page_routes())
    _tell_errors(app)
    app.add_middleware(Counted, metrics=api.metrics)
    app.add_middleware(Guard, settings=settings)
    return app


def _writing_routes(api: Api) -> APIRouter:
    routes = APIRouter(route_class=ParsedRoute)

    @routes.post("/v1/completions", responses=WRITTEN)
    async def completions(asked: CompletionRequest, request: Request) -> Response:
        return await api.write(request, asked)

    @routes.post("/v1/chat/completions", responses=WRITTEN)
    async def chat(asked: ChatRequest, request: Request) -> Response:
        return await api.write(request, asked)

    return routes


def _tokenizer_routes(api: Api) -> APIRouter:
    routes, tokenizer = APIRouter(route_class=ParsedRoute), api.desk.opened.tokenizer

    @routes.post("/tokenize")
    def tokenize(asked: TokenizeRequest) -> dict[str, Any]:
        """Ids of a text. A text that is the name of a control token and nothing else is that token.

        lm-eval asks so for the id of the end of text; in any other text a name is ordinary characters.
        """
        desk = api.shelf.parent(asked.model).desk
        control = desk.opened.tokenizer.control_tokens.get(asked.prompt)
        ids = desk.encode(asked.prompt, "prompt") if control is None else [control]
        return {"tokens": ids, "count": len(ids), "max_model_len": desk.max_length}

    @routes.post("/detokenize")
    def detokenize(asked: DetokenizeRequest) -> dict[str, Any]:
        """The text of ids; control tokens have none."""
        return {"prompt": api.shelf.parent(asked.model).opened.tokenizer.decode(asked.tokens)}

    @routes.get("/tokenizer_info")
    def tokenizer_info() -> dict[str, Any]:
        """What lm-eval asks for in place of a tokenizer of its own."""
        template, end = api.desk.opened.template, api.words.end_of_text
        return {
            "tokenizer_class": "chainrule",
            "vocab_size": tokenizer.vocab_size,
            "eos_token": end,
            "bos_token": (template.variables.get("bos_token") if template else None) or end,
            "pad_token": end,
            "chat_template": template.source if template else None,
            "fingerprint": tokenizer.fingerprint,
        }

    return routes


def _state_routes(api: Api) -> APIRouter:
    routes = APIRouter()

    def described(seat: Seat, step: int | None = None) -> dict[str, Any]:
        offer = seat.offer
        of_run = {} if step is None or offer.run is None else {"origin": offer.origin_of(step), "step": step}
        return {
            "id": seat.name if step is None else offer.of_step(step),
            "object": "model",
            "created": api.created,
            "owned_by": "chainrule",
            # vLLM's word for what an adapter stands on; of a checkpoint it is its run.
            "parent": None if step is None and seat.name == offer.name else offer.name,
            "max_model_len": seat.engine.max_length,
            "origin": seat.opened.origin,
            "chat": seat.opened.template is not None,
            **of_run,
        }

    @routes.get("/v1/models")
    def models() -> dict[str, Any]:
        """What was given, adapters behind their base, then the checkpoints of runs."""
        seats, parent = api.shelf.given, api.shelf.parent
        steps = [(parent(offer.name), step) for offer in api.shelf.offers for step in api.shelf.steps_of(offer)]
        return {"object": "list", "data": [*map(described, seats), *(described(*one) for one in steps)]}

    @routes.get("/v1/models/{name:path}")
    def model(name: str) -> dict[str, Any]:
        return described(api.shelf.parent(name), api.shelf.offer_of(name)[1])

    @routes.get("/health")
    async def health() -> WrittenResponse:
        """200 while texts are written, 503 when the server ends or its engine has died."""
        load, alive = api.shelf.load, api.shelf.alive
        content = {"status": "ok" if alive else "ending", "active": load.active, "waiting": load.waiting}
        return WrittenResponse(content, 200 if alive else 503)

    @routes.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        load = api.shelf.load
        gauges = {"active_texts": load.active, "waiting_requests": load.waiting, "prefix_bytes": load.prefix_bytes}
        return PlainTextResponse(api.metrics.text(gauges), media_type=PROMETHEUS)

    return routes


def _tell_errors(app: FastAPI) -> None:
    """Every error in OpenAI's shape."""

    @app.exception_handler(ApiError)
    async def refused(request: Request, fault: ApiError) -> WrittenResponse:
        return error_response(fault)

    @app.exception_handler(UserError)
    async def mistaken(request: Request, fault: UserError) -> WrittenResponse:
        return error_response(ApiError(400, str(fault)))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, fault: RequestValidationError) -> WrittenResponse:
        return error_response(_invalid(fault))

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, fault: HTTPException) -> WrittenResponse:
        told = f"{request.method} {request.url.path[:200]}: {fault.detail}"
        return error_response(ApiError(fault.status_code, told), fault.headers)

    @app.exception_handler(Exception)
    async def failed(request: Request, fault: Exception) -> WrittenResponse:
        return error_response(ApiError(500, "the server failed at this request; its log says why"))


def _invalid(fault: RequestValidationError) -> ApiError:
    """The first mistake in a request, by its field."""
    first = fault.errors()[0]
    words = str(first["msg"]).removeprefix("Value error, ")
    # Behind the body and the field stand places in a list, and branches of a type, which are nobody's words.
    place = [str(part) for part in first["loc"][1:] if str(part).isidentifier() or isinstance(part, int)]
    if not place:
        name = words.partition(" ")[0]
        return ApiError(400, words, param=name if name in REFUSED else None)
    if place[0] in FORMS:
        return ApiError(400, f"{place[0]} is {FORMS[place[0]]}", param=place[0])
    return ApiError(400, f"{'.'.join(place)}: {words}", param=place[0])


class Counted:
    """ASGI middleware: how many requests had which status."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything on."""

        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                # The route that answers, not the path: paths come from clients and have no end.
                route = getattr(scope.get("route"), "path", "none")
                self._metrics.add("requests", labels=f'{{route="{route}",status="{message["status"]}"}}')
            await send(message)

        await self._app(scope, receive, sent if scope["type"] == "http" else send)
