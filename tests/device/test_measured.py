from dataclasses import replace
from pathlib import Path

import pytest
import torch

from chainrule.config import MachineConfig
from chainrule.device import look_around, look_at_machine, measure_machine, measured_table, surroundings_table
from chainrule.device.measured import write_speed
from chainrule.device.surroundings import chosen_word


def test_the_machine_is_measured_and_nothing_stays_behind(tmp_path):
    threads = torch.get_num_threads()
    facts = look_at_machine(MachineConfig(device="cpu", precision="float32"))
    torch.set_num_threads(threads)
    # A small array, because the suite shares its memory.
    found = measure_machine(replace(facts, memory_bytes=2**27), tmp_path / "runs")
    assert torch.get_num_threads() == threads and list(tmp_path.iterdir()) == []
    assert set(found.one_thread) == {"float32"} and found.one_thread["float32"] > 1e8
    assert found.threads == facts.threads and found.all_threads["float32"] > 1e8
    assert found.copied > 1e8 and found.summed > 1e8 and found.disk
    assert [name for _, name, _ in measured_table(found)] == [
        *("products in float32", "memory", "disk of the runs", "other programs")
    ]


def test_a_place_that_takes_nothing_has_no_speed():
    assert write_speed(Path("/proc/runs")) is None


@pytest.mark.parametrize(("text", "word"), [("always [madvise] never\n", "madvise"), ("", "")])
def test_the_word_in_force_is_the_one_in_brackets(text, word):
    assert chosen_word(text) == word


def test_the_table_of_the_surroundings_has_a_row_for_each_of_them(monkeypatch):
    monkeypatch.setenv("MALLOC_TOP_PAD_", "4096")
    rows = {name: value for _, name, value in surroundings_table(look_around())}
    assert set(rows) == {"held down by", "caches", "GPU", "C library", "huge pages", "versions"}
    assert "MALLOC_TOP_PAD_=4096" in rows["C library"] and "oneDNN" in rows["versions"]
