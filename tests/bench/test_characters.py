import math
import os
import pickle
import signal
import sys
import threading

import numpy as np
import pytest
import torch

from chainrule.base import ConfigError, UserError
from chainrule.bench.asked import Asked, own_text
from chainrule.bench.characters import documented_run, letters_of, parts, written_for_nanogpt
from chainrule.bench.commands import run_command
from chainrule.bench.contest import Reading
from chainrule.bench.score import mean_loss
from chainrule.bench.until_loss import reached, until_loss

# What a command does that was not ended.
LATER = "open('went_on', 'w').close()"


def test_the_peer_reads_the_same_characters_in_nine_tenths_and_one(text, tmp_path):
    folder = written_for_nanogpt(text, tmp_path / "data")
    meta, whole = pickle.loads((folder / "meta.pkl").read_bytes()), text.read_text()
    learnt, held_out = (np.fromfile(folder / f"{name}.bin", dtype=np.uint16) for name in ("train", "val"))
    assert "".join(meta["itos"][number] for number in [*learnt, *held_out]) == whole
    assert meta["vocab_size"] == len(letters_of(text)) and abs(len(held_out) - len(whole) / 10) <= 1
    assert "".join(meta["itos"][number] for number in held_out) == parts(text)[1]


def test_the_documented_run_has_2000_iterations_unless_a_trial_asks_for_fewer(tmp_path):
    assert "--max_iters=2000" in documented_run(tmp_path, tmp_path)
    short = documented_run(tmp_path, tmp_path, iterations=10)
    assert short[-3:] == ["--max_iters=10", "--lr_decay_iters=10", "--eval_interval=10"]  # the last word counts there


@pytest.mark.parametrize("n_characters", [65, 64 * 3 + 1, 64 * 70 + 9])
def test_a_model_that_knows_nothing_loses_the_logarithm_of_its_vocabulary(n_characters):
    ids = torch.arange(n_characters) % 5
    assert mean_loss(lambda rows: torch.zeros(*rows.shape, 5), ids, n_characters) == pytest.approx(math.log(5))


def test_the_score_is_of_the_next_character_everywhere():
    ids = torch.arange(64 * 4 + 1) % 7
    foresees = mean_loss(lambda rows: 50 * torch.nn.functional.one_hot((rows + 1) % 7, 7).float(), ids, len(ids))
    repeats = mean_loss(lambda rows: 50 * torch.nn.functional.one_hot(rows, 7).float(), ids, len(ids))
    assert foresees < 1e-6 and repeats > 40


def test_a_vocabulary_that_is_not_of_characters_is_refused():
    with pytest.raises(UserError, match="65 ids for 70 characters"):
        mean_loss(lambda rows: torch.zeros(*rows.shape, 5), torch.zeros(65, dtype=torch.int64), 70)


def test_the_worst_round_says_whether_the_goal_was_reached():
    def many(*losses):
        return [Reading(1.0, 1.0, 1.0, losses=(loss,)) for loss in losses]

    said = reached({"ours": many(1.7, 1.88), "nanoGPT": many(1.87, 1.8857)})
    assert said[0].endswith("1.88 reached") and "1.8800" in said[0]
    assert said[1].endswith("1.88 NOT reached") and "1.8857" in said[1]


def test_the_goal_needs_a_text_that_the_user_names(text, tmp_path):
    with pytest.raises(ConfigError, match="until-loss needs --text"):
        next(until_loss(Asked(text, tmp_path, "float32", 1, 1e11, given=False)))


def test_the_text_of_our_own_is_plain_and_long_enough(tmp_path):
    content = own_text(tmp_path).read_bytes()
    assert content.isascii() and len(content) == 1_200_000


def test_a_command_is_timed_to_its_end_or_to_a_line_and_told_when_it_fails(tmp_path):
    def python(code, **more):
        return run_command([sys.executable, "-uc", code], {}, tmp_path, **more)

    slow = f"import time; print('iter 0: loss', flush=True); time.sleep(4); {LATER}"
    work = "import time\nwhile time.process_time() < 0.2: pass"
    assert python(work).figure > 0.1 and (python(work).by_cpu or 0.2) > 0.1  # the system counts in ticks
    assert python(slow, until="iter 0").figure > 0 and not (tmp_path / "went_on").exists()
    with pytest.raises(UserError, match="ended with code 3 and said last: oh"):
        python("print('oh'); raise SystemExit(3)")
    with pytest.raises(UserError, match="ended with code 0 and said last: done"):
        python("print('done')", until="iter 0")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signals")
def test_a_signal_to_us_ends_the_command_as_well(tmp_path):
    def interrupt(number, frame):
        raise InterruptedError("stop")

    before = signal.signal(signal.SIGUSR1, interrupt)
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    try:
        with pytest.raises(InterruptedError, match="stop"):
            run_command([sys.executable, "-c", f"import time; time.sleep(4); {LATER}"], {}, tmp_path)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not (tmp_path / "went_on").exists()
