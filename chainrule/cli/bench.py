"""`chainrule bench`: how fast this machine trains, decodes and starts, beside peers whose place is given."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from chainrule.base import ConfigError, write_bytes
from chainrule.cli.loading import load_torch
from chainrule.cli.options import AsJson
from chainrule.cli.output import print_json, print_table, put, put_line, say

if TYPE_CHECKING:
    from chainrule.bench import Call, Result

RESULTS = Path("benchmarks/results")
ROUNDS = 5
Flag = Annotated[bool, Parameter(negative=(), show_default=False)]


def bench(
    *names: str,
    against: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    text: Path | None = None,
    rounds: int | None = None,
    threads: int = 0,
    short: Flag = False,
    busy: Flag = False,
    results: Path | None = None,
    page: Path | None = None,
    as_json: AsJson = False,
) -> int:
    """Measure training, the time to a loss, decoding, starting and growth, beside peers whose place is given.

    The benchmarks are training, until-loss, decoding, starting and growth; `all` is all of them. Sides take turns
    (A B A B), each time in a process of its own, and the median of the rounds counts. While other programs hold the
    processor nothing is measured. For example:

    - `chainrule bench training --against nanogpt=~/nanoGPT --text tinyshakespeare.txt`
    - `chainrule bench all --short --busy`
    - `chainrule bench --page benchmarks.html`

    Parameters
    ----------
    names
        What is measured.
    against
        A peer and where it is: nanogpt=PATH, a checkout of nanoGPT, whose code is run from there.
    text
        A text whose characters are learnt, such as tiny Shakespeare. Default: Python's standard library.
    rounds
        How often each side is read. Default: 5, with --short 1.
    threads
        Threads of each side; 0 takes the cores that this process may use.
    short
        A trial: few steps, small batches; its figures mean nothing and are kept only where --results says so.
    busy
        Measure while other programs compute; the result says that it was contended.
    results
        The folder that keeps each result, by class of processor. Default: benchmarks/results.
    page
        Write all kept results as one page here.
    """
    if not names and page is None:
        raise ConfigError("name a benchmark: training, until-loss, decoding, starting, growth, or all")
    if rounds is not None and rounds < 1:
        raise ConfigError(f"--rounds {rounds}: give 1 or more; 5 show a spread")
    found = []
    if names:
        load_torch()
        from chainrule.bench import Call, checked_names

        call = Call(rounds or (1 if short else ROUNDS), against, text, threads, short, busy)
        kept = results or (None if short else RESULTS)
        found = _measured(checked_names(names), call, kept, as_json=as_json)
    if page is not None:
        _write_page(page, results or RESULTS)
    if as_json:
        print_json({"results": found})
    return 0


def _measured(names: tuple[str, ...], call: "Call", kept: Path | None, *, as_json: bool) -> list[dict[str, Any]]:
    """Measures, keeps and shows one after the other; returns the results as JSON holds them."""
    from chainrule.bench import measure, row, write_result

    found = []
    for result in measure(names, call, say):
        found.append(row(result))
        if kept is not None:
            say(f"kept in {write_result(result, kept)}")
        if not as_json:
            _show(result)
    return found


def _show(result: "Result") -> None:
    from chainrule.bench import HEAD, circumstances, rows

    for contest in result.contests:
        print_table(f"\n{contest.name}, {contest.unit}", HEAD, rows(contest))
        for note in contest.notes:
            put_line(note)
    put_line(circumstances(result))


def _write_page(place: Path, results: Path) -> None:
    load_torch()
    from chainrule.bench import read_results, results_page

    write_bytes(place, results_page(read_results(results)).encode())
    put(place)
