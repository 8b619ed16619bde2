"""The models behind one port: those that were given, and a run's checkpoints, read when they are asked for."""

import asyncio
import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from chainrule.base import ConfigError, UserError, usable_memory
from chainrule.checkpoint import OpenedModel
from chainrule.serve.desk import Desk
from chainrule.serve.engine import Engine, Load, longest
from chainrule.serve.errors import ApiError
from chainrule.serve.metrics import Metrics
from chainrule.serve.offers import Offer
from chainrule.serve.settings import Serving
from chainrule.serve.words import Words

# A checkpoint is called NAME@STEP: a name that no file of ours has, and a number that is looked up among those there.
AT_STEP = re.compile(r"(.+)@(\d{1,12})")
# A checkpoint answers a person who compares: few texts at once, and few beginnings kept.
CHECKPOINT_ROWS = 4
CHECKPOINT_PREFIX_BYTES = 64 * 2**20
# Of the memory here, for the weights of all checkpoints together.
MEMORY_SHARE = 0.25
# Checkpoints that may be asked for while one is read, which takes seconds.
MOST_READING = 8


class Seat:
    """One model that can answer: who reads requests for it, and who writes."""

    def __init__(self, offer: Offer, name: str, opened: OpenedModel, engine: Engine) -> None:
        self.offer, self.name, self.opened, self.engine = offer, name, opened, engine
        self.desk = Desk(opened, name, engine.max_length)
        self.words = Words(opened.tokenizer)
        self.n_users = 0


