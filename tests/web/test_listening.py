"""The port of a server: one that is taken, any that is free, and no waiting for what was sent before."""

import asyncio
import socket

import pytest

from chainrule.base import ConfigError
from chainrule.web import Callers, address_of, listen


def test_a_port_in_use_is_said_with_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match=r"another program listens there; take another with --port"):
            listen(Callers(port=taken.getsockname()[1]))


def test_port_zero_is_any_that_is_free() -> None:
    with listen(Callers(port=0)) as one, listen(Callers(port=0)) as two:
        assert address_of(one) != address_of(two) and address_of(one).startswith("http://127.0.0.1:")


def test_what_is_sent_does_not_wait_for_what_was_sent_before() -> None:
    """Nagle's algorithm is off on each connection; asyncio turns it off where a socket says that it is TCP."""
    accepted: asyncio.Queue[int] = asyncio.Queue()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own: socket.socket = writer.get_extra_info("socket")
        accepted.put_nowait(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async def visited() -> int:
        with listen(Callers(port=0)) as listening:
            async with await asyncio.start_server(connected, sock=listening):
                _, writer = await asyncio.open_connection(*listening.getsockname())
                writer.close()
                return await asyncio.wait_for(accepted.get(), 20)

    assert asyncio.run(visited()) != 0
