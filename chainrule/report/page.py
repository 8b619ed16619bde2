"""The page itself: sections, style, script and figures in one file that asks nothing of any network."""

import base64
import hashlib
import json
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from chainrule.base import write_bytes
from chainrule.report import appendix, sections
from chainrule.report.baselines import baselines
from chainrule.report.commands import going_on
from chainrule.report.copied import USUAL_SECONDS, Copied, search_copies
from chainrule.report.copying import copying
from chainrule.report.curves import curves
from chainrule.report.earlier import Earlier, earlier
from chainrule.report.hard import hard
from chainrule.report.header import header
from chainrule.report.health import health
from chainrule.report.samples import samples
from chainrule.report.taught import taught
from chainrule.run import Facts, RunFolder, read_facts
from chainrule.show import Html, join, tag

PARTS = {
    "samples": "Samples",
    "taught": "Taught",
    "learning": "Learning",
    "baselines": "Baselines",
    "hard": "Hard words",
    "health": "Inside",
    "copying": "Copying",
    "data": "Text",
    "machine": "Machine",
    "settings": "Settings",
    "next": "Next",
}


def write_report(run: RunFolder, seconds: float = USUAL_SECONDS) -> Path:
    """Writes `run`/report.html from the run's files (finished, interrupted or still running); returns its path.

    The search for copies in the training text is shortened to end within about `seconds`; while the run goes on there
    is none, and the page loads itself again until the run is over.
    """
    began = time.perf_counter()
    facts = read_facts(run)
    left = seconds - (time.perf_counter() - began)
    copied = None if facts.status == "running" else search_copies(facts, left)
    write_bytes(run.report, page(facts, copied).encode())
    return run.report


def page(facts: Facts, copied: Copied | None) -> Html:
    """The whole document; without `copied` nothing is said of copies."""
    before = earlier(facts)
    parts = [
        samples(facts),
        taught(facts),
        sections.learning(facts, before) if facts.train or facts.held_out else None,
        baselines(facts),
        hard(facts),
        health(facts),
        # A fine-tuned model shall say what the examples say.
        copying(copied) if copied and (facts.samples or facts.summary.completions) and not facts.tuning else None,
        appendix.data(facts),
        appendix.machine(facts),
        appendix.settings(facts),
        appendix.events(facts),
        going_on(facts),
    ]
    style, script = _asset("page.css"), _asset("page.js")
    main = tag("main", header(facts), _contents(parts), *parts)
    head = tag("head", _head(facts, style, script), tag("style", style))
    body = tag("body", main, _figures(facts, before), tag("script", script))
    # Seconds since 1970, by which the script knows how old the page is.
    since = round(time.time()) if facts.status == "running" else None
    return join([Html("<!doctype html>\n"), tag("html", head, body, lang="en", data_running=since), "\n"])


def _head(facts: Facts, style: Html, script: Html) -> Html:
    # No source of any kind but this very style and this very script: text that slipped through could not act.
    policy = f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; base-uri 'none'"
    return join(
        [
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=policy),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("title", f"{facts.run.name} · chainrule"),
        ]
    )


def _contents(parts: list[Html | None]) -> Html:
    there = [key for key in PARTS if any(part is not None and f'<section id="{key}"' in part[:80] for part in parts)]
    return tag("nav", join(tag("a", PARTS[key], href=f"#{key}") for key in there), aria_label="Parts of the page")


def _figures(facts: Facts, before: Sequence[Earlier]) -> Html:
    """The charts' columns as JSON; `<` is spelt out so that nothing inside can end the element."""
    content = json.dumps(curves(facts, before), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return tag("script", Html(content), type="application/json", id="figures")


def _asset(name: str) -> Html:
    return Html(files("chainrule.report").joinpath(name).read_text(encoding="utf-8"))


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
