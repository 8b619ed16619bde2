"""The command itself: a port that is taken, an address, a clean end."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from chainrule.base import ConfigError
from chainrule.cli import main
from chainrule.serve.serving import address_of, listen
from chainrule.serve.settings import Serving, token_of


def test_a_port_in_use_is_said_with_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match=r"another program listens there; take another with --port"):
            listen(Serving(port=taken.getsockname()[1]))


def test_port_zero_is_any_that_is_free() -> None:
    with listen(Serving(port=0)) as one, listen(Serving(port=0)) as two:
        assert address_of(one) != address_of(two) and address_of(one).startswith("http://127.0.0.1:")


def test_what_is_sent_does_not_wait_for_what_was_sent_before() -> None:
    """Nagle's algorithm is off on each connection; asyncio turns it off where a socket says that it is TCP."""
    accepted: asyncio.Queue[int] = asyncio.Queue()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own: socket.socket = writer.get_extra_info("socket")
        accepted.put_nowait(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async def visited() -> int:
        with listen(Serving(port=0)) as listening:
            async with await asyncio.start_server(connected, sock=listening):
                _, writer = await asyncio.open_connection(*listening.getsockname())
                writer.close()
                return await asyncio.wait_for(accepted.get(), 20)

    assert asyncio.run(visited()) != 0


def test_an_open_host_without_a_token_is_refused_before_anything_is_opened(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "no-such-model", "--host", "0.0.0.0"]) == 2
    assert "CHAINRULE_TOKEN" in capsys.readouterr().err


def test_a_token_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_TOKEN", "from the environment")
    assert token_of(None) == "from the environment" and token_of("typed here") == "typed here"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_ends_it_cleanly(base_folder: Path, number: int) -> None:
    command = [sys.executable, "-m", "chainrule", "serve", str(base_folder), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        try:
            assert process.stderr is not None
            url = next(line.split()[0] for line in process.stderr if line.startswith("http"))
            asked = {"prompt": "a", "max_tokens": 2}
            answer = httpx.post(f"{url}/v1/completions", json=asked, timeout=60, trust_env=False)
            assert answer.status_code == 200
            process.send_signal(number)
            assert process.wait(20) == 0
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()
