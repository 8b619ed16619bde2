"""The port of a server, opened before anything slow is done."""

import errno
import socket

from chainrule.base import ConfigError
from chainrule.web.callers import Callers


def listen(callers: Callers) -> socket.socket:
    """The port, open; raises ConfigError with what to do when it cannot be had."""
    family = socket.AF_INET6 if ":" in callers.host else socket.AF_INET
    # The protocol by its name: on sockets without one asyncio leaves Nagle's algorithm on, and each answer, which is
    # sent in two writes, waits 40 ms until the client's system has acknowledged the first.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((callers.host, callers.port))
        listening.listen(256)
    except OSError as fault:
        listening.close()
        taken = fault.errno == errno.EADDRINUSE
        why = "another program listens there" if taken else (fault.strerror or str(fault))
        raise ConfigError(
            f"port {callers.port} of {callers.host} cannot be had: {why}; take another with --port, or --port 0 for "
            "any that is free"
        ) from None
    return listening


def address_of(listening: socket.socket) -> str:
    """http://host:port."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
