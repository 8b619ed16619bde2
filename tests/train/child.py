"""A tiny run in a process of its own, for tests that send it signals: child.py FOLDER TEXTS [resume] [slow]."""

import importlib.util
import json
import sys
import time
from pathlib import Path

from chainrule.config import Layer
from chainrule.train import pretrain

sys.path.insert(0, str(Path(__file__).parents[1]))
from heard import by_word

specification = importlib.util.spec_from_file_location("conftest", Path(__file__).with_name("conftest.py"))
conftest = importlib.util.module_from_spec(specification)
specification.loader.exec_module(conftest)


def watch(kind: str, row: dict) -> None:
    if kind == "train":
        print("step", row["step"], flush=True)
        if "slow" in sys.argv:
            time.sleep(0.5)
        else:
            time.sleep(0.02)  # so that a signal meets a step that is not the last


if __name__ == "__main__":
    folder, texts = Path(sys.argv[1]), sys.argv[2]
    layers = [Layer("tiny", conftest.TINY), Layer("text", {"text": {"paths": [texts], "near_duplicates": "keep"}})]
    layers.append(Layer("longer", {"training": {"steps": 24}}))
    resume = "resume" in sys.argv
    print(json.dumps(pretrain([] if resume else layers, folder, resume=resume, watch=by_word(watch)).row()))
