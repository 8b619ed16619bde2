"""The one thread that computes: texts come out of a bounded queue into a decoder's rows, and leave when they end."""

import threading
import time
from collections import deque
from dataclasses import dataclass

from chainrule.base import ModelError, usable_memory
from chainrule.checkpoint import OpenedModel
from chainrule.generate import Decoder
from chainrule.model import ExactReader
from chainrule.serve.errors import ApiError
from chainrule.serve.metrics import Metrics
from chainrule.serve.prefixes import Prefixes
from chainrule.serve.settings import Serving
from chainrule.serve.texts import Failed, Job, Piece, Text

# Prompts read between two tokens of the texts under way: more would let those wait for long.
PROMPT_TOKENS_AT_ONCE = 1024
# Of the memory here, for keys and values of all rows.
CACHE_SHARE = 0.25


@dataclass(frozen=True)
class Load:
    """How busy the server is."""

    active: int
    waiting: int
    prefix_bytes: int


class Engine:
    """Writes texts in a thread of its own between `start` and `stop`."""

    def __init__(self, opened: OpenedModel, settings: Serving, metrics: Metrics) -> None:
        self.opened, self.metrics = opened, metrics
        self.max_length = settings.max_length or longest(opened, settings.rows)
        self._settings = settings
        on_cpu = opened.model.token_embedding.weight.device.type == "cpu"
        exact = on_cpu if settings.exact is None else settings.exact
        self._reader = ExactReader(opened.model) if exact else None
        self._decoder = self._new_decoder()
        self._prefixes = Prefixes(min(settings.prefix_bytes, usable_memory() // 8))
        self._rows: dict[int, Text] = {}
        self._waiting: deque[Text] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="chainrule-engine", daemon=True)

    @property
    def row_counts(self) -> tuple[int, ...]:
        """The rows of matrix products in the exact mode; none in the fast one."""
        return self._reader.row_counts if self._reader else ()

    @property
    def alive(self) -> bool:
        """Whether texts are being written, or would be."""
        return self._thread.is_alive() and not self._stopping

    @property
    def load(self) -> Load:
        """How busy it is now."""
        with self._changed:
            return Load(len(self._rows), len({id(text.job) for text in self._waiting}), self._prefixes.n_bytes)

    def start(self) -> None:
        """Begins to work."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the step under way; whoever waits is told so."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def submit(self, job: Job) -> None:
        """Takes a request in; raises ApiError 429 where too many wait, 503 while the server ends."""
        with self._changed:
            if self._stopping or not self._thread.is_alive():
                raise ApiError(503, "the server is shutting down")
            free = self._settings.rows - len(self._rows)
            waiting = len({id(text.job) for text in list(self._waiting)[free:]})
            if len(self._waiting) >= free and waiting >= self._settings.max_queue:
                raise ApiError(429, f"{waiting} requests wait already; try again later", code="queue_full")
            self._waiting.extend(Text(job, index, self.opened.tokenizer) for index in range(len(job.wanted)))
            self._changed.notify_all()

    def leave(self, job: Job) -> None:
        """Nobody listens any more: its rows are free after the step under way."""
        with self._changed:
            job.gone = True
            self._changed.notify_all()

    def _new_decoder(self) -> Decoder:
        opened = self.opened
        return Decoder(
            opened.model,
            self._settings.rows,
            self.max_length,
            n_choices=opened.tokenizer.vocab_size,
            reader=self._reader,
        )

    def _work(self) -> None:
        try:
            self._write()
        except BaseException:
            # A mistake of ours: nobody is left waiting, /health says 503, and the traceback goes to the log.
            with self._changed:
                self._stopping = True
            self._fail("the server failed", 503)
            raise

    def _write(self) -> None:
        while self._admit():
            if not self._rows:
                continue
            try:
                tokens = self._decoder.step()
            except (ModelError, RuntimeError, MemoryError) as fault:
                self._fail(f"the model failed: {fault}")
                continue
            for row, token in tokens.items():
                self._take(row, token)
        self._fail("the server is shutting down", 503)

    def _admit(self) -> bool:
        """Waits for something to do and brings newcomers in; False when the server ends."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._rows or self._waiting)
            if self._stopping:
                return False
            left = [text for text in self._waiting if text.job.gone]
            self._waiting = deque(text for text in self._waiting if not text.job.gone)
        self.metrics.add("abandoned_texts", len(left))
        for row in [row for row, text in self._rows.items() if text.job.gone]:
            self.metrics.add("abandoned_texts")
            self._release(row)
        room = PROMPT_TOKENS_AT_ONCE
        while len(self._rows) < self._settings.rows and (text := self._next(room)):
            room -= len(text.wanted.ids)
            self._begin(text)
        return True

    def _next(self, room: int) -> Text | None:
        """Who is first in the queue, if its prompt is not too long for this step; one is never too long alone."""
        with self._changed:
            if not self._waiting:
                return None
            fits = len(self._waiting[0].wanted.ids) <= room or room == PROMPT_TOKENS_AT_ONCE
            return self._waiting.popleft() if fits else None

    def _begin(self, text: Text) -> None:
        wanted = text.wanted
        scored = wanted.n_top is not None
        # What is echoed with its log-probabilities has to be read.
        prefix = None if scored and wanted.echo else self._prefixes.best(wanted.ids)
        text.n_reused = prefix.n_shared(wanted.ids) if prefix else 0
        hear = text.hear if scored else None
        rules = (wanted.constraint, *wanted.rules) if wanted.constraint else wanted.rules
        row = self._decoder.admit(wanted.ids, rules=rules, seed=wanted.seed, prefix=prefix, hear=hear)
        self._rows[row] = text
        self.metrics.add("prompt_tokens", len(wanted.ids))
        self.metrics.add("reused_tokens", text.n_reused)

    def _take(self, row: int, token: int) -> None:
        """A new token of a row: tells its piece, and ends the row with the text."""
        text = self._rows[row]
        if not text.n_new:
            self.metrics.add("first_tokens")
            self.metrics.add("first_token_seconds", time.perf_counter() - text.job.asked_at)
        piece: Piece | Failed = text.take(token)
        self.metrics.add("generated_tokens")
        if text.wanted.constraint and text.wanted.constraint.fault:
            piece = Failed(500, f"the answer left its schema: {text.wanted.constraint.fault}")
        if isinstance(piece, Failed) or piece.finish:
            self._release(row)
        text.job.tell(piece)

    def _release(self, row: int) -> None:
        text = self._rows.pop(row)
        if not self._prefixes.covers(text.wanted.ids) or text.n_new > 1:
            self._prefixes.keep(self._decoder.kept(row))
        self._decoder.release(row)

    def _fail(self, message: str, status: int = 500) -> None:
        """Tells all that nothing comes any more; the rows are made anew."""
        with self._changed:
            texts = [*self._rows.values(), *(self._waiting if status == 503 else ())]
            self._rows.clear()
            if status == 503:
                self._waiting.clear()
            else:
                self._decoder = self._new_decoder()
        for job in {id(text.job): text.job for text in texts}.values():
            job.gone = True
            job.tell(Failed(status, message))


def longest(opened: OpenedModel, rows: int) -> int:
    """The model's context, or what a quarter of the memory here holds of keys and values for all rows."""
    config = opened.config
    place_bytes = 2 * 4 * config.n_layers * config.n_kv_heads * config.head_dim * rows
    return max(2, min(config.context_length, int(CACHE_SHARE * usable_memory()) // place_bytes))
