"""Who may call a server of this machine: by which name, from which page, with which token.

A page of any site can make a browser send requests to this machine. It cannot choose the Host header (which gives away
DNS rebinding), nor Origin and Sec-Fetch-Site: these are checked on every route, before anything else.
Nothing is answered to other origins unless they were named.
"""

import hmac
import ipaddress
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chainrule.base import ConfigError, printable, short_lines

RawHeaders = Iterable[tuple[bytes, bytes]]


class RefusedError(Exception):
    """A request that is refused: the HTTP `status`, a message for a person, a word for programs."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        # It repeats headers, which may be long, and act.
        super().__init__(printable(short_lines(message)))
        self.status, self.code = status, code


@dataclass(frozen=True)
class Callers:
    """Where a server listens, and to whom it answers. Raises ConfigError for what would be unsafe or cannot be."""

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    hosts: tuple[str, ...] = ()
    """Names besides localhost by which it may be called."""
    origins: tuple[str, ...] = ()
    """Pages of other servers that may call it (CORS); none unless named."""

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise ConfigError(f"port={self.port} is none; use 0 (any that is free) to 65535")
        if self.token is not None and (len(self.token) < 8 or not self.token.isascii() or not self.token.isprintable()):
            raise ConfigError("the token is too short or has odd characters; use at least 8 of ASCII's")
        if not is_loopback(self.host) and not self.token:
            raise ConfigError(
                f"host={self.host} can be reached by others, and there is no token: give --token (or set "
                "CHAINRULE_TOKEN), or stay on 127.0.0.1"
            )
        for origin in self.origins:
            if not origin.startswith(("http://", "https://")) or origin.rstrip("/") != origin or "*" in origin:
                raise ConfigError(f"origin {origin!r} is none; write it like http://localhost:3000, without a path")

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """The names that a Host header may have."""
        return frozenset({"localhost", "127.0.0.1", "[::1]", _written(self.host), *map(str.lower, self.hosts)})

    def named_origin(self, headers: Mapping[str, str]) -> str | None:
        """The origin of the calling page, where it is one of those that were named."""
        origin = headers.get("origin")
        return origin if origin in self.origins else None

    def check_caller(self, method: str, raw: RawHeaders) -> None:
        """Raises RefusedError for a Host that is not ours, and for a page of another origin that was not named."""
        found = list(raw)
        headers = plain_headers(found)
        host = headers.get("host", "")
        if sum(name == b"host" for name, _ in found) != 1 or _name(host) not in self.allowed_hosts:
            raise RefusedError(421, f"this server does not answer to the host {host!r}; name it with --allow-host")
        if self.named_origin(headers) is not None:
            return
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            raise RefusedError(403, f"pages of {origin!r} may not call this server; name them with --allow-origin")
        visits = method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
        if site not in ("same-origin", "none") and not visits:
            raise RefusedError(403, "pages of another site may not call this server; name them with --allow-origin")

    def check_token(self, headers: Mapping[str, str]) -> None:
        """Raises RefusedError for a request without the server's token, where it has one."""
        if self.token is None:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # In constant time: how long a comparison takes would tell how much of a guess was right.
        right = hmac.compare_digest(given.strip().encode(), self.token.encode())
        if scheme.lower() != "bearer" or not right:
            raise RefusedError(401, "give the server's token: Authorization: Bearer …", code="invalid_api_key")


def plain_headers(raw: RawHeaders) -> dict[str, str]:
    """The headers by name, as text."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def token_of(given: str | None) -> str | None:
    """The token that was typed, or CHAINRULE_TOKEN, which no list of processes shows."""
    return given or os.environ.get("CHAINRULE_TOKEN") or None


def _written(host: str) -> str:
    return f"[{host}]" if ":" in host else host.lower()


def _name(host: str) -> str:
    """A Host header without its port."""
    head, _, port = host.rpartition(":")
    return (head if head and port.isdigit() and not head.endswith(":") else host).lower()
