"""Requests as bytes on a socket, most of which no client would send: for every server of ours."""

import json
import logging
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

ACTS = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
HOST, JSON = b"Host: 127.0.0.1\r\nConnection: close\r\n", b"Content-Type: application/json\r\n"
CHUNKED = JSON + b"Transfer-Encoding: chunked\r\n"
ASKED = json.dumps({"prompt": "a", "max_tokens": 1}).encode()
EVIL = b"Host: evil.example\r\n"


def get(path: bytes = b"/health", head: bytes = HOST, method: bytes = b"GET") -> bytes:
    return method + b" " + path + b" HTTP/1.1\r\n" + head + b"\r\n"


def post(body: bytes = ASKED, more: bytes = JSON, length: int | None = None, host: bytes = HOST) -> bytes:
    size = b"Content-Length: %d\r\n" % (len(body) if length is None else length)
    return get(b"/v1/completions", host + more + size, b"POST") + body


def chunked(body: bytes, host: bytes = HOST) -> bytes:
    return get(b"/v1/completions", host + CHUNKED, b"POST") + body


def with_length(length: bytes) -> bytes:
    return get(b"/v1/completions", HOST + JSON + b"Content-Length: " + length + b"\r\n", b"POST") + ASKED


def bodies() -> dict[str, bytes]:
    """Bodies that are no JSON, or no object, or too much of it."""
    return {
        **{"deep": b"[" * 10**5, "deep and closed": b"[" * 10**5 + b"]" * 10**5, "deep objects": b'{"a":' * 10**5},
        **{"NaN": b'{"prompt":"a","temperature":NaN}', "infinite": b'{"prompt":"a","temperature":1e999}'},
        **{"many digits": b'{"prompt":"a","max_tokens":' + b"9" * 10**5 + b"}", "nothing": b"", "NULs": b"\0" * 100},
        **{
            "a BOM": b"\xef\xbb\xbf" + ASKED,
            "UTF-16": ASKED.decode().encode("utf-16"),
            "null": b"null",
            "a list": b"[]",
        },
        **{"half a letter": b'{"prompt":"\\ud800","max_tokens":1}', "Latin-1": b'{"prompt":"\xff"}'},
    }


REFUSED = {
    **{
        "line ends": b"\r\n" * 1000,
        "rubbish": bytes(range(256)) * 10,
        "TLS": b"\x16\x03\x01\0\xc8\x01\0\0\xc4\x03\3" * 9,
    },
    **{
        "no version": b"GET /\r\n\r\n",
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "NUL method": get(method=b"G\0T"),
    },
    **{
        "long method": get(method=b"G" * 10**5),
        "CONNECT": get(b"a:443", method=b"CONNECT"),
        "TRACE": get(method=b"TRACE"),
    },
    **{"OPTIONS *": get(b"*", method=b"OPTIONS"), "another's address": get(b"http://evil.example/health")},
    **{
        "a head of 1 MB": get(head=HOST + b"X: " + b"a" * (1 << 20) + b"\r\n"),
        "a path of 1 MB": get(b"/" + b"a" * (1 << 20)),
    },
    "100,000 headers": get(head=HOST + b"X: a\r\n" * 10**5),
    **{
        "NUL in a path": get(b"/v1/\0models"),
        "%00 in a path": get(b"/assets/%00.js"),
        "Latin-1 path": get(b"/\xff\xfe"),
    },
    **{"..": get(b"/assets/../../../etc/passwd"), "%2e%2e": get(b"/assets/%2e%2e/%2e%2e/etc/passwd")},
    **{
        "..%5c": get(b"/assets/..%5c..%5cx"),
        "half %": get(b"/assets/%zz%"),
        "half a letter": get(b"/v1/models/%ed%a0%80"),
    },
    **{
        "a path that acts": get(b"/v1/models/%1b%5d0;t%07%c2%9b%e2%80%ae"),
        "another that acts": get(b"/%1b%5d%e2%80%ae%c2%9b"),
    },
    **{
        "//": get(b"//evil.example/x"),
        "a deep path": get(b"/a" * 30_000),
        "no host": get(head=b"Connection: close\r\n"),
    },
    **{
        "two hosts": get(head=HOST + HOST),
        "another host": get(head=EVIL),
        "a host that acts": get(head=b"Host: \x1b]0;\x07\r\n"),
    },
    **{
        "a long host": get(head=b"Host: " + b"a" * 30_000 + b"\r\n"),
        "a host in Latin-1": get(head=b"Host: \xff\x9b\r\n"),
    },
    **{
        "another origin": post(more=JSON + b"Origin: http://evil.example\r\n"),
        "no origin": post(more=JSON + b"Origin: null\r\n"),
    },
    **{
        "an origin that acts": get(head=HOST + b"Origin: \x1b]0;t\x07\x9b\r\n"),
        "no colon": get(head=HOST + b"rubbish\r\n"),
    },
    **{
        "another site": post(more=JSON + b"Sec-Fetch-Site: cross-site\r\n"),
        "NUL in a header": get(head=HOST + b"X: a\0b\r\n"),
    },
    **{
        f"a length of {one!r}": with_length(one)
        for one in (b"-1", b"abc", b"1e3", b"9" * 30, b"0x10", b"\xc2\xb2", b"1_0")
    },
    "two lengths": with_length(b"5\r\nContent-Length: 6"),
    **{
        "too short a length": post(length=3),
        "a body of 1 GB": post(length=1 << 30),
        "chunks and a length": with_length(b"5"),
    },
    **{"another coding": get(b"/v1/completions", HOST + JSON + b"Transfer-Encoding: gzip\r\n", b"POST") + ASKED},
    **{"chunks of rubbish": chunked(b"zz\r\nabc\r\n"), "a chunk of -5": chunked(b"-5\r\nabc\r\n0\r\n\r\n")},
    **{"a long chunk head": chunked(b"5;" + b"a" * 200_000 + b"\r\nabcde\r\n0\r\n\r\n")},
    **{"a long trailer": chunked(b"0\r\n" + b"X: a\r\n" * 10**5 + b"\r\n")},
    # These are answered before their body has come, and what then comes is no HTTP.
    **{
        "another host with rubbish": chunked(b"zz\r\nabc\r\n", EVIL),
        "PUT with rubbish": get(b"/", HOST + CHUNKED, b"PUT") + b"zz\r\n",
    },
    **{f"{name} as a body": post(body) for name, body in bodies().items()},
    **{
        "plain text": post(more=b"Content-Type: text/plain\r\n"),
        "packed": post(more=JSON + b"Content-Encoding: gzip\r\n"),
    },
    **{
        f"{one!r} /v1/completions": get(b"/v1/completions", method=one)
        for one in (b"PUT", b"DELETE", b"PATCH", b"PROPFIND")
    },
}
"""By what is wrong with them: a server answers each by 4xx."""


