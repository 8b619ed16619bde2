"""One request from its texts to its answer: into the engine's queue, and out of it while somebody listens."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from chainrule.serve.answers import Shape, Tally, event
from chainrule.serve.engine import Engine
from chainrule.serve.errors import ApiError, error_body
from chainrule.serve.texts import Failed, Job, Piece, Wanted

# nginx would hold pieces back until it has a page of them.
STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
# Some milliseconds of work; a longer answer is put together in a thread, so that /health gets its turn meanwhile.
LONG_ANSWER_TOKENS = 512


class Hearing:
    """The pieces of a request, from the engine's thread to the server's loop; leaves the engine when it is closed."""

    def __init__(self, engine: Engine, wanted: Sequence[Wanted], model: str) -> None:
        self._engine, self._left = engine, len(wanted)
        self._pieces: asyncio.Queue[Piece | Failed] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._job = Job(tuple(wanted), self._tell, model)
        engine.submit(self._job)

    async def next(self) -> Piece | None:
        """The next piece; None when all texts have ended. Raises ApiError when none will come."""
        if not self._left:
            return None
        piece = await self._pieces.get()
        if isinstance(piece, Failed):
            raise ApiError(piece.status, piece.message)
        self._left -= piece.finish is not None
        return piece

    def close(self) -> None:
        """Nobody listens any more."""
        if self._left:
            self._engine.leave(self._job)

    def _tell(self, piece: Piece | Failed) -> None:
        try:
            self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)
        except RuntimeError:
            self._job.gone = True  # the loop is closed: the server has ended


async def answer(request: Request, engine: Engine, shape: Shape, *, stream: bool) -> Response:
    """The answer, or the first piece of a stream: what goes wrong before is an error with its status.

    Raises ApiError; a client that leaves meanwhile frees its rows.
    """
    hearing = Hearing(engine, shape.wanted, shape.model)
    try:
        work = asyncio.ensure_future(hearing.next() if stream else _all(hearing, len(shape.wanted)))
        gone = asyncio.ensure_future(_gone(request))
        done, _ = await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if work not in done:
            work.cancel()
            hearing.close()
            return Response(status_code=499)
        gone.cancel()
        found = work.result()
    except BaseException:
        hearing.close()
        raise
    if isinstance(found, list):
        long = sum(len(tally.tokens) for tally in found) > LONG_ANSWER_TOKENS
        content = await asyncio.to_thread(shape.whole, found) if long else shape.whole(found)
        return Response(content, media_type="application/json")
    return StreamingResponse(_stream(hearing, shape, found), media_type="text/event-stream", headers=STREAM_HEADERS)


async def _all(hearing: Hearing, n_texts: int) -> list[Tally]:
    tallies = [Tally() for _ in range(n_texts)]
    while piece := await hearing.next():
        tallies[piece.index].add(piece)
    return tallies


async def _stream(hearing: Hearing, shape: Shape, first: Piece | None) -> AsyncIterator[bytes]:
    """All events; an error in their midst is one too, and then no [DONE] follows."""

    async def pieces() -> AsyncIterator[Piece]:
        piece = first
        while piece:
            yield piece
            piece = await hearing.next()

    try:
        async for content in shape.pieces(pieces()):
            yield content
    except ApiError as fault:
        yield event(error_body(fault))
    finally:
        hearing.close()


async def _gone(request: Request) -> None:
    """Returns when the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


class Held(Response):
    """An answer with something that has to be let go of when all of it is sent, or when its client has left."""

    def __init__(self, sent: Response, let_go: Callable[[], None]) -> None:
        self._sent, self._let_go, self.background = sent, let_go, None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it."""
        try:
            await self._sent(scope, receive, send)
        finally:
            self._let_go()
