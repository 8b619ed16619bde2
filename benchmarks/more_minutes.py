"""What more time is predicted to give, against what it gave: real runs of growing length, each text left out in turn.

    python benchmarks/more_minutes.py --measure RUNS.jsonl [--cases bible-64 python-128 ...] [--times 1 2 4 8]
    python benchmarks/more_minutes.py benchmarks/more_minutes.jsonl

With --measure a run of the recipe is trained for each case and each number of tokens (0.15M times `--times`), from the
first weights to the end of its decay, in one thread; a line for each is added to the file. Tokens are fixed, not
seconds, so that other programs change nothing. Without it the lines of a file are read: of every two runs of a case the
longer is predicted from the shorter one alone, with constants that were fitted without any run of that text, and the
table says how often the truth was within the interval.
"""

import argparse
import json
import math
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from about import print_about

from chainrule.base import freed_memory_kept
from chainrule.config import Layer, modern
from chainrule.plan import Foretold, foretell, parameters
from chainrule.plan.choice import BATCH_FACTOR, BATCH_POWER, DROPOUT, DROPOUT_FROM_EPOCHS, LEAST_BATCH, LEAST_STEPS
from chainrule.plan.more import FULL_EPOCHS, LEVEL, POWER, final_slope, worth
from chainrule.run import RunFolder, read_rows
from chainrule.train.finish import score_at_the_end
from chainrule.train.loop import train
from chainrule.train.stages import Start
from chainrule.train.start import anew
from chainrule.train.stop import Stop
from chainrule.train.text_lesson import TextLesson

CONTEXT, FIRST_WINDOW = 256, 64
UNIT = 150_000


@dataclass(frozen=True)
class Case:
    """A text, at most so many bytes of it, and a shape."""

    text: str
    emb_dim: int
    vocab_size: int
    seed: int = 0
    n_layers: int = 4
    most_bytes: int | None = None


def cases(texts: dict[str, str | None]) -> dict[str, Case]:
    """All that can be measured, by name; `texts` are paths by name, of those that are at hand."""
    found: dict[str, Case] = {}
    for name, (vocab_size, widths) in {
        "bible": (1024, (32, 64, 192)),
        "python": (2048, (32, 64, 128)),
        "books": (2048, (32, 64)),
        "plays": (512, (32, 64)),
    }.items():
        if path := texts[name]:
            found |= {f"{name}-{width}": Case(path, width, vocab_size) for width in widths}
    if plays := texts["plays"]:
        found["plays-64-short"] = Case(plays, 64, 512, most_bytes=250_000)
    found["bible-64-seed-1"] = Case("king-james", 64, 1024, seed=1)
    return found


