"""Prepared text is taken from the cache where it is there, else made there once for all runs that want the same."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from chainrule.base import DiskError, bytes_text, disk_faults, folder_bytes, free_bytes, sha256_of_file
from chainrule.config import Config
from chainrule.data import (
    Cache,
    Dataset,
    Executor,
    Listing,
    Survey,
    executor_of,
    find_cache,
    is_prepared,
    kept_file,
    link_shards,
    open_dataset,
    shards_key,
    survey,
    survey_key,
    write_shards,
)
from chainrule.run import Event, Progress, RunFolder
from chainrule.tokenizer import Tokenizer, build_tokenizer, load_tokenizer, sample_bytes
from chainrule.train.watch import Watch

Made = TypeVar("Made")
# Less than this is prepared in a second or two, and would only fill the cache.
LEAST_BYTES = 8 << 20
# The tokenizer bounds what it learns from; of a little less than its bound it takes all.
GIVEN_SHARE = 3 / 4
# These learn from the text; the others cost nothing to make.
LEARNT = ("bpe", "chars")


@dataclass(frozen=True)
class Preparing:
    """What every step needs: settings, listener, and the run that the text is for (None: the cache alone)."""

    config: Config
    watch: Watch
    run: RunFolder | None

    def surveyed(self, listing: Listing) -> Survey:
        """Pass 1 over the text."""
        config = self.config

        def make(folder: Path) -> Survey:
            found = survey(
                config.text,
                folder,
                workers=config.machine.workers,
                executor=self._executor(),
                on_progress=self.on_progress,
                listing=listing,
            )
            for note in found.notes:
                self._say(note)
            return found

        def shared(cache: Cache) -> Survey:
            with cache.turn("survey", survey_key(config.text, listing), self.on_wait) as place:
                found = make(place)
                self._note(cache, place)
                left_out = place / "survey" / "left_out.jsonl"
                if self.run is not None and left_out.is_file():
                    self._copy(left_out, self.run.data / "survey" / left_out.name)
                return found

        return self._either(self._cache(sum(file.size for file in listing.files)), shared, lambda run: make(run.data))

    def tokenizer(self, found: Survey) -> Tokenizer:
        """The vocabulary that the settings ask for."""
        config = self.config

        def make() -> Tokenizer:
            self.on_progress("tokenizer", 0, found.split_bytes("train"))
            size = config.model.vocab_size
            n_bytes = int(GIVEN_SHARE * sample_bytes(size))
            return build_tokenizer(config.vocabulary, size, lambda: found.sample("train", n_bytes))

        def shared(cache: Cache) -> Tokenizer:
            with cache.turn("tokenizer", self._tokenizer_key(found), self.on_wait) as place:
                kept = kept_file(place, "tokenizer.json")
                if kept is not None:
                    self._note(cache, place)
                    return load_tokenizer(kept)
                made = make()
                made.save(place / "tokenizer.json")
                self._note(cache, place, sha256=sha256_of_file(place / "tokenizer.json"))
                return made

        cache = self._cache(_bytes_of(found)) if config.vocabulary.kind in LEARNT else None
        return make() if cache is None else self._either(cache, shared, lambda _: make())

    def shards(self, found: Survey, tokenizer: Tokenizer) -> Dataset:
        """Pass 2 over the text, and what it made."""

        def make(folder: Path) -> None:
            write_shards(
                found,
                tokenizer,
                folder,
                context_length=self.config.model.context_length,
                workers=self.config.machine.workers,
                executor=self._executor(),
                on_progress=self.on_progress,
            )

        def shared(cache: Cache) -> Dataset:
            with cache.turn("shards", shards_key(found, tokenizer), self.on_wait) as place:
                is_new = not is_prepared(place)
                make(place)
                self._note(cache, place)
                if self.run is not None:
                    self._link(place, self.run.data)
                if is_new:
                    self._tell_size(cache, place)
                return open_dataset(place if self.run is None else self.run.data)

        def alone(run: RunFolder) -> Dataset:
            make(run.data)
            return open_dataset(run.data)

        return self._either(self._cache(_bytes_of(found)), shared, alone)

    def on_progress(self, phase: str, done: int, total: int) -> None:
        """Tells how far it is."""
        self.watch(Progress(phase, done, total))

    def on_wait(self) -> None:
        """Tells that another process is at the same work."""
        self.on_progress("waiting for another run that prepares this text", 0, 0)

    def _executor(self) -> Executor | None:
        machine = self.config.machine
        return executor_of(machine.executor, machine.workers, machine.executor_options)

    def _cache(self, n_bytes: int) -> Cache | None:
        """The cache for a text of this size; "auto" leaves out small ones, and all where there is too little room."""
        cache = find_cache(self.config.machine.cache)
        if cache is None or self.run is None or self.config.machine.cache != "auto":
            return cache
        if n_bytes < LEAST_BYTES:
            return None
        free = free_bytes(cache.folder)
        if free < n_bytes:
            self._say(f"the text is prepared for this run alone: {cache.folder} has only {bytes_text(free)} free")
            return None
        return cache

    def _either(self, cache: Cache | None, shared: Callable[[Cache], Made], alone: Callable[[RunFolder], Made]) -> Made:
        """By way of the cache, or for the run alone where there is none or its folder cannot be written."""
        if self.run is None:
            assert cache is not None  # refused at the edge
            return shared(cache)
        if cache is None:
            return alone(self.run)
        try:
            return shared(cache)
        except DiskError as fault:
            self._say(f"the text is prepared for this run alone, without the cache: {fault}")
            return alone(self.run)

    def _link(self, place: Path, folder: Path) -> None:
        copied = link_shards(place, folder)
        if copied:
            self._say(f"{bytes_text(copied)} were copied into the run, which is on another disk than {place.parent}")

    def _tell_size(self, cache: Cache, place: Path) -> None:
        sizes = bytes_text(folder_bytes(place)), bytes_text(folder_bytes(cache.folder))
        self._say(
            f"prepared text is kept for other runs in {cache.folder}: {sizes[0]} more, {sizes[1]} in all; "
            "`chainrule cache` lists it and removes it"
        )

    def _note(self, cache: Cache, place: Path, **more: str) -> None:
        cache.note(place, self.config.text.paths, self.run.path if self.run else None, **more)

    def _copy(self, source: Path, target: Path) -> None:
        with disk_faults(target, "copying"):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    def _say(self, message: str) -> None:
        self.watch(Event(message))

    def _tokenizer_key(self, found: Survey) -> str:
        vocabulary = self.config.vocabulary.model_dump(mode="json")
        parts = [found.key, vocabulary, self.config.model.vocab_size, version("tokenizers"), version("chainrule")]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _bytes_of(found: Survey) -> int:
    return sum(file.size for file in found.files)
