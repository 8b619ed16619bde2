"""What the server has done, in the text format of Prometheus (version 0.0.4)."""

import threading
from collections import Counter
from collections.abc import Mapping

HELP = {
    "requests": "Requests answered, by route and status.",
    "prompt_tokens": "Tokens of prompts, those taken from a kept beginning among them.",
    "reused_tokens": "Tokens of prompts that need not be read again.",
    "generated_tokens": "Tokens written.",
    "abandoned_texts": "Texts whose client left before their end.",
    "first_token_seconds": "Sum of the time from a request to its first token.",
    "first_tokens": "Texts that had a first token.",
}
GAUGES = {
    "active_texts": "Texts being written.",
    "waiting_requests": "Requests that wait for a row.",
    "prefix_bytes": "Memory of kept beginnings.",
}


class Metrics:
    """Counters that several threads add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, name: str, amount: float = 1, labels: str = "") -> None:
        """Adds to a counter of `HELP`."""
        with self._lock:
            self._counts[name, labels] += amount  # type: ignore[assignment]

    def text(self, gauges: Mapping[str, float]) -> str:
        """All counters and the gauges, as Prometheus reads them."""
        with self._lock:
            counts = sorted(self._counts.items())
        lines: list[str] = []
        for name, told in HELP.items():
            lines += [f"# HELP chainrule_{name}_total {told}", f"# TYPE chainrule_{name}_total counter"]
            lines += [f"chainrule_{name}_total{labels} {amount:g}" for (one, labels), amount in counts if one == name]
        for name, told in GAUGES.items():
            lines += [f"# HELP chainrule_{name} {told}", f"# TYPE chainrule_{name} gauge"]
            lines.append(f"chainrule_{name} {gauges[name]:g}")
        return "\n".join(lines) + "\n"
