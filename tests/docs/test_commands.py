"""README.md, the tutorial and the guide to the lens are walked: each command and Python block, in order, in one folder.

What is typed is what is run, but for three things. Real training takes minutes, so `chainrule.train.pretrain` is given
TINY below all layers (what a page's command sets still wins), and no minutes. `--device cuda` is cpu where there is no
CUDA. NAME is the run that was made last. Lines that install are not run but compared with the Makefile.
"""

import contextlib
import gzip
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
import short_texts  # noqa: F401
import torch

import chainrule.train
from chainrule.cli import main
from chainrule.config import Layer
from chainrule.data.standard_library import library_files
from chainrule.run import TrainRow, folder, read_rows

pytestmark = pytest.mark.xdist_group("docs")

HERE = Path(__file__).resolve().parents[2]
README, TUTORIAL, LENS = HERE / "README.md", HERE / "docs" / "tutorial.md", HERE / "docs" / "lens" / "index.md"
ACTIVATE = ". .venv/bin/activate"
CTRL_C = "press Ctrl-C"
PREPARES = ("model", "vocabulary", "training", "machine")
GOES_ON = ("training", "machine")  # with --from, shape and vocabulary are the old model's
TINY = {
    "model": {"vocab_size": 300, "context_length": 64, "emb_dim": 32, "n_heads": 2, "n_layers": 1},
    "vocabulary": {"kind": "bpe"},
    "training": {
        "steps": 4,
        "batch_tokens": 128,
        "eval_every": 2,
        "sample_every": 4,
        "save_every": 2,
        "eval_tokens": 64,
    },
    "machine": {"threads": 1, "precision": "float32"},
}
WORDS = [
    "once",
    "upon",
    "a",
    "time",
    "there",
    "was",
    "an",
    "old",
    "lighthouse",
    "and",
    "nobody",
    "knew",
    "who",
    "kept",
    "its",
    "lamp",
    "alight",
    "in",
    "the",
    "storm",
]


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    content: str


@dataclass(frozen=True)
class Done:
    """A command or a Python block that was run; `code` is its exit code."""

    command: str
    code: int
    out: str
    err: str


def blocks(page: Path) -> list[Block]:
    found = re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)
    return [Block(language, content) for language, content in found]


def commands(page: Path) -> Iterator[str]:
    for block in blocks(page):
        if block.language == "sh":
            yield from (line for line in block.content.splitlines() if line.strip())


def typed(line: str) -> list[str]:
    """The words of a line, without its comment."""
    return shlex.split(line, comments=True)


def is_chainrule(line: str) -> bool:
    return typed(line)[0] == "chainrule"


