"""A tiny run in a process of its own, for tests that send it signals: child.py FOLDER TEXTS [resume] [slow].

With `background` it saves while it trains, and with `dies` the process kills itself in the middle of its second save.
"""

import importlib.util
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from chainrule.checkpoint import save
from chainrule.config import Layer
from chainrule.train import pretrain

sys.path.insert(0, str(Path(__file__).parents[1]))
from heard import by_word

specification = importlib.util.spec_from_file_location("conftest", Path(__file__).with_name("conftest.py"))
conftest = importlib.util.module_from_spec(specification)
specification.loader.exec_module(conftest)


def die_in_the_second_save(stream) -> None:
    """Behind the first file of a checkpoint, when there is another one already; from the thread that saves."""
    os.fsync(stream.fileno())
    others = [path for path in Path(stream.name).parents[1].iterdir() if path.name.startswith("step-")]
    if others and "optimizer" in stream.name:
        # One write, with its line's end: the other thread prints too.
        sys.stdout.write(f"dies in {threading.current_thread().name}\n")
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)


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
    saves = "on" if "background" in sys.argv else "auto"
    layers.append(Layer("longer", {"training": {"steps": 12 if "dies" in sys.argv else 24, "background_saves": saves}}))
    if "dies" in sys.argv:
        save.fsync_file = die_in_the_second_save
    resume = "resume" in sys.argv
    print(json.dumps(pretrain([] if resume else layers, folder, resume=resume, watch=by_word(watch)).row()))
