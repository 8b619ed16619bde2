"""Names from elsewhere (folders, runs, flags, tensors, modules) act on no terminal and no page."""

import contextlib
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import torch
from cyclopts import App
from safetensors.torch import save_file

from chainrule import lens
from chainrule.cli import main
from chainrule.cli.verbs import VERBS, command_line

# A title, a bell, a colour by C1, a letter from right to left, an isolate, delete, a line of its own, HTML.
NAME = "a\x1b]0;t\x07\x9b31m\u202ex\u2066\x7f\rz\nchainrule: forged<b onmouseover=x>y"
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str, what: object) -> None:
    found = ACTS.search(text)
    assert not found, (what, text[max(0, found.start() - 80) : found.end() + 20])


def said(words: list[str]) -> tuple[str, str]:
    """Standard output and error of a call, whatever it ends with."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.suppress(SystemExit):
        main(words)
    return out.getvalue(), err.getvalue()


def check(words: list[str]) -> str:
    out, err = said(words)
    harmless(out, words)
    harmless(err, words)
    assert "\nchainrule: forged" not in err, (words, err)
    # What a model goes on from stands there with its lines.
    shows_text = words[0] == "generate" or words[:2] == ["runs", "show"]
    assert shows_text or "\nchainrule: forged" not in out, (words, out)
    return out + err


def verbs() -> Iterator[tuple[tuple[str, ...], App]]:
    """Every verb and every verb below one, by the words that call it."""
    for verb in VERBS:
        yield from below((verb,), command_line(verb)[verb])


def below(words: tuple[str, ...], app: App) -> Iterator[tuple[tuple[str, ...], App]]:
    yield words, app
    for name in app:
        if not name.startswith("-"):
            yield from below((*words, name), app[name])


# `serve`, `watch` and `quickstart` would go on; with a name that is none all of them refuse.
CALLS = [words for words, _ in verbs()]


def test_all_verbs_are_walked():
    assert {words[0] for words in CALLS} == set(VERBS)
    assert ("lens", "ledger") in CALLS and ("runs", "diff") in CALLS


@pytest.mark.parametrize("words", CALLS, ids=" ".join)
def test_a_word_from_elsewhere_acts_on_no_terminal(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if words[0] != "quickstart":  # takes no text: it would begin to train
        check([*words, NAME])
        check([*words, NAME, NAME])
    check([*words, f"--{NAME}"])
    check([*words, "x", f"--{NAME}", NAME, "--json"])


def flags() -> Iterator[tuple[str, ...]]:
    """Each flag that takes a value, once: what several verbs have is read by the same code."""
    seen = set()
    for words, app in verbs():
        for one in app.assemble_argument_collection() if app.default_command else ():
            names = {name for name in one.names if name.startswith("--")} - seen
            # What is not there is refused before any work; these two need nothing that is there.
            if names and one.hint is not bool and words[0] not in ("quickstart", "doctor"):
                seen |= names
                yield (*words, sorted(names)[0])


def test_a_value_from_elsewhere_acts_on_no_terminal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tried = list(flags())
    assert len(tried) > 100
    for *words, flag in tried:
        check([*words, "not-there", flag, NAME])


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, texts, tiny):
    """A folder of runs with a hostile name, in which runs, texts, prompts and notes have hostile names."""
    folder = tmp_path_factory.mktemp("named") / NAME
    text = folder / f"texts {NAME}"
    shutil.copytree(texts, text)
    (text / f"{NAME}.txt").write_text(f"{NAME} said the fox.\n" * 30)
    shown = check(
        ["pretrain", str(text), "--name", NAME, "--runs-folder", str(folder), *tiny, "--training.prompts", NAME]
    )
    assert "held-out loss" in shown
    return folder


@pytest.mark.parametrize(
    "words",
    [
        *(["runs"], ["runs", "show", "RUN"], ["runs", "diff", "RUN", "RUN"], ["report", "RUN"], ["evaluate", "RUN"]),
        *(
            ["generate", "RUN", NAME, "--max-new-tokens", "4"],
            ["export", "RUN", "OUT"],
            ["watch", "RUN", "--save", "HTML"],
        ),
        *(
            ["compare", "RUN", "RUN"],
            ["verify", "RUN"],
            ["config", "show", "RUN"],
            ["plan", "RUN"],
            ["pretrain", "--resume", "RUN"],
        ),
    ],
    ids=lambda words: " ".join(words)[:20].split("\x1b")[0],
)
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_what_has_hostile_names_is_shown_without_harm(hostile, tmp_path, words, as_json):
    places = {"RUN": str(hostile / NAME), "OUT": str(tmp_path / NAME), "HTML": str(tmp_path / f"{NAME}.html")}
    given = [places.get(word, word) for word in words]
    given += ["--runs-folder", str(hostile)] if words[0] in ("runs", "compare") else []
    check([*given, "--json"] if as_json else given)
    for path in [*hostile.rglob("*"), *tmp_path.rglob("*")]:
        # The texts themselves, and the vocabulary that is made of them, are what they are.
        if path.suffix in (".html", ".json", ".jsonl", ".md", ".toml") and path.name != "tokenizer.json":
            content = path.read_bytes().decode()
            harmless(content, path.name)
            if path.suffix in (".html", ".md"):
                assert "<b onmouseover" not in content, path.name


def test_a_json_with_hostile_names_gives_them_back(hostile):
    out, _ = said(["generate", str(hostile / NAME), NAME, "--max-new-tokens", "2", "--json"])
    assert json.loads(out)["completions"][0]["prompt"] == NAME


class Named(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.add_module(NAME, torch.nn.Linear(2, 2))

    def forward(self, x):
        return getattr(self, NAME)(x).sum()


@pytest.mark.parametrize("as_format", ["text", "json", "html", "svg", "md", "tex"])
def test_modules_and_tensors_with_hostile_names_are_drawn_without_harm(as_format, tmp_path):
    tape = lens.record(Named(), torch.ones(1, 2))
    book = lens.ledger(tape)
    for found in (book, lens.picture(tape, book)):
        if as_format in lens.formats_of(found):
            shown = lens.render(found, as_format)
            harmless(shown, as_format)
            if as_format in ("html", "svg"):
                assert "<b onmouseover" not in shown


def test_a_downloaded_tensor_with_a_hostile_name_is_shown_without_harm(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file({NAME: torch.ones(2, 2), "b": torch.ones(1)}, path)
    assert "forged" in check(["lens", "tensor", str(path)])
    check(["lens", "tensor", f"{path}:{NAME}"])
    for ending in ("html", "svg", "md", "json", "txt"):
        out: Path = tmp_path / f"seen.{ending}"
        check(["lens", "tensor", f"{path}:{NAME}", "--out", str(out)])
        if out.is_file():
            harmless(out.read_text(), ending)
            assert "<b onmouseover" not in out.read_text() or ending in ("json", "txt", "md"), ending


def test_columns_with_hostile_names_are_told_without_harm(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text(f"{json.dumps({NAME: 'a text', 'n': NAME})}\n" * 3000)
    (tmp_path / "rows.csv").write_text(f'"{NAME}",n\na text that is long enough,1\n' * 5000)
    for file in ("rows.jsonl", "rows.csv"):
        assert "no field" in check(["prepare", file, "--machine.cache", "c"])
        check(["prepare", file, "--machine.cache", "c", "--text.field", f"{NAME}x"])
        check(["prepare", file, "--machine.cache", "c", "--text.template", "{" + NAME + "x}"])
        check(["evaluate", "not-there", "--task", f"choices:{file}"])


@pytest.mark.parametrize(
    "more", [[], ["--json"], ["--out", "seen.html"], ["--out", "seen.json"], ["--out", "seen.txt"]]
)
def test_tokens_that_act_are_shown_without_harm(hostile, tmp_path, monkeypatch, more):
    monkeypatch.chdir(tmp_path)
    # Of a vocabulary of bytes and a few merges: a token for ESC, for BEL, for each half of a C1 and a bidi letter.
    said_of_it = check(["lens", "token", str(hostile / NAME), NAME, *more])
    assert "Traceback" not in said_of_it
    for path in tmp_path.glob("seen.*"):
        harmless(path.read_text(), path.name)
        assert "<b onmouseover" not in path.read_text() or path.suffix != ".html"


def test_the_live_page_tells_hostile_runs_without_harm(hostile):
    pytest.importorskip("starlette")
    from dashboard.served import serving
    from raw_requests import answer_to, get

    with serving(hostile) as url:
        listed = answer_to(url, get(b"/api/runs")).partition(b"\r\n\r\n")[2].decode()
        harmless(listed, "/api/runs")
        assert "forged" in listed
        for path in (b"/api/news?whole=-:" + quote(NAME).encode(), b"/api/differences?run=" + quote(NAME).encode()):
            harmless(answer_to(url, get(path)).decode().replace("\r\n", "\n"), path)


def test_a_served_model_with_a_hostile_name_is_told_without_harm(hostile):
    pytest.importorskip("fastapi")
    from raw_requests import answer_to, get
    from serve.servers import running

    with running(hostile / NAME, name=NAME) as server:
        for path in (
            b"/v1/models",
            b"/checkpoints",
            b"/tokenizer_info",
            b"/metrics",
            b"/v1/models/" + quote(NAME).encode(),
        ):
            harmless(answer_to(server.url, get(path)).decode().replace("\r\n", "\n"), path)
        answer = server.completion("\x1b\u202e", logprobs=3, echo=False, model=NAME)
        assert answer["model"] == NAME, "a client reads the name as it is"