def write_texts(folder: Path) -> None:
    """The folders that the pages speak of."""
    chance = Random(0)
    for name, letters in (("my_texts", str), ("new_texts", str.upper)):
        (folder / name).mkdir()
        for number in range(24):
            text = letters(" ".join(chance.choices(WORDS, k=90)))
            (folder / name / f"{number}.txt").write_text(f"{number}: {text}.\n", encoding="utf-8")
    (folder / "pairs.jsonl").write_text('{"good": "the cat sleeps", "bad": "the cat sleep"}\n', encoding="utf-8")
    (folder / "stories").mkdir()
    rows = [{"title": f"No. {number}", "story": " ".join(chance.choices(WORDS, k=80))} for number in range(40)]
    with gzip.open(folder / "stories" / "all.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def shrunken(real: Callable[..., dict]) -> Callable[..., dict]:
    """`pretrain` with settings that take a second below all that were given."""

    def pretrain(layers, run_path, *, minutes=None, resume=False, **rest):
        if resume:
            return real(layers, run_path, resume=True, **rest)
        going_on = any("start_from" in layer.values.get("origin", {}) for layer in layers)
        tiny = Layer("tiny", {name: TINY[name] for name in (GOES_ON if going_on else PREPARES)})
        return real([tiny, *layers], run_path, **rest)

    return pretrain


@contextlib.contextmanager
def pressing_ctrl_c(*, json_mode: bool) -> Iterator[Callable[..., None]]:
    """A watcher that interrupts at the second step."""
    yield lambda row: signal.raise_signal(signal.SIGINT) if isinstance(row, TrainRow) and row.step == 2 else None


def served(words: list[str]) -> int:
    """The real command until it says its address, then Ctrl-C; its exit code."""
    command = [sys.executable, "-m", "chainrule", *words, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        print(process.stderr.readline(), file=sys.stderr)
        process.send_signal(signal.SIGINT)
        return process.wait(60)


class Walk:
    """Runs the blocks of one page in the present folder."""

    def __init__(self, patched: pytest.MonkeyPatch) -> None:
        self.patched = patched
        self.done: list[Done] = []

    def block(self, block: Block) -> None:
        if block.language == "sh":
            for line in block.content.splitlines():
                if line.strip() and is_chainrule(line):
                    self.command(line)
        elif block.language == "python":
            if named := re.match(r"# (\S+\.py)\n", block.content):
                Path(named[1]).write_text(block.content, encoding="utf-8")
            self.run(block.content, lambda: exec(compile(block.content, "page", "exec"), {}))
        elif block.language == "toml":
            Path(re.match(r"# (\S+)\n", block.content)[1]).write_text(block.content, encoding="utf-8")

    def command(self, line: str) -> None:
        words = [self.named(word) for word in typed(line)[1:]]
        if words[0] == "pretrain" and "cuda" in words and not torch.cuda.is_available():
            words[words.index("cuda")] = "cpu"
        with self.patched.context() as patched:
            patched.setattr("sys.stdin", io.StringIO("The\n"))
            if CTRL_C in line:
                patched.setattr("chainrule.cli.start.make_watch", pressing_ctrl_c)
            self.run(line, lambda: served(words) if words[0] == "watch" else main(words))

    def named(self, word: str) -> str:
        if "NAME" not in word:
            return word
        newest = max(Path("runs").iterdir(), key=lambda run: (run / "config.toml").stat().st_mtime)
        return word.replace("NAME", newest.name)

    def run(self, command: str, call: Callable[[], int | None]) -> None:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = call() or 0
        self.done.append(Done(command, code, out.getvalue(), err.getvalue()))


def chapters(count: int) -> str:
    """A module as the package of the King James Bible has it, with this many chapters of one verse."""
    random = Random(0)
    texts = [" ".join(random.choices(WORDS, k=200)) + ". " for _ in range(count)]
    ends = [sum(map(len, texts[: number + 1])) for number in range(count)]
    verses = {
        1_001_001 + 1000 * number: (end - len(text), end)
        for number, (text, end) in enumerate(zip(texts, ends, strict=True))
    }
    starts, stops = ({verse: place[side] for verse, place in verses.items()} for side in (0, 1))
    return f"bible = Bible(0, {''.join(texts)!r}, {starts}, {stops})\n"


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], list[Done]]:
    """What a page's blocks did; each page is walked once."""
    known: dict[Path, list[Done]] = {}
    some_modules = [entry for entry in library_files() if Path(entry[0]).stat().st_size < 5000][:40]
    some_chapters = tmp_path_factory.mktemp("bible") / "chapters.py"
    some_chapters.write_text(chapters(60), encoding="utf-8")
    named = {
        "python": lambda: iter(some_modules),
        "king-james": lambda: iter([(str(some_chapters), "chapters", "King James Bible")]),
    }

    def walk(page: Path) -> list[Done]:
        if page not in known:
            place, threads = tmp_path_factory.mktemp(page.stem), torch.get_num_threads()
            write_texts(place)
            with pytest.MonkeyPatch.context() as patched:
                patched.chdir(place)
                patched.setenv("COLUMNS", "120")
                patched.setattr("chainrule.data.files.NAMED_TEXTS", named)
                patched.setattr(chainrule.train, "pretrain", shrunken(chainrule.train.pretrain))
                walker = Walk(patched)
                for block in blocks(page):
                    walker.block(block)
            torch.set_num_threads(threads)
            known[page] = walker.done
        return known[page]

    return walk


# The tutorial's commands take as long as all of README's and are like them: `make thorough` walks them.
LONG = pytest.param(TUTORIAL, marks=pytest.mark.slow)


@pytest.mark.parametrize("page", [README, LONG, LENS], ids=lambda page: page.name)
def test_every_command_of_the_page_works(page, walked):
    done = walked(page)
    wrong = [one for one in done if one.code != (130 if CTRL_C in one.command else 0)]
    assert not wrong, "\n".join(f"{one.command}: exit code {one.code}\n{one.err[-800:]}" for one in wrong)
    n_blocks = sum(block.language == "python" for block in blocks(page))
    assert len(done) == n_blocks + sum(map(is_chainrule, commands(page))) > 5


@pytest.mark.parametrize("page", [README, LONG], ids=lambda page: page.name)
def test_what_writes_says_something(page, walked):
    for one in walked(page):
        if one.command.startswith(("chainrule generate", "chainrule evaluate", "chainrule runs", "chainrule config")):
            assert one.out.strip(), one.command


def test_json_is_one_object(walked):
    found = [one for one in walked(TUTORIAL) if "--json" in one.command]
    assert found
    for one in found:
        assert isinstance(json.loads(one.out), dict)


def test_every_line_that_the_tutorial_explains_is_printed_in_that_order(walked):
    table = TUTORIAL.read_text(encoding="utf-8").split("| line |")[1].split("\n\n")[0]
    explained = re.findall(r"^\| `([\w ]+)` \|", table, re.M)
    lines = next(one.out for one in walked(TUTORIAL) if "quickstart" in one.command).splitlines()
    first = {word: next((at for at, line in enumerate(lines) if line.startswith(word)), None) for word in explained}
    assert len(explained) > 10 and None not in first.values(), first
    assert list(first.values()) == sorted(first.values()), first


