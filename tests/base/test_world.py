"""Which of many processes this one is, by what torchrun sets."""

import pytest

from chainrule.base import ConfigError, World

GIVEN = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "MASTER_ADDR": "a",
    "MASTER_PORT": "1",
}


def test_a_process_without_variables_is_alone_and_leads():
    assert World.of({}) == World()
    assert World().leads


def test_the_variables_of_torchrun_say_it_all():
    assert World.of({**GIVEN, "TORCHELASTIC_RESTART_COUNT": "2"}) == World(5, 8, 1, 4, 2)
    assert not World.of(GIVEN).leads


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"MASTER_ADDR": ""}, "MASTER_ADDR"),
        ({"RANK": "8"}, "RANK=8"),
        ({"RANK": "x"}, "'x'"),
        ({"WORLD_SIZE": ""}, "WORLD_SIZE"),
        ({"LOCAL_RANK": "4"}, "LOCAL_RANK=4"),
    ],
)
def test_variables_that_make_no_sense_are_refused_by_name(change, word):
    with pytest.raises(ConfigError, match=word):
        World.of({**GIVEN, **change})
