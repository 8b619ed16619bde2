"""A request's body from bytes to values: strict JSON, bounded before it is parsed, and parsed once.

While Python's parser runs nothing else in this process does, /health neither, in whatever thread it is: two million
numbers, which 4 MiB have room for, take 0.15 s (one thread of a Zen 4). So values are counted first.
"""

import json
import math
import re
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from chainrule.serve.errors import ApiError

DEPTH = 32
# 256 prompts of 2,048 ids; as numbers of five digits they are parsed in 0.03 s.
MOST_VALUES = 2**19
PARSED = "chainrule.body"
STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')


class ParsedRequest(Request):
    """A request whose body was parsed before, by the guard."""

    async def json(self) -> Any:
        """The value; Starlette would parse it anew."""
        return self.scope[PARSED]


class ParsedRoute(APIRoute):
    """A route that is given such requests."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own, called with the parsed request."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(ParsedRequest(request.scope, request.receive))

        return handle


def strict_json(content: bytes) -> Any:
    """The value of JSON without NaN and Infinity, of at most 2¹⁹ values, not nested deeper than 32. Raises ApiError."""
    n_open = content.count(b"[") + content.count(b"{")
    if content.count(b",") + n_open > MOST_VALUES:
        # A text may have as many commas as it likes.
        outside = STRING.sub(b"", content)
        if outside.count(b",") + outside.count(b"[") + outside.count(b"{") > MOST_VALUES:
            raise ApiError(400, f"the body has more than {MOST_VALUES:,} values", code="too_many_values")
    try:
        found = json.loads(content.decode("utf-8"), parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as fault:
        raise ApiError(400, f"the body is no JSON: {str(fault)[:200]}", code="invalid_json") from None
    if n_open > DEPTH and _is_deep(found):
        raise ApiError(400, f"the body is nested deeper than {DEPTH}", code="invalid_json")
    return found


def _is_deep(value: Any) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEPTH):
        level = [part for one in level for part in _parts(one) if isinstance(part, dict | list)]
    return bool(level)


def _parts(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:40]} is too large for a number")
    return number
