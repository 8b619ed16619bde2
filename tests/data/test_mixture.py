"""Sources are read in the shares of a mixture, and which sample is from where follows from its number."""

import numpy as np
import pytest

from chainrule.base import DataError
from chainrule.config import MixtureStage, mixture_stages
from chainrule.data import Batches
from chainrule.data.mixture import CYCLE, Mixture
from chainrule.data.part_store import PartStore

T = 16


@pytest.fixture
def store(workshop, make_prose):
    for index in range(30):
        workshop.write(f"{'books' if index % 3 else 'code'}/{index:02d}.txt", make_prose(index, 200))
    for index in range(30, 36):
        workshop.write(f"tales/{index:02d}.txt", make_prose(index, 200))
    return workshop.dataset().split("train")


def test_a_part_is_the_tokens_of_its_source_and_no_others(store):
    whole = store.read(0, store.n_tokens)
    for stretches in store.sources().values():
        part = PartStore(store, stretches)
        expected = np.concatenate([whole[first:beyond] for first, beyond in stretches])
        assert part.n_tokens == len(expected)
        starts = np.arange(0, part.n_tokens - 40, 7)
        assert (part.gather(starts, 40) == np.stack([expected[at : at + 40] for at in starts])).all()


def test_a_window_over_several_stretches_is_joined(store):
    stretches = np.array([[5, 9], [30, 33], [100, 160]])
    part = PartStore(store, stretches)
    expected = np.concatenate([store.read(first, beyond - first) for first, beyond in stretches.tolist()])
    assert (part.gather(np.array([0, 2, 6]), 30) == np.stack([expected[at : at + 30] for at in (0, 2, 6)])).all()
    ids = part.document_ids(np.array([0]), 30)[0]
    assert (ids[:4] == store.document_ids(np.array([5]), 4)[0]).all()
    assert (ids[7:] == store.document_ids(np.array([100]), 23)[0]).all()


def test_shares_are_kept_at_every_place_and_stages_follow_each_other():
    stages = mixture_stages(("a=1 b=2 c=1", "64k: c=3, b=1"))
    mixture = Mixture(stages, ["a", "b", "c"], context_length=T)
    border = 64_000 // T
    sources, numbers = mixture.parts(np.arange(3 * CYCLE))
    for source, (before, after) in enumerate([(0.25, 0), (0.5, 0.25), (0.25, 0.75)]):
        mine = sources == source
        assert np.abs(np.cumsum(mine[:border]) - before * np.arange(1, border + 1)).max() <= 1.5
        assert np.abs(np.cumsum(mine[border:]) - after * np.arange(1, 3 * CYCLE - border + 1)).max() <= 1.5
        assert (numbers[mine] == np.arange(mine.sum())).all()


def test_a_small_share_is_read_all_the_same():
    mixture = Mixture([MixtureStage(0, {"a": 0.99999, "b": 0.00001})], ["a", "b"], T)
    assert (mixture.parts(np.arange(CYCLE))[0] == 1).sum() == 1


def test_batches_of_a_mixture_do_not_depend_on_how_they_are_asked_for(store):
    batches = Batches(store, T, 7, mixture=mixture_stages(("books=1 code=3", "8k: tales=1 code=1")), documents=True)
    together = batches.windows(300, 700)
    for first, count in ((300, 1), (300, 650), (512, 40), (999, 1)):
        alone = Batches(store, T, 7, mixture=mixture_stages(("books=1 code=3", "8k: tales=1 code=1"))).windows(
            first, count
        )
        assert (alone.ids == together.ids[first - 300 : first - 300 + count]).all()
    halves = batches.windows(0, 2048, 2)
    assert halves.ids.shape == (4096, T // 2 + 1)


def test_samples_are_of_the_sources_that_the_weights_say(store):
    names = list(store.sources())
    assert set(names) == {"books", "code", "tales"}
    batches = Batches(store, T, 1, mixture=mixture_stages(("code=1", "16k: tales=1")))
    of_source = {
        name: {tuple(row) for row in _all_windows(store, stretches)} for name, stretches in store.sources().items()
    }
    assert all(tuple(row) in of_source["code"] for row in batches.windows(0, 1000).ids)
    assert all(tuple(row) in of_source["tales"] for row in batches.windows(1000, 50).ids)


def _all_windows(store, stretches):
    part = PartStore(store, stretches)
    return part.gather(np.arange(part.n_tokens - T), T + 1)


def test_a_source_that_is_not_there_is_refused_with_the_nearest(store):
    with pytest.raises(DataError, match=r"no training text of a source 'boks'. Did you mean 'books'\?"):
        Batches(store, T, 1, mixture=mixture_stages(("boks=1",)))
