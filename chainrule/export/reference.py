"""transformers as the reference that an export is compared with. The only file that imports it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chainrule.base import MissingPackageError


def require_transformers() -> Any:
    """The package; raises MissingPackageError when it is not installed."""
    try:
        import transformers
    except ImportError:
        raise MissingPackageError(
            "export to Hugging Face's format, which is proved by loading it back,", "transformers", "hf"
        ) from None
    return transformers


class Reference:
    """What AutoModelForCausalLM and AutoTokenizer make of a folder, without any code from it."""

    name = "transformers"

    def __init__(self, folder: Path) -> None:
        transformers = require_transformers()
        with _quiet(transformers):
            self._model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.architecture = type(self._model).__name__

    @torch.no_grad()
    def logits(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """Scores after each place."""
        scores: Tensor = self._model(ids).logits
        return scores

    def encode(self, text: str) -> list[int]:
        """The ids that AutoTokenizer gives a text."""
        ids: list[int] = self._tokenizer(text)["input_ids"]
        return ids

    @torch.no_grad()
    def greedy(self, ids: Sequence[int], count: int, end_of_text: int) -> list[int]:
        """The next `count` tokens of `generate`, or fewer when the text ends before; end-of-text is left out."""
        prompt = torch.tensor([list(ids)])
        mask = torch.ones_like(prompt)
        written = self._model.generate(prompt, attention_mask=mask, max_new_tokens=count, do_sample=False)
        new: list[int] = written[0, len(ids) :].tolist()
        return new[: new.index(end_of_text)] if end_of_text in new else new


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """No progress bars inside; the user's setting comes back afterwards."""
    logging = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
