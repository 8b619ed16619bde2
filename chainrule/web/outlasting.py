"""uvicorn's protocol for one connection, made to outlast clients that speak no HTTP, or speak it very slowly.

uvicorn 0.54 answers a body that is no HTTP with 400 although an answer may have begun or been given, which h11 refuses:
a traceback in the log, and in the worst case one that nothing catches. And it waits for ever for the rest of a head.
The class comes from whoever has the package.
"""

import asyncio
from typing import Any

# A head is a few kB, and a client of this machine sends it at once; through a bad network it may take seconds.
HEAD_SECONDS = 20.0


def steadfast(protocol: type[Any], refusal: type[Exception], head_seconds: float = HEAD_SECONDS) -> type[Any]:
    """The protocol class that closes a connection without a whole head in `head_seconds`, and answers rubbish once.

    `protocol` is uvicorn's H11Protocol, `refusal` h11's LocalProtocolError: what it raises for an answer out of turn.
    """

    class Steadfast(protocol):  # type: ignore[misc]
        _patience: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._wait_for_a_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._head_is_there()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            before = self.cycle
            super().data_received(data)
            if self.cycle is not before:
                self._head_is_there()
            elif self.cycle is None or self.cycle.response_complete:
                self._wait_for_a_head()

        def send_400_response(self, msg: str) -> None:
            cycle = self.cycle
            if cycle is not None and not cycle.response_complete:
                # The application hears that the client is gone, and what it still sends goes nowhere.
                cycle.disconnected = True
                cycle.message_event.set()
            try:
                super().send_400_response(msg)
            except refusal:
                self.transport.close()

        def _wait_for_a_head(self) -> None:
            if self._patience is None and not self.transport.is_closing():
                self._patience = self.loop.call_later(head_seconds, self.transport.close)

        def _head_is_there(self) -> None:
            if self._patience is not None:
                self._patience.cancel()
                self._patience = None

    return Steadfast