def test_the_interrupted_run_prints_the_command_that_the_tutorial_gives_next(walked):
    done = walked(TUTORIAL)
    place = next(place for place, one in enumerate(done) if CTRL_C in one.command)
    assert done[place].err.splitlines()[-1] == f"to go on: {done[place + 1].command}"
    assert "resumed at step 2 of 4" in done[place + 1].out


def test_the_tutorials_tree_of_a_run_is_what_a_run_holds():
    tree = next(block.content for block in blocks(TUTORIAL) if block.language == "text")
    for name in re.findall(r"^  (\S+)", tree, re.M):
        assert re.search(rf"^ +{re.escape(name)} ", folder.__doc__, re.M), name


def test_what_the_guide_to_the_lens_shows_is_what_its_commands_print(walked):
    """Numbers may differ in their last digits between machines, so that they are compared as numbers."""
    outputs = iter(one for one in walked(LENS) if one.command.startswith("chainrule"))
    shown, n_lines = "", 0
    for block in blocks(LENS):
        if block.language == "sh":
            shown = "\n".join(next(outputs).out for line in block.content.splitlines() if is_chainrule(line))
        elif block.language == "text":
            lines = iter(shown.splitlines())
            for expected in block.content.splitlines():
                if expected.strip() not in ("", "…"):
                    assert any(same(expected, line) for line in lines), f"{expected!r} is not printed:\n{shown}"
                    n_lines += 1
    assert n_lines > 50


def same(expected: str, line: str) -> bool:
    """Whether two lines say the same, numbers up to rounding."""
    number = r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?"
    if re.sub(number, "0", expected).split() != re.sub(number, "0", line).split():
        return False
    pairs = zip(re.findall(number, expected), re.findall(number, line), strict=True)
    return all(float(a) == pytest.approx(float(b), rel=2e-3, abs=1e-9) for a, b in pairs)


def makefile() -> dict[str, list[str]]:
    """Targets and their recipes, with variables put in and make's and pip's marks of silence taken out."""
    text = (HERE / "Makefile").read_text(encoding="utf-8")
    names = dict(re.findall(r"^(\w+)\s*[:?]=\s*(.*)$", text, re.M))
    for name, value in names.items():
        text = text.replace(f"$({name})", value)
    rules: dict[str, list[str]] = {}
    for target, recipe in re.findall(r"^([\w./]+):(?!=).*\n((?:\t.*\n)*)", text, re.M):
        rules[target] = [line.strip().removeprefix("@").replace(" -q ", " ") for line in recipe.splitlines()]
    return rules


@pytest.mark.parametrize("page", [README, TUTORIAL], ids=lambda page: page.name)
def test_what_installs_is_what_make_does(page):
    rules = makefile()
    recipes = {line for recipe in rules.values() for line in recipe}
    others = [" ".join(line.split("#")[0].split()) for line in commands(page) if not is_chainrule(line)]
    assert others
    for line in others:
        word, *rest = line.split()
        known = rest[0] in rules if word == "make" else line in recipes or line == ACTIVATE
        assert known, f"{page.name} says {line!r}, and the Makefile does not"


def targets(page: Path, mark: str) -> list[str]:
    """Where the links (mark "") or pictures (mark "!") of a page point to inside the repository."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    found = re.findall(r"(!?)\[[^\]]*\]\(([^)#]+)[^)]*\)", text)
    return [target for marked, target in found if marked == mark and "://" not in target]


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "docs/tutorial.md", "docs/LOG.md", "docs/reference.md"])
def test_every_link_of_the_page_leads_somewhere(name):
    page = HERE / name
    for target in targets(page, ""):
        assert (page.parent / target).exists(), f"{name} points to {target}, which is not there"


def test_every_picture_is_there_and_fetches_nothing():
    for target in targets(README, "!"):
        picture = HERE / target
        assert picture.is_file(), f"{target} is not there: examples/panel_picture.py draws the panel of a finished run"
        assert b"url(http" not in picture.read_bytes(), f"{target} asks the network"


@pytest.mark.slow
@pytest.mark.timeout(900)  # a machine that others use takes much longer than the minute
def test_quickstart_as_typed_learns_from_the_whole_text_and_shows_it(tmp_path):
    """The real thing through the installed command, with one minute instead of five."""
    command = [sys.executable, "-m", "chainrule", "quickstart", "--minutes", "1", "--json"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-2000:]
    figures = json.loads(found.stdout)
    looks = [row for row in read_rows(tmp_path / figures["run"] / "metrics.jsonl") if row["kind"] == "eval"]
    assert figures["val_bits_per_byte"] < looks[0]["val_bits_per_byte"] - 0.2
    assert figures["baselines"]["xz_seen"] < figures["baselines"]["unigram"]
    assert (tmp_path / figures["report"]).is_file()
