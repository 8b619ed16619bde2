"""What someone sent: a run whose every string is hostile, and a model with hostile tokens, names and words."""

import html
import io
import json
import re
import shutil
from contextlib import redirect_stderr, redirect_stdout
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from chainrule.base import SUMS
from chainrule.cli import main
from chainrule.run.line import sealed_lines

# A title, a bell, a colour by C1, what turns direction, delete, a line of its own, a header's end, HTML, Markdown.
HOSTILE = (
    "\x1b]0;t\x07\x9b31m\u061c\u200e\u202e\u2066\u2028\x7f\r\nX-Forged: 1\nchainrule: forged"
    "<img src=x onerror=alert(1)></script>|[x](javascript:y)`"
)
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# What a reader takes as a word of its own: with another one the row would be none, and nothing would be shown.
WORDS = frozenset({"kind", "status", "after", "crc", "schema"})
JOURNALS = ("metrics", "health", "samples", "events", "surprise", "phases", "anchors", "examples")


def harmless(text: str, what: object) -> None:
    found = ACTS.search(text)
    assert not found, (what, text[max(0, found.start() - 80) : found.end() + 20])


class Reader(HTMLParser):
    """Fails where a text became an element or an attribute."""

    def handle_starttag(self, tag, attrs):
        links = [value for name, value in attrs if name in ("href", "src", "action", "style")]
        assert not any(name.startswith("on") for name, _ in attrs) and "javascript:" not in str(links), attrs
        assert tag != "img", attrs


def page(path: Path) -> str:
    text = path.read_bytes().decode()
    harmless(text, path.name)
    Reader().feed(text)
    return text


def everywhere(value: Any, key: str = "") -> Any:
    """The value with something hostile behind each string and a hostile name in each object."""
    if isinstance(value, dict):
        return {name: everywhere(inside, name) for name, inside in value.items()} | {HOSTILE: HOSTILE}
    if isinstance(value, list):
        return [everywhere(inside, key) for inside in value]
    return value + HOSTILE if isinstance(value, str) and key not in WORDS else value


def said(words: list[str]) -> tuple[int, str]:
    """The exit code and all that was said, without the paths of this test."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(words)
    harmless(out.getvalue(), words)
    harmless(err.getvalue(), words)
    assert "\nchainrule: forged" not in err.getvalue(), words
    assert "Traceback" not in err.getvalue(), err.getvalue()
    return code, out.getvalue() + err.getvalue()


@pytest.fixture(scope="module")
def sent(runs_folder, tmp_path_factory) -> Path:
    """A folder with a run that someone sent, in whose files each string is hostile, and a sound one."""
    folder = tmp_path_factory.mktemp("sent") / "runs"
    shutil.copytree(runs_folder / "first", folder / "sound")
    run = folder / "sent"
    shutil.copytree(folder / "sound", run)
    (run / SUMS).unlink()
    events = run / "events.jsonl"
    for name in JOURNALS:
        path = run / f"{name}.jsonl"
        if path.is_file():
            rows = [json.loads(line) for line in path.read_bytes().splitlines()]
            own = [{key: value for key, value in row.items() if key not in ("row", "after", "crc")} for row in rows]
            path.write_bytes(sealed_lines([everywhere(row) for row in own]))
    if not events.is_file():
        events.write_bytes(sealed_lines([{"step": 1, "message": HOSTILE, "text": HOSTILE}]))
    for name in ("summary.json", "machine.json", "data/manifest.json"):
        found = json.loads((run / name).read_bytes())
        found.pop("seal", None)
        (run / name).write_text(json.dumps(everywhere(found)))
    return folder


LOOKS = [
    *(["runs"], ["runs", "--json"], ["runs", "show", "RUN"], ["runs", "show", "RUN", "--json"]),
    *(["runs", "diff", "RUN", "SOUND"], ["runs", "diff", "RUN", "SOUND", "--json"], ["runs", "prune", "RUN"]),
    *(["report", "RUN"], ["watch", "RUN", "--save", "OUT/w.html"], ["compare", "RUN", "SOUND", "--out", "OUT/c.html"]),
    *(["compare", "RUN", "SOUND", "--json"], ["verify", "RUN"], ["verify", "RUN", "--json"], ["config", "show", "RUN"]),
    *(["plan", "RUN"], ["plan", "RUN", "--json"], ["evaluate", "RUN"], ["evaluate", "RUN", "--json"]),
    *(["generate", "RUN", "the", "--max-new-tokens", "2"], ["export", "hf", "RUN", "OUT/hf"]),
    *(["pretrain", "--resume", "RUN"], ["pretrain", "--fork", "RUN", "--name", "OUT/fork"], ["log", "RUN"]),
    *(["lens", "token", "RUN", "the"], ["classify", "RUN", "--text", "the"], ["finetune", "RUN", "RUN/events.jsonl"]),
    *(["tune", "--resume", "RUN"], ["lens", "spike", "RUN"]),
]


@pytest.mark.parametrize("words", LOOKS, ids=" ".join)
def test_a_run_of_hostile_strings_is_shown_without_harm(sent, tmp_path, words):
    copy = tmp_path / "runs"
    shutil.copytree(sent, copy)
    places = {"RUN": str(copy / "sent"), "SOUND": str(copy / "sound"), "OUT": str(tmp_path)}
    given = [re.sub("RUN|SOUND|OUT", lambda found: places[found[0]], word) for word in words]
    given += ["--runs-folder", str(copy)] if words[0] in ("runs", "compare") and words[1:2] != ["show"] else []
    said(given)
    for path in [*copy.rglob("*.html"), *tmp_path.glob("*.html")]:
        page(path)
    for path in tmp_path.rglob("*.md"):
        harmless(path.read_text(), path.name)


def test_the_hostile_strings_reach_the_pages(sent, tmp_path):
    """Were they dropped on the way, the test above would show nothing."""
    copy = tmp_path / "sent"
    shutil.copytree(sent / "sent", copy)
    assert "forged" in said(["runs", "show", str(copy)])[1]
    said(["report", str(copy)])
    assert html.escape("<img src=x onerror=") in page(copy / "report.html")
