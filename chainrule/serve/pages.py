"""The files of the playground, out of the package: from the folder `page` beside this file and from nowhere else.

What the page may do is said by its Content-Security-Policy: own scripts and styles, calls to this server, no frames.
"""

from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter
from fastapi.responses import Response

from chainrule.serve.errors import ApiError

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".json": "application/json",
}
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def page_routes() -> APIRouter:
    """`/` and `/assets/NAME`: the files that were there when the server began, by their names."""
    routes, folder = APIRouter(), files("chainrule.serve") / "page"
    page = folder / "index.html"
    assets = {one.name: one for one in _files(folder / "assets")}

    # `def`, not `async def`: a file is read in a thread.
    @routes.get("/", include_in_schema=False)
    def index() -> Response:
        return _sent(page)

    @routes.get("/assets/{name}", include_in_schema=False)
    def asset(name: str) -> Response:
        if name not in assets:
            raise ApiError(404, "there is no such file")
        return _sent(assets[name])

    return routes


def _files(folder: Traversable) -> list[Traversable]:
    return [one for one in folder.iterdir() if _kind(one.name)] if folder.is_dir() else []


def _kind(name: str) -> str | None:
    return next((kind for end, kind in KINDS.items() if name.endswith(end)), None)


def _sent(file: Traversable) -> Response:
    return Response(file.read_bytes(), headers=HEADERS, media_type=_kind(file.name))
