"""What a client is told when something is wrong: OpenAI's JSON, with the status that its kind has."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from chainrule.base import printable, short_lines
from chainrule.serve.written import WrittenResponse

# What OpenAI calls the kinds of errors; clients look at the status first and at `code` second.
KINDS = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
RETRY_SECONDS = 1


class ErrorContent(BaseModel):
    """What is inside of OpenAI's object of an error."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(BaseModel):
    """OpenAI's object of an error."""

    error: ErrorContent


# What every route may answer, as /openapi.json tells it.
ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorAnswer, "description": "The request is refused; `param` is the field, `message` says why."},
    "5XX": {"model": ErrorAnswer, "description": "503: the server ends, or takes no more; 500: its own fault."},
}


class ApiError(Exception):
    """A request that is refused: `message` for a person, `param` the field, `code` a word for programs."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code


def error_body(fault: ApiError) -> dict[str, Any]:
    """OpenAI's object of an error."""
    kind = KINDS.get(fault.status, "server_error" if fault.status >= 500 else "invalid_request_error")
    # It may repeat what came, which may be long, and act.
    told = printable(short_lines(str(fault)))
    return {"error": {"message": told, "type": kind, "param": fault.param, "code": fault.code}}


def error_response(fault: ApiError, headers: Mapping[str, str] | None = None) -> WrittenResponse:
    """The answer; 429 and 503 say when to come again."""
    more = {"Retry-After": str(RETRY_SECONDS)} if fault.status in (429, 503) else {}
    return WrittenResponse(error_body(fault), fault.status, headers={**more, **(headers or {})})
