"""What shows a run, for as long as somebody can see it."""

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from chainrule.run import Record

Watch = Callable[[Record], None]


@contextmanager
def listening(watched: AbstractContextManager[Watch]) -> Iterator[Watch]:
    """What shows a run, as long as somebody can see it.

    A terminal that is closed or a pipe without a reader asks the run to end, once, as the hang-up does that a closed
    terminal sends: it saves first, and under `nohup` it goes on unseen.
    """
    lost = False

    def show(record: Record) -> None:
        nonlocal lost
        if lost:
            return
        try:
            shown(record)
        except OSError:
            lost = True
            signal.raise_signal(getattr(signal, "SIGHUP", signal.SIGTERM))

    shown = watched.__enter__()
    try:
        yield show
    finally:
        with suppress(OSError):
            watched.__exit__(None, None, None)
