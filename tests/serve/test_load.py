"""The soak of benchmarks/serve_load.py, shorter."""

import asyncio
import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.slow
def test_a_soak_of_good_and_hostile_requests_breaks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("serve_load", BENCHMARKS / "serve_load.py")
    assert spec and spec.loader
    load = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "serve_load", load)
    spec.loader.exec_module(load)
    model = load.write_model(tmp_path / "model", emb_dim=64, n_layers=2)
    with load.served(str(model), "--max-queue", "8") as running:
        asyncio.run(load.soak(running, 200, 12, per_second=60))  # memory first grows to what such bodies take
        found = asyncio.run(load.soak(running, 400, 12, per_second=60))
    told = dict(found.statuses), found.held, found.health_p99
    assert found.statuses.total() == 400 and found.crashes == 0, told
    assert set(found.statuses) <= {"200", "400", "413", "429", "503", "left"}, told
    assert found.statuses["200"] > 50 and found.growth < 0.05, told
