"""The files of the playground: its page and what belongs to it, out of the package."""

from fastapi import APIRouter
from fastapi.responses import Response

from chainrule.serve.errors import ApiError
from chainrule.web import PAGE_HEADERS, PageFile, page_files


def page_routes() -> APIRouter:
    """`/` and `/assets/NAME`: the files that were there when the server began, by their names."""
    routes, found = APIRouter(), page_files("chainrule.serve")

    # `def`, not `async def`: a file is read in a thread.
    @routes.get("/", include_in_schema=False)
    def index() -> Response:
        return _sent(found[""])

    @routes.get("/assets/{name}", include_in_schema=False)
    def asset(name: str) -> Response:
        if name not in found:
            raise ApiError(404, "there is no such file")
        return _sent(found[name])

    return routes


def _sent(file: PageFile) -> Response:
    return Response(file.read(), headers=PAGE_HEADERS, media_type=file.kind)