class Shelf:
    """All seats. Raises ConfigError where two models have one name; `take` is for the loop's thread."""

    def __init__(self, offers: Sequence[Offer], settings: Serving, metrics: Metrics) -> None:
        names = [name for offer in offers for name in (offer.name, *offer.adapters)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"two models are called {twice!r}; give each a name: --name ONE --name OTHER")
        self._settings, self._metrics, self.offers = settings, metrics, list(offers)
        self._given: dict[str, Seat] = {}
        self._own: dict[str, Seat] = {}  # by its step, what a run was opened at
        for offer in offers:
            self._sit(offer, len(offers))
        self._read: dict[str, Seat] = {}  # the latest used last
        self._lock = threading.Lock()
        # One thread of its own: those that look at requests must not wait behind a disk.
        self._reader = ThreadPoolExecutor(1, "chainrule-checkpoints")
        self._n_reading = 0

    @property
    def first(self) -> Seat:
        """The one that is meant when a request names none."""
        return next(iter(self._given.values()))

    @property
    def given(self) -> list[Seat]:
        """What was given, in its order, adapters behind their base."""
        return list(self._given.values())

    @property
    def in_memory(self) -> frozenset[str]:
        """The names of checkpoints that answer at once."""
        with self._lock:
            return frozenset((*self._own, *self._read))

    @property
    def most_read(self) -> int:
        """Checkpoints that are held at once, by the settings and by the memory here."""
        size = max(_weight_bytes(offer.opened) for offer in self.offers)
        return min(self._settings.checkpoints, max(1, int(MEMORY_SHARE * usable_memory()) // size))

    @property
    def alive(self) -> bool:
        """Whether all that were given can write."""
        return all(seat.engine.alive for seat in self._given.values())

    @property
    def load(self) -> Load:
        """How busy all are together."""
        loads = [seat.engine.load for seat in self._seats()]
        return Load(*(sum(getattr(one, name) for one in loads) for name in ("active", "waiting", "prefix_bytes")))

    def steps_of(self, offer: Offer) -> list[int]:
        """The checkpoints that are offered beside a model."""
        own = {offer.opened.step} if offer.run and offer.opened.step is not None else set()
        return sorted({*offer.steps, *own}) if self._settings.checkpoints else []

    def parent(self, name: str | None) -> Seat:
        """The seat of that name, or of the run for the name of one of its checkpoints. Raises ApiError 404."""
        offer, step = self.offer_of(name)
        return self._given[offer.name if name is None or step is not None else name]

    def start(self) -> None:
        """Begins to work."""
        for seat in self._seats():
            seat.engine.start()

    def stop(self) -> None:
        """Ends after the steps under way."""
        self._reader.shutdown(cancel_futures=True)
        for seat in self._seats():
            seat.engine.stop()

    def offer_of(self, name: str | None) -> tuple[Offer, int | None]:
        """Whose name that is, and of which step where it names a checkpoint. Raises ApiError 404."""
        if name is None or name in self._given:
            return (self.first if name is None else self._given[name]).offer, None
        match = AT_STEP.fullmatch(name)
        if match and match[1] in self._given:
            offer, step = self._given[match[1]].offer, int(match[2])
            if step in self.steps_of(offer) and name == offer.of_step(step):
                return offer, step
        raise self._unknown(name)

    async def take(self, name: str | None) -> Seat:
        """The seat of that name, which stays until it is given back; a checkpoint is read first where it has to be.

        Raises ApiError 404 for a name that is not here, 409 for a damaged checkpoint, 429 where too many are read or
        all that fit are at work.
        """
        offer, step = self.offer_of(name)
        called = offer.name if name is None else name
        if found := self._found(called):
            return found
        assert step is not None, "what was given is there"
        if self._n_reading >= MOST_READING:
            raise ApiError(429, "too many checkpoints are asked for at once; try again later", code="queue_full")
        try:
            reading = asyncio.get_running_loop().run_in_executor(self._reader, self._opened, offer, step)
        except RuntimeError:
            raise ApiError(503, "the server is shutting down") from None
        self._n_reading += 1
        try:
            return await reading
        finally:
            self._n_reading -= 1

    def give_back(self, seat: Seat) -> None:
        """Nobody needs it any more for that request."""
        with self._lock:
            seat.n_users -= 1

    def _found(self, name: str) -> Seat | None:
        """The seat that is there, taken."""
        with self._lock:
            seat = self._given.get(name) or self._own.get(name) or self._read.pop(name, None)
            if seat is None:
                return None
            if name not in self._given and name not in self._own:
                self._read[name] = seat
            seat.n_users += 1
            return seat

    def _opened(self, offer: Offer, step: int) -> Seat:
        """Reads a checkpoint, in the reader's thread, after the longest unused has made room; taken."""
        name = offer.of_step(step)
        if found := self._found(name):
            return found  # it was asked for twice before it was there
        self._make_room()
        try:
            opened = offer.open(step)
        except UserError as fault:
            raise ApiError(409, f"step {step} of {offer.name} cannot be opened: {fault}", param="model") from None
        most = self._given[offer.name].engine.max_length
        seat = Seat(offer, name, opened, self._engine_of_checkpoint(name, opened, most))
        seat.engine.start()
        with self._lock:
            seat.n_users += 1
            self._read[name] = seat
        return seat

    def _make_room(self) -> None:
        """Lets go of the checkpoints that were used least lately, until one more fits."""
        while True:
            with self._lock:
                if len(self._read) < self.most_read:
                    return
                idle = next((one for one in self._read.values() if not one.n_users), None)
                if idle is None:
                    told = f"all {len(self._read)} checkpoints that fit are at work; try again later"
                    raise ApiError(429, told, code="queue_full")
                del self._read[idle.name]
            idle.engine.stop()

    def _sit(self, offer: Offer, n_models: int) -> None:
        """Makes the seats of an offer, which share one engine."""
        settings, own = self._settings, {}
        if settings.max_length is None:
            # All share the memory that is there for keys and values.
            settings = replace(settings, max_length=longest(offer.opened, settings.rows * n_models))
        if offer.run and offer.opened.step is not None:
            own = {offer.of_step(offer.opened.step): offer.opened}
        given = {offer.name: offer.opened, **offer.adapters}
        engine = Engine({**given, **own}, settings, self._metrics)
        self._given |= {name: Seat(offer, name, opened, engine) for name, opened in given.items()}
        self._own |= {name: Seat(offer, name, opened, engine) for name, opened in own.items()}

    def _engine_of_checkpoint(self, name: str, opened: OpenedModel, max_length: int) -> Engine:
        settings = replace(
            self._settings,
            rows=min(self._settings.rows, CHECKPOINT_ROWS),
            prefix_bytes=min(self._settings.prefix_bytes, CHECKPOINT_PREFIX_BYTES),
            max_length=max_length,
        )
        return Engine({name: opened}, settings, self._metrics)

    def _seats(self) -> list[Seat]:
        """One for each engine."""
        with self._lock:
            seats = [*self._given.values(), *self._read.values()]
        return list({id(seat.engine): seat for seat in seats}.values())

    def _unknown(self, name: str) -> ApiError:
        here = ", ".join(repr(one) for one in self._given)
        verb = "is" if len(self._given) == 1 else "are"
        steps = [(offer.name, found) for offer in self.offers if (found := self.steps_of(offer))]
        more = "".join(f"; {run}@STEP has the steps {_some(found)}" for run, found in steps)
        return ApiError(
            404,
            f"the model {name[:100]!r} is not here; there {verb} {here}{more}",
            param="model",
            code="model_not_found",
        )


def _weight_bytes(opened: OpenedModel) -> int:
    return max(1, sum(one.nbytes for one in opened.model.state_dict().values()))


def _some(steps: Sequence[int]) -> str:
    few = list(map(str, steps))
    return ", ".join(few if len(few) <= 6 else [*few[:3], "…", *few[-2:]])
