"""The servers that most tests share: an instructed model, and a base model without a template."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from serve.servers import Server, running, write_model


@pytest.fixture(scope="session")
def chat_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "chat", chat=True)


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="session")
def chat(chat_folder: Path) -> Iterator[Server]:
    with running(chat_folder) as server:
        yield server


@pytest.fixture(scope="session")
def base(base_folder: Path) -> Iterator[Server]:
    with running(base_folder) as server:
        yield server
