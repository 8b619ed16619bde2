"""`chainrule conformance`: the contract of OpenAI's interface, tried on any server."""

from dataclasses import asdict

from chainrule.base import MissingPackageError
from chainrule.cli.options import AsJson
from chainrule.cli.output import print_json, print_table, put
from chainrule.show import printable

MARKS = {"met": "yes", "unmet": "NO", "not offered": "–"}


def conformance(
    url: str, /, *, token: str | None = None, model: str | None = None, timeout: float = 60.0, as_json: AsJson = False
) -> int:
    """Try a server against what clients of OpenAI's interface rely on; exits with 1 when something is not met.

    For example:

    - `chainrule conformance http://127.0.0.1:8000`

    Parameters
    ----------
    url
        The server's address, with or without /v1.
    token
        What it wants to be sent.
    model
        The model to ask. Default: the first that it lists.
    timeout
        Seconds to wait for each answer.
    """
    try:
        from chainrule import serve
    except ModuleNotFoundError as fault:
        raise MissingPackageError("chainrule conformance", fault.name or "fastapi", "serve") from None
    found = serve.conformance(serve.Caller(url, token, model, timeout))
    missed = len(serve.unmet(found))
    if as_json:
        print_json({"url": url, "demands": [asdict(one) for one in found], "unmet": missed})
        return bool(missed)
    rows = [(one.area, one.demand, MARKS[one.outcome], printable(one.detail)) for one in found]
    print_table("", ("area", "demand", "met", "what was found"), rows, left=4)
    n_met = sum(one.outcome == "met" for one in found)
    put(f"{n_met} met, {missed} not met, {len(found) - n_met - missed} not offered")
    return bool(missed)
