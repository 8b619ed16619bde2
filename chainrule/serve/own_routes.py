"""Routes that no other server has: the checkpoints of runs with their curve, and the lens on one token."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import FailFast, Field

from chainrule.base import LensError, count_text, finite
from chainrule.checkpoint import OpenedModel
from chainrule.lens import picture, render
from chainrule.lens.ledgers import token_facts
from chainrule.lens.opening import look_at_token, subject_of_token
from chainrule.serve.asked import Asked, Id
from chainrule.serve.bodies import ParsedRoute
from chainrule.serve.curves import checkpoints_of, curve_of
from chainrule.serve.errors import ApiError
from chainrule.serve.shelf import Seat, Shelf
from chainrule.serve.written import WrittenResponse

# The lens keeps every tensor: SmolLM2-135M and 64 tokens take it some 20 s and 1 GB here.
MOST_TOKENS = 256
# A picture of all operations looks at every weight: 2M take 5 s, 135M a minute.
MOST_DRAWN = 30_000_000
# A page is kept by whoever asked for it, and is no page of this server: nothing of it runs here.
PAGE_HEADERS = {
    "Content-Disposition": 'attachment; filename="token.html"',
    "Content-Security-Policy": "sandbox",
    "Cache-Control": "no-store",
}
LOOKED: dict[int | str, dict[str, Any]] = {
    200: {"description": "Figures, or a page of all operations.", "content": {"text/html": {}}}
}


class LensRequest(Asked):
    """POST /lens: the last of `ids`, after the others, in figures or as a page of all operations."""

    model: str | None = None
    ids: Annotated[list[Id], Field(min_length=2, max_length=MOST_TOKENS + 1), FailFast()]
    form: Literal["figures", "page"] = "figures"


def own_routes(shelf: Shelf) -> APIRouter:
    """`/checkpoints` and `/lens`."""
    routes, free = APIRouter(route_class=ParsedRoute), threading.Lock()

    @routes.get("/checkpoints")
    def checkpoints() -> dict[str, Any]:
        """Of each run that is served: its checkpoints, by the names that they have as models, and its curve."""
        runs = [(offer, offer.run) for offer in shelf.offers if offer.run is not None]
        found = [
            {
                "model": offer.name,
                "step": offer.opened.step,
                "checkpoints": checkpoints_of(run, shelf.steps_of(offer), shelf.in_memory, offer.name),
                **curve_of(run),
            }
            for offer, run in runs
        ]
        return {"object": "list", "data": found}

    @routes.post("/lens", responses=LOOKED)
    async def lens(asked: LensRequest) -> Response:
        """What the probability of one token hangs on. One at a time: it takes seconds, and the memory of a step."""
        seat = await shelf.take(asked.model)
        try:
            with _alone(free):
                return await asyncio.to_thread(_looked, seat, asked)
        finally:
            shelf.give_back(seat)

    return routes


@contextmanager
def _alone(free: threading.Lock) -> Iterator[None]:
    if not free.acquire(blocking=False):
        raise ApiError(429, "the lens looks at another token already; try again later", code="lens_busy")
    try:
        yield
    finally:
        free.release()


def _looked(seat: Seat, asked: LensRequest) -> Response:
    if asked.form == "page":
        page = _page(seat.opened, asked.ids)
        return Response(page, media_type="text/html; charset=utf-8", headers=PAGE_HEADERS)
    look = look_at_token(seat.opened.model, asked.ids)
    told = replace(look, words=tuple(map(seat.words.word, look.ids)))
    return WrittenResponse({"object": "lens.token", "model": seat.name, **finite(token_facts(told))})


def _page(opened: OpenedModel, ids: Sequence[int]) -> str:
    """All operations of the token's loss, as the lens draws them."""
    n = sum(weight.numel() for weight in opened.model.parameters())
    if n > MOST_DRAWN:
        raise LensError(
            f"a picture of all operations is drawn of models up to {count_text(MOST_DRAWN)} weights, and this one has "
            f"{count_text(n)}; the figures of the token are there for it"
        )
    subject = subject_of_token(opened.model, ids)
    return render(picture(subject.record(), title=subject.name), "html")
