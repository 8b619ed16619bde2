"""A search as one page that stands alone: what is recommended, the range test, the trials, and how to use it."""

from pathlib import Path
from statistics import fmean, stdev

from chainrule.base import write_bytes
from chainrule.show import Axes, Curve, Html, document, grid, join, line_chart, tag
from chainrule.tune.outcome import Tuned, conditions
from chainrule.tune.tables import tuning_tables
from chainrule.tune.trials import Trial


def write_tuned_page(found: Tuned) -> Path:
    """Writes tune.html into the search's folder; returns its path."""
    write_bytes(found.folder.page, page(found).encode())
    return found.folder.page


def page(found: Tuned) -> Html:
    """The whole document."""
    parts = []
    for title, heads, rows, note in tuning_tables(found):
        parts.append(join([tag("h2", title), tag("p", note, class_="note"), grid(heads, rows, left=2)]))
    return document(
        f"Search {found.folder.path.name}",
        tag("p", found.verdict.text, class_="said"),
        tag("p", conditions(found.state), class_="note"),
        _use(found),
        line_chart(
            _settings(found),
            Axes(
                "Trials",
                "learning rates, as a factor of the default's",
                "bits per byte of held-out text",
                log=True,
                whole=True,
            ),
        ),
        line_chart(
            [Curve("training loss, mean of 8 steps (one run)", found.range_test.points)],
            Axes("Range test", "learning rates, as a factor of the default's", "loss", log=True),
        ),
        _said(found),
        *parts,
    )


def _settings(found: Tuned) -> list[Curve]:
    """For each batch the figures over the factor of the rates: the mean over seeds, and its spread where there is."""
    by_batch: dict[int, dict[float, list[float]]] = {}
    trials: list[Trial] = [one for one in found.trials if one.bits is not None]
    for one in trials:
        rates = by_batch.setdefault(one.setting.batch_tokens, {})
        rates.setdefault(one.setting.rate, []).append(one.bits or 0.0)
    curves = []
    for batch, rates in sorted(by_batch.items()):
        order = sorted(rates)
        points = [(rate, fmean(rates[rate])) for rate in order]
        spread = [stdev(rates[rate]) if len(rates[rate]) > 1 else 0.0 for rate in order]
        several = any(len(values) > 1 for values in rates.values())
        bars = " (bars: standard deviation where there are several seeds)" if several else ""
        name = f"batch of {batch:,} tokens{bars}"
        curves.append(Curve(name, points, spread if several else (), dots=True, line=False))
    return curves


def _said(found: Tuned) -> Html:
    edge, noise = found.range_test.edge, found.state.noise
    told = [f"The loss rises from {edge:.3g} times the default's rates on." if edge else "No rate was too high."]
    if noise is not None:
        known = noise.low is not None and noise.high is not None
        ends = f"95 % interval {noise.low:,.0f} to {noise.high:,.0f}" if known else "its groups tell no interval"
        told.append(
            f"Gradient noise scale at the end of the first trial: {noise.tokens:,.0f} tokens ({ends}); the default's "
            f"batch has {found.default.batch_tokens:,} (McCandlish et al., arXiv 1812.06162)."
        )
    return tag("p", " ".join(told), class_="note")


def _use(found: Tuned) -> Html | None:
    if not found.folder.tuned.is_file():
        return None
    return tag("pre", f"chainrule pretrain --config {found.folder.tuned} TEXT", tabindex="0")
