"""How temperature and min-p change what a trained model writes: words, repetitions, ends, functions that parse.

python benchmarks/sampling.py RUN [RUN …] [--texts 48] [--tokens 160] [--temperatures 0.5 0.7] [--min-p 0 0.05 0.1]

Prompts are beginnings of held-out sentences, or `def ` for a run on Python's library. The last row is held-out text of
the same length: what a person's text has. "far" is the mean number of different words in 100 of them: a text that says
the same again and again has few.
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

from about import print_about

from chainrule.checkpoint import OpenedModel, open_model
from chainrule.config import load_toml, resolve
from chainrule.data import TokenStore, open_dataset
from chainrule.evaluate import excerpts, python_share, sample_quality, words_of
from chainrule.generate import generate, sampling_rules
from chainrule.plan import parameters
from chainrule.run import open_run


def prompts_of(opened: OpenedModel, store: TokenStore, n_texts: int, code: bool) -> list[str]:
    """Some words of evenly spread held-out pieces, cut between words; `def ` for code."""
    if code:
        return ["\n\ndef "] * n_texts
    return [" ".join(text.split()[1:6]) for text in excerpts(store, opened.tokenizer, count=n_texts, n_tokens=24)]


def row(words: str, texts: Sequence[str], known: frozenset[str]) -> str:
    """One line of the table."""
    quality = sample_quality(texts, known)
    python = python_share(text.lstrip("\n") for text in texts)
    parsed = "–" if python.share is None else f"{python.share:.3f}"
    return (
        f"{words:>22} {quality.known_words or 0:>7.3f} {quality.repeated_runs or 0:>9.3f} "
        f"{quality.with_an_end or 0:>6.3f} {different(texts):>5.1f} {parsed:>7}"
    )


def different(texts: Sequence[str]) -> float:
    """Mean number of different words among the first 100 of each text that has so many."""
    counts = [len({word.lower() for word in words[:100]}) for text in texts if len(words := text.split()) >= 100]
    return statistics.mean(counts) if counts else 0.0


def judge(path: Path, options: argparse.Namespace) -> None:
    """The table of one run."""
    opened, config = open_model(str(path)), resolve([load_toml(open_run(path).config)]).config
    dataset, code = open_dataset(open_run(path).data), config.text.paths == ("python",)
    known, held_out = words_of(dataset.split("train"), opened.tokenizer), dataset.split("validation")
    prompts = prompts_of(opened, held_out, options.texts, code)
    print(f"{path}: {parameters(opened.config).total:,} parameters, {len(prompts)} texts of {options.tokens} tokens")
    print(f"{'':>22} {'words':>7} {'repeated':>9} {'ends':>6} {'far':>5} {'parse':>7}")
    for temperature in options.temperatures:
        for min_p in options.min_p:
            rules = sampling_rules(temperature=temperature, min_p=min_p or None)
            done = generate(
                opened.model, opened.tokenizer, prompts, max_new_tokens=options.tokens, rules=rules, seed=1, heal=True
            )
            texts = [one.prompt + one.text for one in done]
            print(row(f"{temperature:g}, min-p {min_p:g}", texts, known), flush=True)
            if options.show:
                print("\n".join(f"--- {text}" for text in texts[: options.show]))
    people = excerpts(held_out, opened.tokenizer, count=options.texts, n_tokens=options.tokens)
    print(row("held-out text", people, known))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--texts", type=int, default=48)
    parser.add_argument("--tokens", type=int, default=160)
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    parser.add_argument("--min-p", type=float, nargs="+", default=[0.0, 0.05, 0.1])
    parser.add_argument("--show", type=int, default=0, help="texts of each row to print, to be read")
    options = parser.parse_args()
    print_about()
    for path in options.runs:
        judge(path, options)


if __name__ == "__main__":
    main()
