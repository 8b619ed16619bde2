"""The one thread that computes: texts come out of a bounded queue into a decoder's rows, and leave when they end."""

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from chainrule.base import ModelError, usable_memory
from chainrule.checkpoint import OpenedModel
from chainrule.generate import Decoder, Reader, Reading
from chainrule.model import ExactReader
from chainrule.serve.errors import ApiError
from chainrule.serve.metrics import Metrics
from chainrule.serve.prefixes import Prefixes
from chainrule.serve.prompts import Prompt, next_texts, read_some
from chainrule.serve.settings import Serving
from chainrule.serve.texts import Failed, Job, Piece, Text

# Of the memory here, for keys and values of all rows.
CACHE_SHARE = 0.25


@dataclass(frozen=True)
class Load:
    """How busy the server is."""

    active: int
    waiting: int
    prefix_bytes: int


class Engine:
    """Writes texts in a thread of its own between `start` and `stop`.

    `models` by the names that requests use, the first of them the base; the others share its shape and vocabulary.
    """

    def __init__(self, models: Mapping[str, OpenedModel], settings: Serving, metrics: Metrics) -> None:
        self.opened, self.metrics = next(iter(models.values())), metrics
        self.max_length = settings.max_length or longest(self.opened, settings.rows)
        self._settings = settings
        on_cpu = self.opened.model.token_embedding.weight.device.type == "cpu"
        exact = on_cpu if settings.exact is None else settings.exact
        # One for each model, which may have several names: what was read under one is known under the other.
        readers = {id(one.model): ExactReader(one.model) if exact else one.model for one in models.values()}
        self._readers: dict[str, Reader] = {name: readers[id(one.model)] for name, one in models.items()}
        self._decoder = self._new_decoder()
        self._prefixes = Prefixes(min(settings.prefix_bytes, usable_memory() // 8))
        self._rows: dict[int, Text] = {}
        self._prompts: list[Prompt] = []
        self._waiting: deque[Text] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="chainrule-engine", daemon=True)

    @property
    def row_counts(self) -> tuple[int, ...]:
        """The rows of matrix products in the exact mode; none in the fast one."""
        exact = [one for one in self._readers.values() if isinstance(one, ExactReader)]
        return tuple(sorted({count for one in exact for count in one.row_counts}, reverse=True))

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
            free = max(0, self._settings.rows - len(self._rows) - sum(len(one.texts) for one in tuple(self._prompts)))
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
        opened, reader = self.opened, next(iter(self._readers.values()))
        n_choices = opened.tokenizer.vocab_size
        return Decoder(opened.model, self._settings.rows, self.max_length, n_choices=n_choices, reader=reader)

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
        while self._look():
            try:
                read_some(tuple(self._prompts), self._begin)
                tokens = self._decoder.step()
            except (ModelError, RuntimeError, MemoryError) as fault:
                self._fail(f"the model failed: {fault}")
                continue
            for row, token in tokens.items():
                self._take(row, token)
        self._fail("the server is shutting down", 503)

    def _look(self) -> bool:
        """Waits for work, lets go of what nobody wants, and takes newcomers in; False when the server ends."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._rows or self._prompts or self._waiting)
            if self._stopping:
                return False
            left = [text for text in self._waiting if text.job.gone]
            self._waiting = deque(text for text in self._waiting if not text.job.gone)
        for prompt in [one for one in self._prompts if one.texts[0].job.gone]:
            left += prompt.texts
            self._prompts.remove(prompt)
        for row in [row for row, text in self._rows.items() if text.job.gone]:
            left.append(self._rows[row])
            self._release(row)
        self.metrics.add("abandoned_texts", len(left))
        # Each prompt has a row in view, so that what was read need not wait in memory.
        with self._changed:
            while self._waiting and len(self._rows) + len(self._prompts) < self._settings.rows:
                self._prompts.append(self._prompt(next_texts(self._waiting)))
        return True

    def _prompt(self, texts: list[Text]) -> Prompt:
        """The prompt of these texts, which begins with what is kept of it, if anything."""
        first, reader = texts[0], self._readers[texts[0].job.model]
        # What is echoed with its log-probabilities has to be read.
        known = None if first.is_echoed_with_scores else self._prefixes.best(first.wanted.ids, reader)
        room = self._decoder.max_length
        prompt = Prompt(
            texts,
            Reading(self.opened.config, first.wanted.ids, room, reader, known),
            self.opened.tokenizer.vocab_size,
        )
        self.metrics.add("prompt_tokens", len(first.wanted.ids))
        self.metrics.add("reused_tokens", prompt.n_reused)
        return prompt

    def _begin(self, prompt: Prompt) -> None:
        """Gives rows to the texts of a prompt that is ready: to as many as there are, all but those of others."""
        free = self._settings.rows - len(self._rows) - (len(self._prompts) - 1)
        for _ in range(min(free, len(prompt.texts))):
            text = prompt.texts.popleft()
            wanted = text.wanted
            rules = (wanted.constraint, *wanted.rules) if wanted.constraint else wanted.rules
            hear = text.hear if wanted.n_top is not None else None
            row = self._decoder.admit(
                wanted.ids, rules=rules, seed=wanted.seed, prefix=prompt.reading.prefix, hear=hear
            )
            self._rows[row] = text
        if not prompt.texts:
            self._prompts.remove(prompt)

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
        reader = self._readers[text.job.model]
        if not self._prefixes.covers(text.wanted.ids, reader) or text.n_new > 1:
            self._prefixes.keep(self._decoder.kept(row))
        self._decoder.release(row)

    def _fail(self, message: str, status: int = 500) -> None:
        """Tells all that nothing comes any more; the rows are made anew."""
        with self._changed:
            read = [text for prompt in self._prompts for text in prompt.texts]
            texts = [*self._rows.values(), *read, *(self._waiting if status == 503 else ())]
            self._rows.clear()
            self._prompts.clear()
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
