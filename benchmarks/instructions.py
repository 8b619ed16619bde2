"""A real small model learns a thousand closed answers by an adapter: what it gains, forgets and costs.

    python benchmarks/instructions.py [smollm2] [--epochs 2] [--adapter lora] [--replay 0.1] [--lr 5e-4]

The rows are those of examples/closed_answer_rows.py; base text is README and two pages of this project's
documentation. Right answers are counted on held-out questions, greedily, word for word and ended by the model itself,
before and after; bits per byte of the base text too. Minutes and the largest memory are those of the whole command, in
a process of its own.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from about import print_about

from chainrule.run import AnswersRow, RunFolder, read_summary, rows_of
from chainrule.verdict import share_interval

HERE = Path(__file__).resolve().parents[1]


def share(right: int, n: int) -> str:
    """With its 95 % interval."""
    low, high = share_interval(right, n)
    return f"{right} of {n} ({low:.0%} to {high:.0%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2")
    parser.add_argument("--epochs", default="2")
    parser.add_argument("--adapter", default="lora")
    parser.add_argument("--replay", default="0")
    parser.add_argument("--lr", help="of the optimizer; without it the usual rate of an adapter of that rank")
    options = parser.parse_args()
    print_about()
    with tempfile.TemporaryDirectory() as folder:
        rows, run = Path(folder) / "rows.jsonl", RunFolder(Path(folder) / "taught")
        made = [sys.executable, str(HERE / "examples" / "closed_answer_rows.py"), str(rows)]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
        asked = ["--epochs", options.epochs, "--adapter", options.adapter, "--replay", options.replay]
        asked += ["--optimizer.lr", options.lr] if options.lr else []
        texts = [HERE / "README.md", HERE / "docs" / "tutorial.md", HERE / "docs" / "finetune.md"]
        place = ["--name", run.name, "--runs-folder", folder, *(f"--text={text}" for text in texts)]
        command = [sys.executable, "-m", "chainrule", "finetune", options.model, str(rows), *asked, *place]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=sys.stderr)
        seconds = time.perf_counter() - began
        summary, first = read_summary(run), next(rows_of(run.metrics, AnswersRow))
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    after = {task.task: share(task.right, task.n) for task in summary.tasks}
    before = {"exact-match": round((first.exact or 0) * first.n), "stopped": round((first.stopped or 0) * first.n)}
    print(f"{options.model}, 1,000 rows, {options.epochs} epochs, --adapter {options.adapter}, replay {options.replay}")
    for name, said in after.items():
        print(f"  {name}: before {share(before[name], first.n)}, after {said}")
    if summary.old:
        change = summary.old.after / summary.old.before - 1
        print(f"  base text: {summary.old.before:.4f} to {summary.old.after:.4f} bits per byte ({change:+.1%})")
    print(f"  {summary.steps} steps, {seconds / 60:.1f} minutes in all, at most {memory:.2f} GiB of memory")


if __name__ == "__main__":
    main()
