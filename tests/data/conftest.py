"""What the tests of the data room share: small texts and their preparation."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from chainrule.config import TextConfig
from chainrule.data import Dataset, Manifest, Survey, open_dataset, survey, write_shards
from chainrule.tokenizer.train import byte_tokenizer

WORDS = [
    first + second for first in "bdfgklmnprst" for second in ("a", "e", "i", "o", "u", "ar", "en", "il", "os", "um")
]


def prose(seed: int, n_words: int = 300) -> str:
    """Text that is the same for the same seed and like no other."""
    chooser = random.Random(seed)
    words = ["".join(chooser.choices(WORDS, k=chooser.randint(1, 3))) for _ in range(n_words)]
    return "".join(word + ("\n" if place % 12 == 11 else " ") for place, word in enumerate(words))


class Workshop:
    """A folder of texts and what is made of them."""

    def __init__(self, folder: Path) -> None:
        self.texts = folder / "texts"
        self.data = folder / "data"
        self.texts.mkdir()

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.texts / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def fill(self, n_documents: int = 40, n_words: int = 300) -> None:
        for index in range(n_documents):
            self.write(f"{index:03d}.txt", prose(index, n_words))

    def survey(self, **settings: object) -> Survey:
        settings = {"paths": (str(self.texts),), **settings}
        return survey(TextConfig(**settings), self.data, workers=1)

    def prepare(self, context_length: int = 16, shard_bytes: int = 1 << 26, **settings: object) -> Manifest:
        return write_shards(
            self.survey(**settings),
            byte_tokenizer(),
            self.data,
            context_length=context_length,
            workers=1,
            shard_bytes=shard_bytes,
        )

    def dataset(self, **settings: object) -> Dataset:
        self.prepare(**settings)
        return open_dataset(self.data)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture(scope="session")
def prepared_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty documents in shards of 3,000 bytes; to be copied before it is damaged."""
    made = Workshop(tmp_path_factory.mktemp("prepared"))
    made.fill()
    made.prepare(shard_bytes=3000)
    return made.data


@pytest.fixture
def prepared(prepared_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared_once, tmp_path / "prepared"))


@pytest.fixture(scope="session")
def make_prose() -> Callable[..., str]:
    return prose
