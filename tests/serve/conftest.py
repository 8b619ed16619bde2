"""The servers that most tests share: an instructed model, and a base model without a template."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser
from serve.servers import Server, running, write_model

from chainrule.cli import main


@pytest.fixture(scope="session")
def chat_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "chat", chat=True)


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of eight steps with a checkpoint at every second, trained by the command itself."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "text.txt").write_text(
        "".join(f"Story {n}: the {n % 7} foxes met {n * 3 % 11} dogs.\n" for n in range(400))
    )
    sizes = "--model.context-length 64 --model.emb-dim 32 --model.n-heads 2 --model.n-layers 2 --vocabulary.kind bytes"
    steps = "--training.steps 8 --training.save-every 2 --training.eval-every 2 --training.keep-last 9"
    small = "--training.batch-tokens 128 --training.eval-tokens 64 --training.sample-tokens 2"
    here = "--machine.threads 1 --machine.precision float32"
    asked = f"pretrain {folder / 'text.txt'} --name tale --runs-folder {folder / 'runs'} {sizes} {steps} {small} {here}"
    assert main(asked.split()) == 0
    return folder / "runs" / "tale"


@pytest.fixture(scope="session")
def tale(run_folder: Path) -> Iterator[Server]:
    with running(run_folder, name="tale", checkpoints=2) as server:
        yield server


@pytest.fixture(scope="session")
def chat(chat_folder: Path) -> Iterator[Server]:
    with running(chat_folder) as server:
        yield server


@pytest.fixture(scope="session")
def base(base_folder: Path) -> Iterator[Server]:
    with running(base_folder) as server:
        yield server


@pytest.fixture(scope="session")
def browser():
    opened = Browser()
    yield opened
    opened.close()
