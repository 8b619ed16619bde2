"""A process of a benchmark: `python -m chainrule.bench.side TASK REQUEST` prints what it read as its last line."""

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import Any

import torch

from chainrule.bench.contest import Reading
from chainrule.bench.decoding import our_decoding, transformers_decoding
from chainrule.bench.grown import grown_steps
from chainrule.bench.score import score
from chainrule.bench.steps import nanogpt_steps, our_steps

TASKS: dict[str, Callable[[Mapping[str, Any]], Reading]] = {
    "our-steps": our_steps,
    "nanogpt-steps": nanogpt_steps,
    "our-decoding": our_decoding,
    "transformers-decoding": transformers_decoding,
    "score": score,
    "grown-steps": grown_steps,
}


def main() -> None:
    """Runs one task; what it prints on the way goes to standard error."""
    task, request = sys.argv[1], json.loads(sys.argv[2])
    torch.set_num_threads(request["threads"])
    with redirect_stdout(sys.stderr):
        found = TASKS[task](request)
    sys.stdout.write(json.dumps(asdict(found)) + "\n")


if __name__ == "__main__":
    main()
