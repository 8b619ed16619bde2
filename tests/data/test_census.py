"""What is decided does not depend on how little memory it is decided in."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from chainrule.config import TextConfig
from chainrule.data import clusters, neighbours
from chainrule.data.census import decide
from chainrule.data.similarity import PERMUTATIONS
from chainrule.data.table import BAD, DOCUMENT, EMPTY, MENDED, TRAIN, Rows, TableFiles


def dense():
    spec = importlib.util.spec_from_file_location("dense_census", Path(__file__).parent / "dense_census.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def filled(folder, seed, n=400):
    """Documents of all states and sizes, copies, and chains of near copies."""
    chooser = np.random.default_rng(seed)
    documents = np.zeros(n, DOCUMENT)
    documents["state"] = chooser.choice([TRAIN, BAD, EMPTY, MENDED], n, p=[0.85, 0.05, 0.03, 0.07])
    documents["signed"] = chooser.random(n) < 0.95
    documents["bytes"] = np.where(chooser.random(n) < 0.03, chooser.integers(50_000, 90_000, n), 200)
    documents["bytes"] += chooser.integers(0, 800, n).astype(np.uint64)
    documents["digest"] = chooser.integers(0, 2**64, n, np.uint64)[:, None]
    signatures = chooser.integers(0, 2**16, (n, PERMUTATIONS), np.uint16)
    for document in range(1, n):
        earlier, draw = chooser.integers(0, document), chooser.random()
        if draw < 0.25:
            signatures[document] = signatures[earlier]
            signatures[document, chooser.integers(0, PERMUTATIONS, chooser.integers(1, 40))] = document
        if draw < 0.1:
            signatures[document] = signatures[earlier]
            documents["digest"][document] = documents["digest"][earlier]
            documents["bytes"][document] = documents["bytes"][earlier]
    tables = TableFiles(folder)
    tables.append(Rows(n, documents.tobytes(), signatures.tobytes()))
    return tables


SETTINGS = [
    {},
    {"validation_share": 0.3, "on_bad": "skip"},
    {"validation_bytes": 9_000, "near_threshold": 0.6},
    {"validation_bytes": 60_000, "validation_share": 0.5},
    {"duplicates": "keep", "near_threshold": 0.7},
    {"duplicates": "keep", "near_duplicates": "keep", "validation_share": 0.2},
    {"near_duplicates": "keep", "validation_bytes": 2_000},
    {"validation_share": 0.9},
]


@pytest.mark.parametrize("at_once", [neighbours.MOST_AT_ONCE, 60, 30])
@pytest.mark.parametrize("settings", SETTINGS)
def test_decisions_are_those_of_arrays_over_all_documents(tmp_path, monkeypatch, settings, at_once):
    if at_once < neighbours.MOST_AT_ONCE:
        monkeypatch.setattr(neighbours, "MOST_AT_ONCE", at_once)
        monkeypatch.setattr(neighbours, "CHUNK_ROWS", 77)
        monkeypatch.setattr(neighbours, "PARTED_ROWS", 111)
        monkeypatch.setattr(clusters, "CHUNK_ROWS", 77)
        monkeypatch.setattr(clusters, "FIRST_STRETCH", 1 << 55)
    config = TextConfig(**settings)
    for seed in range(4):
        (tmp_path / str(seed)).mkdir()
        tables = filled(tmp_path / str(seed), seed, 400 if seed else 3)
        found, expected = decide(tables, config), dense().decide(tables, config)
        assert found.states.tolist() == expected.states.tolist()
        assert (found.cuts, found.limited, found.spread) == (expected.cuts, expected.limited, expected.spread)
