from itertools import pairwise

import numpy as np
import pytest

from chainrule.data import neighbours, table
from chainrule.data.document_links import clusters
from chainrule.data.neighbours import band_shape, exact_links, near_duplicates, near_links
from chainrule.data.pieces import Piece
from chainrule.data.recording import Recorder
from chainrule.data.table import TableFiles


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.9, 0.99, 1.0])
def test_bands_find_pairs_at_the_threshold(threshold):
    bands, rows = band_shape(threshold)
    assert bands * rows <= 128
    assert 1 - (1 - threshold**rows) ** bands >= 0.99


def record(folder, texts):
    tables, recorder = TableFiles(folder), Recorder(folder / "spool")
    for text in texts:
        recorder.take(0, Piece(text.encode(), True))
    tables.append(recorder.finish().rows)
    return tables


def changed(text, share, make_prose):
    """The text with `share` of it replaced at the end."""
    keep = int(len(text) * (1 - share))
    return text[:keep] + make_prose(10_000 + keep, 400)[: len(text) - keep]


def test_near_duplicates_are_found_and_others_are_not(tmp_path, make_prose):
    originals = [make_prose(seed, 400) for seed in range(150)]
    copies = [changed(originals[seed], 0.03, make_prose) for seed in range(0, 150, 3)]
    halves = [changed(originals[seed], 0.6, make_prose) for seed in range(1, 150, 3)]
    tables = record(tmp_path, [*originals, *copies, *halves])
    links = near_links(tables, np.ones(250, bool), 0.8).dense(250)
    assert links[:150].tolist() == list(range(150))
    assert links[150:200].tolist() == list(range(0, 150, 3))
    assert links[200:].tolist() == list(range(200, 250))


def test_the_result_is_the_same_in_parts_as_at_once(tmp_path, make_prose, monkeypatch):
    originals = [make_prose(seed, 200) for seed in range(60)]
    tables = record(tmp_path, originals + [changed(text, 0.05, make_prose) for text in originals])
    at_once = near_links(tables, np.ones(120, bool), 0.8).dense(120)
    monkeypatch.setattr(neighbours, "MOST_AT_ONCE", 7)
    monkeypatch.setattr(neighbours, "CHUNK_ROWS", 17)
    monkeypatch.setattr(table, "CHUNK_ROWS", 11)
    assert near_links(tables, np.ones(120, bool), 0.8).dense(120).tolist() == at_once.tolist()
    digests = tables.read()["digest"]
    assert exact_links(digests, np.ones(120, bool)).dense(120).tolist() == list(range(120))


def test_candidates_alone_are_compared(tmp_path, make_prose):
    text = make_prose(0)
    tables = record(tmp_path, [text, text + " more", make_prose(1), text + " words"])
    assert near_links(tables, np.array([0, 1, 1, 1], bool), 0.8).dense(4).tolist() == [0, 1, 2, 1]


def test_exact_copies_point_to_the_first_one():
    digests = np.array([[5, 1], [7, 1], [5, 1], [5, 2], [7, 1], [7, 1]], np.uint64)
    assert exact_links(digests, np.ones(6, bool)).dense(6).tolist() == [0, 1, 0, 3, 1, 1]
    assert exact_links(digests, np.array([0, 1, 1, 1, 0, 1], bool)).dense(6).tolist() == [0, 1, 2, 3, 4, 1]


def test_a_chain_does_not_eat_what_is_unlike_its_beginning(tmp_path, make_prose):
    words = make_prose(0, 4000).split()
    texts = [" ".join(words[start : start + 1000]) for start in (0, 80, 160, 240, 320)]
    tables = record(tmp_path, texts)
    links = near_links(tables, np.ones(5, bool), 0.8)
    assert clusters(links).dense(5).tolist() == [0] * 5
    removed = np.isin(np.arange(5), near_duplicates(tables, links, 0.8))
    assert not removed[0]
    # Unlike what stays of the documents before it, so it stays.
    assert not removed[2:].all()
    kept = np.flatnonzero(~removed)
    for earlier, later in pairwise(kept):
        assert tables.agreement(np.array([earlier]), np.array([later]))[0] < 0.85