def settings(case: Case, tokens: int, path: str, cache: Path, unique: float) -> list[Layer]:
    """The recipe of plan/choose.py for so many tokens."""
    wanted = min(max(LEAST_BATCH["cpu"], BATCH_FACTOR * tokens**BATCH_POWER), tokens / LEAST_STEPS)
    batch = CONTEXT * max(1, round(wanted / CONTEXT))
    steps = round(tokens / batch)
    n_heads = max(2, case.emb_dim // (64 if case.emb_dim > 128 else 32))
    shape = modern(case.emb_dim, n_heads, case.n_layers, CONTEXT, case.vocab_size)
    over: dict[str, dict[str, Any]] = {
        "schedule": {"first_window": FIRST_WINDOW},
        "model": {"drop_rate": DROPOUT if tokens / unique > DROPOUT_FROM_EPOCHS else 0.0},
        "text": {"paths": [path]},
        "training": {
            "first_weights": "previous-token",
            "batch_tokens": batch,
            "steps": steps,
            "seed": case.seed,
            "eval_every": max(1, steps // 20),
            "eval_tokens": 8192,
            "sample_every": 10 * steps,
            "sample_tokens": 1,
            "prompts": ["The"],
            "health_every": 0,
            "save_every": 10 * steps,
        },
        "machine": {
            "device": "cpu",
            "precision": "bfloat16",
            "threads": 1,
            "workers": 1,
            "compile": "off",
            "cache": str(cache),
        },
    }
    return [Layer("shape", shape), Layer("recipe", over)]


def measured(case: Case, tokens: int, folder: Path) -> dict[str, Any]:
    """Trains one run to its end and scores it; what it came to, and its looks at held-out text."""
    path = case.text
    if case.most_bytes:
        part = folder / "part.txt"
        part.write_bytes(Path(path).read_bytes()[: case.most_bytes])
        path = str(part)
    run = RunFolder(folder / f"{time.time_ns()}")
    run.path.mkdir()
    unique = folder / f"unique-{case.vocab_size}-{case.most_bytes}-{Path(case.text).name}"
    known = float(unique.read_text()) if unique.exists() else 1e12
    with Stop() as stop, freed_memory_kept():
        layers = settings(case, tokens, path, folder / "cache", known)
        session = anew(Start(run, lambda row: None, stop, time.perf_counter(), TextLesson()), layers, None)
        n_unique = session.dataset.split("train").n_tokens
        unique.write_text(str(n_unique))
        train(session)
        scores, _ = score_at_the_end(session)
    rows = list(read_rows(run.metrics))
    return {
        "text": Path(case.text).name,
        "most_bytes": case.most_bytes,
        "emb_dim": case.emb_dim,
        "n_layers": case.n_layers,
        "vocab_size": session.config.model.vocab_size,
        "seed": case.seed,
        "batch_tokens": session.config.training.batch_tokens,
        "drop_rate": session.config.model.drop_rate,
        "parameters": parameters(session.config.model).total,
        "tokens": session.state.progress.samples * CONTEXT,
        "unique_tokens": n_unique,
        "bits_per_byte": round(scores.bits_per_byte, 4),
        "nats": round(scores.loss, 4),
        "looks": [[row["tokens"], round(row["val_bits_per_byte"], 4)] for row in rows if row["kind"] == "eval"],
        "seconds": round(session.state.progress.seconds, 1),
    }


@dataclass(frozen=True)
class Pair:
    """A run and a longer one of the same case."""

    short: dict[str, Any]
    long: dict[str, Any]

    @property
    def times(self) -> float:
        return float(self.long["tokens"] / self.short["tokens"])

    @property
    def repeats(self) -> bool:
        """Whether the longer run reads its text more often than is nearly as good as new text."""
        return bool(self.long["tokens"] > FULL_EPOCHS * self.long["unique_tokens"])

    def level(self) -> float:
        """What LEVEL would have had to be for this pair, in its logarithm."""
        unique = self.short["unique_tokens"]
        way = math.log(worth(self.long["tokens"], unique) / worth(self.short["tokens"], unique))
        slope = final_slope(self.short["looks"]) or math.nan
        gain = math.log(self.short["bits_per_byte"] / self.long["bits_per_byte"])
        return math.log(max(gain, 1e-3) / way / slope**POWER)

    def foretold(self, level: float) -> Foretold | None:
        row, more = self.short, self.long["tokens"] - self.short["tokens"]
        return foretell(row["bits_per_byte"], row["looks"], row["tokens"], more, row["unique_tokens"], level)


def pairs_of(rows: list[dict[str, Any]]) -> list[Pair]:
    """Of each case every run with looks beside every longer one, where there is something to be foretold."""
    made = [
        Pair(short, long)
        for short in rows
        for long in rows
        if short["case"] == long["case"] and short["tokens"] < long["tokens"] and short["looks"]
    ]
    return [pair for pair in made if pair.foretold(LEVEL) is not None]


def table(rows: list[dict[str, Any]]) -> None:
    """Prints what was foretold without the text's own runs beside what came, and how often it was within."""
    pairs = pairs_of(rows)
    fitted = [pair for pair in pairs if not pair.repeats]
    middle = math.exp(statistics.mean(pair.level() for pair in fitted))
    print(f"{len(pairs)} pairs; level {middle:.3f} by the {len(fitted)} that read their text no more than four times")
    held: dict[str, list[bool]] = {"all": [], "3 times the tokens or more": []}
    for pair in sorted(pairs, key=lambda one: (one.short["case"], one.short["tokens"], one.times)):
        text = pair.short["text"]
        others = statistics.mean(other.level() for other in fitted if other.short["text"] != text)
        told = pair.foretold(math.exp(others))
        assert told is not None
        came = pair.long["bits_per_byte"]
        within = told.low <= came <= told.high
        held["all"].append(within)
        if pair.times > 2.9:
            held["3 times the tokens or more"].append(within)
        print(
            f"{pair.short['case']:>16} {pair.short['tokens'] / 1e6:5.2f}M {pair.short['bits_per_byte']:.3f} "
            f"x {pair.times:4.1f}: foretold {told.bits_per_byte:.3f} ({told.low:.3f} to {told.high:.3f}), "
            f"came {came:.3f}{'' if within else '  OUTSIDE'}"
        )
    for words, found in held.items():
        print(f"within the interval, {words}: {sum(found)} of {len(found)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--cases", nargs="+", default=None)
    parser.add_argument("--times", nargs="+", type=float, default=[1, 2, 4, 8])
    parser.add_argument("--books", help="a folder of novels, for the cases books-*")
    parser.add_argument("--plays", help="tinyshakespeare.txt, for the cases plays-*")
    options = parser.parse_args()
    if options.measure:
        print_about()
        known = cases({"bible": "king-james", "python": "python", "books": options.books, "plays": options.plays})
        with tempfile.TemporaryDirectory() as folder:
            for name in options.cases or known:
                for times in options.times:
                    row = {"case": name, **measured(known[name], round(UNIT * times), Path(folder))}
                    with options.file.open("a") as stream:
                        stream.write(json.dumps(row) + "\n")
                    print(name, row["tokens"], row["bits_per_byte"], row["seconds"], flush=True)
        return
    table([json.loads(line) for line in options.file.read_text().splitlines()])


if __name__ == "__main__":
    main()
