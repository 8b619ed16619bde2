"""A connection that sends no whole head is closed; one that sends its requests slowly, and several of them, is not."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

uvicorn = pytest.importorskip("uvicorn")
h11 = pytest.importorskip("h11")

from uvicorn.protocols.http.h11_impl import H11Protocol  # noqa: E402

from chainrule.web import Callers, listen, steadfast  # noqa: E402

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a server that waits half a second for a head."""
    protocol = steadfast(H11Protocol, h11.LocalProtocolError, head_seconds=0.5)
    server = uvicorn.Server(uvicorn.Config(application, http=protocol, ws="none", lifespan="off", log_level="critical"))
    listening = listen(Callers(port=0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(20)
    listening.close()


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 4)


@pytest.mark.parametrize("beginning", [b"", b"GET / HT", HEAD[:-2], HEAD[:-2] + b"X: "])
def test_half_a_head_is_waited_for_no_longer(port, beginning):
    with connected(port) as client:
        client.sendall(beginning)
        assert client.recv(99) == b""  # a TimeoutError where it stays open


def test_half_a_second_head_is_waited_for_no_longer(port):
    with connected(port) as client:
        client.sendall(HEAD)
        assert b"204" in client.recv(999)
        client.sendall(HEAD[:5])
        assert client.recv(99) == b""


def test_heads_that_come_in_time_keep_a_connection_as_long_as_they_come(port):
    with connected(port) as client:
        for _ in range(4):
            client.sendall(HEAD[:5])
            time.sleep(0.25)
            client.sendall(HEAD[5:])
            assert b"204" in client.recv(999)
