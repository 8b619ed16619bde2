"""Values as the JSON that goes out: what a terminal would obey, or would turn the text's direction, as JSON's escapes.

Texts of a model and names of clients may hold anything, and a person reads answers in a terminal. What a client parses
is the same.
"""

import json
from typing import Any

from fastapi.responses import JSONResponse

from chainrule.base import json_escape, with_letters_told


def written(content: Any) -> bytes:
    """JSON, whatever the texts in it hold."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return with_letters_told(text, json_escape).encode()


class WrittenResponse(JSONResponse):
    """An answer of such JSON."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return written(content)
