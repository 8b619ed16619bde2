"""Goes on from a trained model on other text: what is learnt and what forgotten, with and without some old text.

python examples/continue_on_special_text.py runs/python-1 my_texts/ --steps 100
"""

import argparse
from pathlib import Path
from typing import Any

from chainrule.config import Layer
from chainrule.run import Summary
from chainrule.train import pretrain


def go_on(origin: str, paths: list[str], run: Path, steps: int, old_share: float) -> Summary:
    """One run from `origin` on `paths`, with a share of the old text; returns its summary."""
    settings: dict[str, dict[str, Any]] = {
        "origin": {"start_from": origin, "old_share": old_share},
        "text": {"paths": paths},
        "training": {"steps": steps, "batch_tokens": 2048, "eval_every": steps, "sample_every": steps},
    }
    return pretrain([Layer("example", settings)], run)


def main(origin: str, paths: list[str], folder: Path, steps: int, shares: list[float]) -> None:
    """A row for each share: held-out bits per byte of the new and of the old text, before and after."""
    print(f"{'old share':>10} {'new text':>18} {'old text':>18}")
    for share in shares:
        summary = go_on(origin, paths, folder / f"special-{share:g}", steps, share)
        texts = (summary.new, summary.old)
        shown = [f"{text.before:.3f} -> {text.after:.3f}" if text else "not known" for text in texts]
        print(f"{share:>10.0%} {shown[0]:>18} {shown[1]:>18}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("origin", help="a run of chainrule, whose text is known")
    parser.add_argument("paths", nargs="+", help="folders, files or globs of the new text")
    parser.add_argument("--folder", type=Path, default=Path("runs"), help="where the runs go")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.3])
    given = parser.parse_args()
    main(given.origin, given.paths, given.folder, given.steps, given.shares)
