"""llama.cpp through xllamacpp, as a second reader of a GGUF file. The only file that imports it (extra `proof`)."""

import json
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chainrule.base import ExportError

# Longest time for a few tokens of a model that a processor can run at all.
PATIENCE_SECONDS = 600


class LlamaCpp:
    """A GGUF file in llama.cpp's server, which it runs in this process on a free port of the loopback."""

    def __init__(self, xllamacpp: Any, file: Path, context_length: int, threads: int) -> None:
        self.name = f"llama.cpp (xllamacpp {xllamacpp.__version__})"
        given = xllamacpp.CommonParams()
        given.model.path = str(file)
        given.n_ctx, given.n_parallel, given.warmup, given.verbosity = context_length, 1, False, 0
        given.cpuparams.n_threads = given.cpuparams_batch.n_threads = threads
        # Its usual cache is float16, which rounds more than the weights do.
        given.cache_type_k = given.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        try:
            self._server = xllamacpp.Server(given)
        except RuntimeError as fault:
            raise ExportError(
                f"llama.cpp does not open what was written, {file} ({fault}); where this process may open few files "
                "(ulimit -n) or has little memory, allow it more"
            ) from fault
        # The address is this process's own: no proxy stands between.
        self._ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    @classmethod
    def open(cls, file: Path, context_length: int, *, threads: int = 2) -> "LlamaCpp | None":
        """The file in llama.cpp; None where xllamacpp is not installed."""
        try:
            import xllamacpp
        except ImportError:
            return None
        return cls(xllamacpp, file, context_length, threads)

    def encode(self, text: str) -> list[int]:
        """The ids of a text, in which control tokens are ordinary text."""
        ids: list[int] = self._post("tokenize", {"content": text, "add_special": False, "parse_special": False})[
            "tokens"
        ]
        return ids

    def greedy(self, ids: Sequence[int], count: int, never: Sequence[int] = ()) -> list[int]:
        """The next `count` likeliest tokens but those in `never`, or fewer when one of them ends the text."""
        # Asked for by its own route: the one that OpenAI has leaves out tokens that are parts of a character.
        asked = {
            "prompt": list(ids),
            "n_predict": count,
            "temperature": 0,
            "return_tokens": True,
            "cache_prompt": False,
        }
        bias = {"logit_bias": [[number, False] for number in never]}
        new: list[int] = self._post("completion", asked | bias)["tokens"]
        return new

    def _post(self, route: str, body: Mapping[str, Any]) -> Any:
        address = f"{self._server.listening_address}/{route}"
        asked = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
        with self._ask(asked, timeout=PATIENCE_SECONDS) as answer:
            return json.loads(answer.read())
