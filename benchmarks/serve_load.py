"""The server under load: what many clients at once gain, what exactness costs, and a soak of good and hostile requests.

python benchmarks/serve_load.py [MODEL] [--requests 1000] [--seconds 12] [--tokens 32] [--weights float32]

Without MODEL a random one of 8M parameters. First the requests a second are measured that the server answers when all
its rows are full, with so many different ones that its kept beginnings fill their room. Then the soak, after a fifth of
it that is not counted, sends twice as many, at times of their own choice whether the server keeps up or not (a Poisson
process); one in five is hostile: no JSON, megabytes of ids, wrong types, long prompts that are refused, clients that
leave in the middle of a stream. From a process of its own, /health is asked every 20 ms. Printed: answers by status,
memory in the second tenth and in the last, and how long /health took. A bar that is missed is an exit code of 1.
"""

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import torch
from about import print_about
from safetensors.torch import save_file

from chainrule.checkpoint import to_hugging_face
from chainrule.config import ModelConfig, VocabularyConfig
from chainrule.model import GPT
from chainrule.serve.prefixes import MOST_KEPT
from chainrule.tokenizer import build_tokenizer

ROWS = 16
SHAPE = {"context_length": 512, "emb_dim": 256, "n_heads": 8, "n_kv_heads": 4, "n_layers": 8}
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False}
JSON = {"Content-Type": "application/json"}
COMPLETIONS = "/v1/completions"


def write_model(folder: Path, **shape: Any) -> Path:
    """A random model of bytes in a Hugging Face folder."""
    tokenizer = build_tokenizer(VocabularyConfig(kind="bytes"), 257, list)
    torch.manual_seed(0)
    model = GPT(ModelConfig(vocab_size=tokenizer.vocab_size, **{**SHAPE, **MODERN, **shape}))
    settings, tensors = to_hugging_face(model.config, model.state_dict())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(settings))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(folder / "tokenizer.json")
    return folder


@dataclass(frozen=True)
class Running:
    """A server in a process of its own."""

    url: str
    pid: int

    @property
    def memory_bytes(self) -> int:
        """What it holds now."""
        words = Path(f"/proc/{self.pid}/status").read_text().split()
        return int(words[words.index("VmRSS:") + 1]) * 1024


