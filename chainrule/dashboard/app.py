"""The routes: the page, which runs there are, and what is new of those that are looked at. All of them only read."""

import json
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from chainrule.base import ChainruleError, printable, short_lines
from chainrule.dashboard.asked import apart, closer, listed, news
from chainrule.dashboard.guard import Guard
from chainrule.dashboard.library import Library
from chainrule.web import PAGE_HEADERS, Callers, PageFile, page_files

# Loopback needs no compression, an SSH tunnel does; the fastest level already makes a third of figures.
COMPRESSED_BYTES, COMPRESSION = 4096, 1
JSON_HEADERS = {"Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin"}


def build_app(library: Library, callers: Callers, prefix: str = "") -> Starlette:
    """The application; `prefix` is "" or a path such as /x, under which all of it lies."""
    found = page_files("chainrule.dashboard")

    # `def`, not `async def`: each is run in a thread, because all of them read files.
    def page(request: Request) -> Response:
        return _sent(found[""])

    def asset(request: Request) -> Response:
        name = request.path_params["name"]
        return _sent(found[name]) if name in found else _json({"error": {"message": "there is no such file"}}, 404)

    def runs(request: Request) -> Response:
        return _json(listed(library))

    def what_is_new(request: Request) -> Response:
        return _json(news(library, _pairs(request, "whole"), _pairs(request, "beside")))

    def differences(request: Request) -> Response:
        return _json(apart(library, request.query_params.getlist("run")))

    def part(request: Request) -> Response:
        asked = request.query_params
        try:
            after, until = int(asked.get("after", "")), int(asked.get("until", ""))
        except ValueError:
            return _json({"error": {"message": "after and until are steps: whole numbers"}}, 400)
        return _json({"train": closer(library, asked.get("run", ""), after, until)})

    def health(request: Request) -> Response:
        return _json({"status": "ok"})

    routes: list[BaseRoute] = [
        Route("/", page),
        Route("/assets/{name}", asset),
        Route("/api/runs", runs),
        Route("/api/news", what_is_new),
        Route("/api/part", part),
        Route("/api/differences", differences),
        Route("/health", health),
    ]
    if prefix:
        # The page's addresses are relative: without the stroke at its end they would lie one floor too high.
        own = Route(prefix, lambda request: RedirectResponse(f"{prefix.rsplit('/', 1)[-1]}/"))
        routes = [own, Mount(prefix, routes=routes)]
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(Guard, callers=callers, prefix=prefix),
            Middleware(GZipMiddleware, minimum_size=COMPRESSED_BYTES, compresslevel=COMPRESSION),
        ],
        exception_handlers={ChainruleError: _mistaken, OSError: _mistaken},
    )


def _pairs(request: Request, key: str) -> list[tuple[str, str]]:
    """CURSOR:NAME, a dash for no cursor; a name may hold anything."""
    found = (one.partition(":") for one in request.query_params.getlist(key))
    return [(name, cursor) for cursor, _, name in found]


def _json(content: dict[str, Any], status: int = 200) -> Response:
    # A lone surrogate in a name or a sample, which UTF-8 cannot hold, stays JSON's own escape.
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return Response(text, status, JSON_HEADERS, "application/json")


def _sent(file: PageFile) -> Response:
    return Response(file.read(), headers=PAGE_HEADERS, media_type=file.kind)


async def _mistaken(request: Request, fault: Exception) -> Response:
    """A disk that refuses, a folder of another user: said in the page, which asks again."""
    return _json({"error": {"message": printable(short_lines(str(fault)))}}, 503)
