"""A GGUF file, which llama.cpp, ollama and their like load, and the way in which it is proved.

What is proved: our own reader, which knows nothing of the writer, finds a model that computes what the weights, each
rounded as its format rounds it, compute; and where xllamacpp is installed, llama.cpp reads the same ids from the same
texts and writes the same greedy text.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chainrule.base import SUMS, DataError, write_bytes
from chainrule.checkpoint import SEALED, OpenedModel, open_model, require_gguf, rounded_for_gguf, write_gguf
from chainrule.export.llama_cpp import LlamaCpp
from chainrule.generate import Decoder, Temperature
from chainrule.model import GPT
from chainrule.tokenizer import ChatTemplate

FILE = "model.gguf"
# ollama's words (Go's templates) for ChatML.
CHAT_ML = """{{ range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
# By what part of the largest logit llama.cpp's arithmetic may differ: it rounds activations as the weights are (F16:
# 11 bits; Q8_0: 8 bits in blocks), and in F32 its attention and its exponentials. benchmarks/gguf_parity.py counts.
ROUNDING = {"F32": 1e-3, "F16": 5e-3, "Q8_0": 2e-2}


def write_gguf_folder(opened: OpenedModel, folder: Path, *, dtype: str) -> None:
    """model.gguf in a format ("F32", "F16", "Q8_0"), and the Modelfile with which ollama takes it in."""
    write_gguf(folder / FILE, opened.model, opened.tokenizer, dtype, template=opened.template, **{SEALED: SUMS})
    write_bytes(folder / "Modelfile", _modelfile(opened).encode())


def as_written(opened: OpenedModel, *, dtype: str) -> OpenedModel:
    """The model whose weights are those that a file in this format holds."""
    if dtype == "F32":
        return opened
    model = GPT(opened.config).eval()
    model.load_state_dict(rounded_for_gguf(opened.model.state_dict(), opened.config, dtype))
    return replace(opened, model=model)


class GgufReadBack:
    """What our own reader makes of the file, and llama.cpp where xllamacpp is installed."""

    def __init__(self, folder: Path, *, dtype: str) -> None:
        self._opened = open_model(folder / FILE)
        self._other = LlamaCpp.open(folder / FILE, self._opened.config.context_length)
        self.architecture = f"{self._opened.config.architecture} in {dtype}"
        second = f", and {self._other.name} (ids and greedy text)" if self._other else ""
        self.name = f"chainrule's own reader{second}"
        self.rounding = ROUNDING[dtype] if self._other else 0.0

    @torch.no_grad()
    def logits(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """Scores after each place, by our own reader: llama.cpp gives only those of a few tokens."""
        scores: Tensor = self._opened.model(ids)
        return scores

    def encode(self, text: str) -> list[int]:
        """The ids of a text, as llama.cpp has them if it is there."""
        return self._other.encode(text) if self._other else self._opened.tokenizer.encode(text)

    def greedy(self, ids: Sequence[int], count: int, end_of_text: int) -> list[int]:
        """The next `count` likeliest tokens, or fewer when the text ends before; end-of-text is left out."""
        # Rows that merely pad the embedding are no tokens; here they are never drawn.
        padding = range(self._opened.tokenizer.vocab_size, self._opened.config.vocab_size)
        new = self._other.greedy(ids, count, padding) if self._other else self._own_greedy(ids, count)
        return new[: new.index(end_of_text)] if end_of_text in new else new

    def _own_greedy(self, ids: Sequence[int], count: int) -> list[int]:
        n_choices = self._opened.tokenizer.vocab_size
        decoder = Decoder(self._opened.model, 1, len(ids) + count, n_choices=n_choices)
        row = decoder.admit(ids, rules=[Temperature(0)])
        return [decoder.step()[row] for _ in range(count)]


def _modelfile(opened: OpenedModel) -> str:
    """What `ollama create NAME -f Modelfile` reads."""
    lines = [f"FROM ./{FILE}", f"PARAMETER num_ctx {opened.config.context_length}"]
    if opened.template is None:
        # Without a template of its own ollama would look for one; a base model goes on with the text as it is.
        lines.append('TEMPLATE """{{ .Prompt }}"""')
        return "\n".join(lines) + "\n"
    words = {number: word for word, number in opened.template.words.items()}
    lines += [f"PARAMETER stop {json.dumps(words[number])}" for number in sorted(opened.template.stop)]
    if _is_chat_ml(opened.template):
        lines.append(f'TEMPLATE """{CHAT_ML}"""')
        lines += [f'SYSTEM """{said}"""' for said in _system(opened.template)]
    return "\n".join(lines) + "\n"


def _system(template: ChatTemplate) -> Iterator[str]:
    """What the template says to the model in the system's name when nobody else does."""
    text = template.render([{"role": "user", "content": "Is it raining?"}], reply=True)
    if text.startswith("<|im_start|>system\n"):
        said = text.removeprefix("<|im_start|>system\n").partition("<|im_end|>")[0]
        if '"""' not in said:
            yield said


def _is_chat_ml(template: ChatTemplate) -> bool:
    """Whether it writes what CHAT_ML writes; for another ollama looks among those that it knows."""
    system, question, answer = "Be brief.", "Is it raining?", "No."
    told = [("system", system), ("user", question), ("assistant", answer), ("user", question)]
    wanted = "".join(f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in told)
    messages = [{"role": role, "content": content} for role, content in told]
    try:
        return template.render(messages, reply=True) == wanted + "<|im_start|>assistant\n"
    except DataError:
        return False


require = partial(require_gguf, "export to GGUF")
USE = """```sh
llama-cli -m model.gguf -p "Once upon a time"      # llama.cpp
ollama create my-model -f Modelfile && ollama run my-model
chainrule generate model.gguf "Once upon a time"
```"""