@contextmanager
def served(model: str, *flags: str) -> Iterator[Running]:
    """The command, as a person calls it."""
    command = [sys.executable, "-m", "chainrule", "serve", model, "--port", "0", "--rows", str(ROWS), *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            url = next(line.split()[0] for line in process.stderr if line.startswith("http"))
            yield Running(url, process.pid)
        finally:
            process.terminate()
            process.wait(60)


def asked(number: int, tokens: int) -> dict[str, Any]:
    """A request that shares nothing with another."""
    prompt = "".join(random.Random(number).choices("abcdefgh ", k=48))
    return {"prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True}


async def rate(url: str, clients: int, seconds: float, tokens: int) -> float:
    """Tokens a second that so many clients get together, each asking again as soon as it is answered."""
    end, written, number = time.perf_counter() + seconds, 0, 0
    began = time.perf_counter()
    async with httpx.AsyncClient(base_url=url, timeout=300, limits=httpx.Limits(max_connections=None)) as client:

        async def one() -> None:
            nonlocal written, number
            while time.perf_counter() < end:
                number += 1
                answer = await client.post(COMPLETIONS, json=asked(1000 * clients + number, tokens))
                written += answer.json()["usage"]["completion_tokens"]

        await asyncio.gather(*(one() for _ in range(clients)))
    return written / (time.perf_counter() - began)


@dataclass
class Soaked:
    """What a soak found; a client that got no answer at all counts under the name of its error."""

    statuses: Counter[str] = field(default_factory=Counter)
    health: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    @property
    def health_p99(self) -> float:
        """Seconds."""
        return statistics.quantiles(self.health, n=100, method="inclusive")[-1]

    @property
    def held(self) -> tuple[float, float]:
        """Memory in the second tenth and in the last: the first has every kind of hostile body for the first time."""
        tenth = len(self.memory) // 10
        return statistics.median(self.memory[tenth : 2 * tenth]), statistics.median(self.memory[-tenth:])

    @property
    def growth(self) -> float:
        """By how much the latter is more."""
        first, last = self.held
        return last / first - 1

    @property
    def crashes(self) -> int:
        """Answers that no client should see."""
        fine = ("left", "503")
        return sum(n for word, n in self.statuses.items() if word not in fine and word[0] not in "24")


HOSTILE_BODIES = [
    b"{" * 2000,
    b'{"prompt": "a", "temperature": NaN}',
    b'{"prompt": "a", "n": 1000000000}',
    b'{"prompt": [' + b"1," * 200_000 + b"1]}",
    b'{"prompt": [' + b"1," * 1_900_000 + b'"a"]}',
    json.dumps({"prompt": "\x00" * 200_000}).encode(),
    json.dumps({"prompt": ["word " * 200] * 256}).encode(),
    b'{"messages": [{"role": "king", "content": ["\\ud800"]}]}',
    json.dumps({"messages": [{"role": "user", "content": "word " * 100_000}]}).encode(),
    json.dumps({"prompt": "a", "stop": ["a" * 10_000] * 100, "logit_bias": {"a": 1}}).encode(),
]


async def hostile(client: httpx.AsyncClient, number: int) -> str:
    """A request that means no good; its status, or `left`."""
    kind = number % (len(HOSTILE_BODIES) + 1)
    if kind == len(HOSTILE_BODIES):
        async with client.stream("POST", COMPLETIONS, json={**asked(number, 200), "stream": True}) as answer:
            async for _ in answer.aiter_lines():
                break
        return "left" if answer.status_code == 200 else str(answer.status_code)
    body = HOSTILE_BODIES[kind]
    path = "/v1/chat/completions" if b'"messages"' in body[:20] else COMPLETIONS
    answer = await client.post(path, content=body, headers=JSON)
    return str(answer.status_code)


async def soak(running: Running, requests: int, tokens: int, per_second: float) -> Soaked:
    """So many requests, which come when they come; one in five is hostile."""
    found, dice = Soaked(), random.Random(0)
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=running.url, timeout=300, limits=limits) as client, looked_at(running, found):

        async def one(number: int) -> None:
            try:
                if number % 5 == 4:
                    word = await hostile(client, number // 5)
                else:
                    word = str((await client.post(COMPLETIONS, json=asked(number, tokens))).status_code)
            except httpx.HTTPError as fault:
                word = type(fault).__name__
            found.statuses[word] += 1

        async with asyncio.TaskGroup() as under_way:
            due = time.perf_counter()
            for number in range(requests):
                under_way.create_task(one(number))
                found.memory.append(running.memory_bytes)
                due += dice.expovariate(per_second)
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
    return found


@asynccontextmanager
async def looked_at(running: Running, found: Soaked) -> AsyncIterator[None]:
    """Meanwhile another process asks for /health."""
    host, _, port = running.url.removeprefix("http://").rpartition(":")
    look = str(Path(__file__).with_name("look_at_health.py"))
    process = await asyncio.create_subprocess_exec(sys.executable, look, host, port, stdout=subprocess.PIPE)
    assert process.stdout is not None
    await process.stdout.readline()  # the first: it looks
    try:
        yield
    finally:
        process.terminate()
        said, _ = await process.communicate()
        found.health += [float(line) for line in said.decode().splitlines()]


async def saturation(url: str, requests: int, tokens: int) -> float:
    """Requests a second that the server answers when there are always more than it has rows."""
    numbers, began = iter(range(10**6, 10**6 + requests)), time.perf_counter()
    async with httpx.AsyncClient(base_url=url, timeout=300, limits=httpx.Limits(max_connections=None)) as client:

        async def one() -> None:
            for number in numbers:
                (await client.post(COMPLETIONS, json=asked(number, tokens))).raise_for_status()

        await asyncio.gather(*(one() for _ in range(ROWS + 4)))
    return requests / (time.perf_counter() - began)


def rates(model: str, seconds: float, tokens: int, weights: str) -> dict[str, float]:
    """Tokens a second alone and together, exact and fast, in turn so that a busy machine treats them alike."""
    found: dict[str, list[float]] = {}
    flags = ("--weights", weights)
    with served(model, *flags) as exact, served(model, *flags, "--no-exact") as fast:
        for _ in range(3):
            for name, one in (("exact", exact), ("fast", fast)):
                for clients in (1, ROWS):
                    rate_now = asyncio.run(rate(one.url, clients, seconds / 3, tokens))
                    found.setdefault(f"{name}, {clients} at once", []).append(rate_now)
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--weights", default="float32")
    options = parser.parse_args()
    print_about()
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or str(write_model(Path(folder) / "model"))
        found = rates(model, options.seconds, options.tokens, options.weights)
        for name, value in found.items():
            print(f"{name:>22}: {value:8.1f} tokens/s")
        gain = found[f"exact, {ROWS} at once"] / found["exact, 1 at once"]
        print(f"{ROWS} at once give {gain:.1f} times one at a time (bar: 4)")
        with served(model, "--max-queue", "8", "--weights", options.weights) as running:
            per_second = asyncio.run(saturation(running.url, MOST_KEPT + 4 * ROWS, options.tokens))
            asyncio.run(soak(running, options.requests // 5, options.tokens, 2 * per_second))
            done = asyncio.run(soak(running, options.requests, options.tokens, 2 * per_second))
    print(f"saturated at {per_second:.1f} requests/s; the soak sent {2 * per_second:.1f}")
    print(f"soak: {dict(sorted(done.statuses.items()))}, {done.crashes} crashes (bar: 0)")
    first, last = (one / 2**20 for one in done.held)
    print(f"memory {first:.0f} MiB, then {last:.0f} MiB: {done.growth:+.1%} (bar: 2 %)")
    print(f"/health: p99 {done.health_p99 * 1000:.0f} ms of {len(done.health)} looks (bar: 100 ms)")
    return gain < 4 or done.crashes > 0 or done.growth > 0.02 or done.health_p99 > 0.1


if __name__ == "__main__":
    sys.exit(main())
