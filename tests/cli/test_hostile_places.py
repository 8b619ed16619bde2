"""What someone sent: a run whose every string is hostile, and a model with hostile tokens, names and words."""

import html
import io
import json
import re
import shutil
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import torch
from rich.console import Console
from safetensors.torch import save_file

from chainrule.base import SUMS
from chainrule.checkpoint import to_hugging_face
from chainrule.cli import main
from chainrule.config import ModelConfig
from chainrule.model import GPT
from chainrule.panel.live import LivePanel
from chainrule.panel.plain import PlainLog
from chainrule.panel.svg import panel_svg
from chainrule.run import Event, Progress, RunFolder, Sample, read_facts
from chainrule.run.line import sealed_lines
from chainrule.tokenizer import OWN_TEMPLATE, chat_template, save_template
from chainrule.tokenizer.train import byte_tokenizer

# A title, a bell, a colour by C1, what turns direction, delete, a line of its own, a header's end, HTML, Markdown.
HOSTILE = (
    "\x1b]0;t\x07\x9b31m\u061c\u200e\u202e\u2066\u2028\x7f\r\nX-Forged: 1\nchainrule: forged"
    "<img src=x onerror=alert(1)></script>|[x](javascript:y)`"
)
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
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


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A model that someone sent: it writes what a terminal obeys, its words of control and settings are hostile."""
    folder = tmp_path_factory.mktemp("model") / f"model {HOSTILE.replace('/', '')}"
    folder.mkdir()
    tokenizer = byte_tokenizer().with_control_tokens([f"<|{HOSTILE}|>", "<|im_start|>", "<|im_end|>"])
    torch.manual_seed(0)
    sizes = {"context_length": 256, "emb_dim": 32, "n_heads": 4, "n_layers": 1}
    model = GPT(ModelConfig(vocab_size=tokenizer.vocab_size, **sizes))
    acting = [at for at, content in enumerate(tokenizer.token_bytes) if content in (b"\x1b", b"\x07", b"\xc2", b"\x9b")]
    with torch.no_grad():
        # Only such tokens are likely, each as likely as another.
        model.token_embedding.weight.mul_(0.01)
        model.final_norm.bias.fill_(4.0)
        model.token_embedding.weight[acting] += 0.5
    settings, tensors = to_hugging_face(model.config, model.state_dict())
    (folder / "config.json").write_text(json.dumps(settings | {HOSTILE: HOSTILE, "_name_or_path": HOSTILE}))
    save_file(tensors, folder / "model.safetensors", metadata={HOSTILE: HOSTILE})
    tokenizer.save(folder / "tokenizer.json")
    save_template(chat_template(OWN_TEMPLATE, tokenizer), folder)
    return folder


def test_a_model_writes_what_a_terminal_obeys_and_none_of_it_arrives(model):
    words = ["generate", str(model), HOSTILE, "--max-new-tokens", "20", "--temperature", "1"]
    code, shown = said(words)
    assert code == 0 and "·" in shown
    raw = io.StringIO()
    with redirect_stdout(raw), redirect_stderr(io.StringIO()):
        main([*words, "--json"])
    harmless(raw.getvalue(), "--json")
    (written,) = json.loads(raw.getvalue())["completions"]
    assert ACTS.search(written["text"]), "JSON gives it back as it was written"


@pytest.mark.parametrize(
    "words",
    [
        *(["chat", "MODEL", "--max-new-tokens", "9", "--temperature", "1", "--system", HOSTILE],),
        *(["lens", "token", "MODEL", HOSTILE], ["lens", "token", "MODEL", HOSTILE, "--out", "OUT/token.html"]),
        *(["lens", "graph", "MODEL", "--out", f"OUT/graph.{ending}"] for ending in ("html", "svg", "md", "tex")),
        *(["lens", "tensor", "MODEL/model.safetensors"], ["lens", "ledger", "MODEL", "--out", "OUT/ledger.html"]),
        *(["evaluate", "MODEL", "OUT/text.txt"], ["evaluate", "MODEL", "OUT/text.txt", "--json"]),
        *(["export", "hf", "MODEL", "OUT/hf"], ["export", "gguf", "MODEL", "OUT/gguf"]),
        *(["plan", "MODEL"], ["finetune", "MODEL", "OUT/rows.jsonl", "--name", "OUT/taught", "--no-probe"]),
        *(["pretrain", "OUT/text.txt", "--from", "MODEL", "--name", "OUT/more", "--training.steps", "1"],),
    ],
    ids=lambda words: " ".join(words[:2] + words[-1:])[:30].split("\x1b")[0],
)
def test_a_model_of_hostile_words_is_used_without_harm(model, tmp_path, monkeypatch, words):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{HOSTILE}\n/tokens\n/help\n/{HOSTILE}\n"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "text.txt").write_text(f"the fox said {HOSTILE} to the dog. " * 60)
    (tmp_path / "rows.jsonl").write_text(f"{json.dumps({'prompt': HOSTILE, 'completion': HOSTILE})}\n" * 20)
    said([word.replace("MODEL", str(model)).replace("OUT", str(tmp_path)) for word in words])
    for path in tmp_path.rglob("*"):
        if path.suffix in (".html", ".svg"):
            page(path)
        if path.suffix in (".md", ".tex", ".json", ".jsonl") and path.name not in ("tokenizer.json", "rows.jsonl"):
            harmless(path.read_text(), path.name)
        if path.suffix == ".md":
            assert "<img" not in path.read_text() and "[x](javascript" not in path.read_text(), path.name


def spoil_json(name: str, **over: Any):
    def spoil(folder: Path) -> None:
        found = json.loads((folder / name).read_bytes())
        (folder / name).write_text(json.dumps(found | over))

    return spoil


def spoil_vocabulary(folder: Path) -> None:
    found = json.loads((folder / "tokenizer.json").read_bytes())
    found["model"]["vocab"] |= {HOSTILE: 999_999}
    found["model"]["merges"] = [[HOSTILE, HOSTILE]]
    (folder / "tokenizer.json").write_text(json.dumps(found))


SPOILS = {
    "architectures": spoil_json("config.json", architectures=[HOSTILE], model_type=HOSTILE),
    "activation": spoil_json("config.json", activation_function=HOSTILE),
    "normalizer": spoil_json("tokenizer.json", normalizer={"type": HOSTILE, HOSTILE: HOSTILE}),
    "kind of tokenizer": lambda folder: spoil_json("tokenizer.json", model={"type": HOSTILE})(folder),
    "vocabulary": spoil_vocabulary,
    "a key twice": lambda folder: (folder / "config.json").write_text(f'{{{json.dumps(HOSTILE)}: 1, "x": }}'),
    "template": lambda folder: (folder / "chat_template.jinja").write_text(
        "{{ raise_exception(" + json.dumps(HOSTILE) + ") }}"
    ),
    "syntax of a template": lambda folder: (folder / "chat_template.jinja").write_text("{% " + HOSTILE),
    "tensors": lambda folder: save_file({HOSTILE: torch.ones(2)}, folder / "model.safetensors"),
}


@pytest.mark.parametrize("what", SPOILS)
def test_what_is_refused_of_a_model_is_told_without_harm(model, tmp_path, monkeypatch, what):
    folder = tmp_path / "spoiled"
    shutil.copytree(model, folder)
    SPOILS[what](folder)
    monkeypatch.setattr("sys.stdin", io.StringIO("hello\n"))
    codes = {
        said(["generate", str(folder), "a", "--max-new-tokens", "1"])[0],
        said(["chat", str(folder), "--max-new-tokens", "1"])[0],
        said(["lens", "tensor", f"{folder}/model.safetensors:{HOSTILE}"])[0],
        said(["export", "hf", str(folder), str(tmp_path / "out")])[0],
    }
    assert 2 in codes, what


def test_a_served_model_of_hostile_words_answers_without_harm(model):
    pytest.importorskip("fastapi")
    from raw_requests import answer_to, get
    from serve.servers import running

    with running(model, name=HOSTILE) as server:
        ids = [*server.opened.tokenizer.encode("ab"), server.opened.tokenizer.vocab_size - 3]
        asked = {"prompt": HOSTILE, "max_tokens": 9, "temperature": 1, "logprobs": 5, "model": HOSTILE}
        talk = {"messages": [{"role": "user", "content": HOSTILE}], "max_tokens": 9, "logprobs": True, "model": HOSTILE}
        answers = [
            *(server.post("/v1/completions", asked), server.post("/v1/completions", asked | {"stream": True})),
            *(server.post("/v1/chat/completions", talk), server.post("/v1/chat/completions", talk | {"stream": True})),
            *(
                server.post("/v1/completions", {"model": f"x{HOSTILE}", "prompt": "a"}),
                server.post(quote(f"/{HOSTILE}"), {}),
            ),
            server.post("/lens", {"ids": ids, "model": HOSTILE}),
            server.post("/tokenize", {"prompt": HOSTILE, "model": HOSTILE, "return_token_strs": True}),
        ]
        for answer in answers:
            harmless(answer.text, answer.url.path)
            assert "x-forged" not in answer.headers
            harmless(str(list(answer.headers.items())), answer.url.path)
        picture = server.post("/lens", {"ids": ids, "model": HOSTILE, "form": "page"})
        harmless(picture.text, "the lens")
        Reader().feed(picture.text)
        assert "forged" in answers[0].text and answers[0].json()["model"] == HOSTILE
        for path in (b"/", b"/v1/models", b"/tokenizer_info", b"/metrics", b"/openapi.json", b"/checkpoints"):
            harmless(answer_to(server.url, get(path)).decode().replace("\r\n", "\n"), path)


def test_the_panel_of_a_terminal_shows_what_someone_sent_without_harm(sent):
    """All that it is told and all that stands in the run; without rich's own colours, which are escapes too."""
    facts = read_facts(RunFolder(sent / "sent"))
    console = Console(file=io.StringIO(), width=200, height=40, no_color=True, force_terminal=False)
    panel, log = LivePanel(console, clock=iter(range(0, 10**6, 10)).__next__), PlainLog(lines := io.StringIO())
    records = [facts.machine, facts.data, facts.tokenizer, facts.plan, *facts.events, Event(HOSTILE, step=1)]
    records += [Progress(HOSTILE, 1, 2), *facts.train, *facts.held_out, *facts.samples, *facts.samples]
    records += [Sample(9, HOSTILE, HOSTILE), Sample(10, HOSTILE, HOSTILE), replace(facts.summary, status="finished")]
    for record in records:
        panel.show(record)
        log.show(record)
    panel.close()
    shown = console.file.getvalue()
    for text in (shown, lines.getvalue()):
        harmless(text, "a panel")
        assert "forged" in text and "\nchainrule: forged" not in text
    picture = panel_svg(RunFolder(sent / "sent"))
    harmless(picture, "the panel as a picture")
    Reader().feed(picture)


def test_the_environment_acts_on_no_terminal(sent, tmp_path, monkeypatch):
    for name in ("XDG_CACHE_HOME", "HF_HOME", "CHAINRULE_RUNS", "COLUMNS", "OMP_NUM_THREADS", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path / HOSTILE.replace("/", "")) if name != "TMPDIR" else HOSTILE)
    for words in (["cache"], ["runs"], ["doctor", "--quick"], ["plan"], ["generate", "not-there", "a"], ["config"]):
        said(words)