def answer_to(url: str, content: bytes, seconds: float = 10.0) -> bytes:
    """All that comes back until the server closes; b"" where it closes without a word."""
    with socket.create_connection((urlsplit(url).hostname or "", urlsplit(url).port or 0), seconds) as client:
        told = b""
        try:
            client.sendall(content)
            while part := client.recv(1 << 16):
                told += part
                # An answer to half a request is whole, and the connection stays open for its rest.
                client.settimeout(0.3)
        except OSError:
            pass  # closed with bytes of ours that nobody read
        return told


def status_of(answer: bytes) -> int:
    return int(answer[9:12]) if answer else 0


def drip(url: str, count: int) -> list[socket.socket]:
    """Connections that have sent the beginning of a head, or of a body, and go on for ever."""
    place = (urlsplit(url).hostname or "", urlsplit(url).port or 0)
    made = [socket.create_connection(place, 10) for _ in range(count)]
    for number, one in enumerate(made):
        one.sendall(post(length=1000)[:-3] if number % 2 else b"GET /health HT")
    return made


@contextmanager
def log() -> Iterator[list[logging.LogRecord]]:
    """What the servers and the event loop log."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in ("uvicorn.error", "asyncio")]
    for one in loggers:
        one.addHandler(handler)
    try:
        yield records
    finally:
        for one in loggers:
            one.removeHandler(handler)


def check_outlasting(url: str, *, alive: bytes = b'"status":"ok"') -> None:
    """Every request of `REFUSED` is answered by 4xx, without a traceback, and nothing in the answers acts."""
    with log() as records:
        answered = 0
        for name, content in REFUSED.items():
            told = answer_to(url, content)
            answered += bool(told)
            assert not told or 400 <= status_of(told) < 500, (name, told[:200])
            assert not ACTS.search(told.decode("utf-8", "replace")), (name, told[:300])
            assert len(told) < 5000, (name, len(told))
        # A few are closed with bytes that nobody read, and then the answer is lost on its way.
        assert answered > 0.8 * len(REFUSED) > 60
        # A second request behind a first whose answer is there, in the midst of its body.
        kept = b"Host: 127.0.0.1\r\n" + CHUNKED
        for rubbish in (b"zz\r\nabc\r\n", b"-5\r\n", b"\0" * 99):
            assert alive in first_then(url, get(b"/health", kept), rubbish)
        waiting = drip(url, 30)
        began = time.monotonic()
        assert alive in answer_to(url, get())
        assert time.monotonic() - began < 5, "30 connections that send nothing hold up one that does"
        for one in waiting:
            one.close()
        assert alive in answer_to(url, get())
        told = [record for record in records if record.exc_info or record.levelno >= logging.ERROR]
        assert not told, told[0].getMessage() + str(told[0].exc_info)


def first_then(url: str, first: bytes, second: bytes) -> bytes:
    """The answer to the first part, and what came when the second was sent behind it."""
    with socket.create_connection((urlsplit(url).hostname or "", urlsplit(url).port or 0), 10) as client:
        client.sendall(first)
        told = client.recv(1 << 16)
        client.settimeout(0.3)
        try:
            client.sendall(second)
            while part := client.recv(1 << 16):
                told += part
        except OSError:
            pass
        return told
