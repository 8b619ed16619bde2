"""The time of an update on many devices: what was published, and what must hold whatever the constants."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from chainrule.base import ConfigError
from chainrule.config import ModelConfig
from chainrule.plan import DEVICES, Layout, parameters, parse_layout, parse_machines, read_devices, step_time
from chainrule.plan.layout import check_layout

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "calculon.py"
MODEL = ModelConfig(vocab_size=32768, context_length=2048, emb_dim=4096, n_heads=32, n_layers=32)


@pytest.fixture(scope="module")
def calculon() -> ModuleType:
    spec = importlib.util.spec_from_file_location("calculon_benchmark", BENCHMARK)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def seconds(layout: Layout, windows: int = 256, device: str = "h100"):
    return step_time(MODEL, DEVICES[device], layout, windows, parameters=parameters(MODEL).total)


def test_megatrons_published_updates_are_foretold(calculon):
    """Eight of arXiv 2205.05198: within 5 % in the mean and 10 % at most, as Calculon is."""
    shares = calculon.Shares()
    off = [abs(calculon.foretold(one, shares).total / one.seconds - 1) for one in calculon.POINTS]
    assert len(off) == 8
    assert sum(off) / 8 <= 0.05
    assert max(off) <= 0.10


def test_a_model_that_had_no_part_in_the_fit_is_foretold_too(calculon):
    others = [one for one in calculon.POINTS if not one.name.startswith("530B")]
    shares = calculon.fitted(others)
    off = [calculon.foretold(one, shares).total / one.seconds - 1 for one in calculon.POINTS if one not in others]
    assert len(off) == 2 and all(abs(one) < 0.1 for one in off)


def test_twice_the_batch_takes_twice_the_work_and_the_same_bubble():
    layout = Layout(tp=8, pp=4)
    one, two = seconds(layout, 64), seconds(layout, 128)
    assert two.products == pytest.approx(2 * one.products)
    assert two.tensor_parallel == pytest.approx(2 * one.tensor_parallel)
    assert two.bubble == pytest.approx(one.bubble)
    assert two.update == one.update


def test_pieces_of_stages_shorten_the_bubble_by_their_number():
    plain, chunks = seconds(Layout(pp=4)), seconds(Layout(pp=4, chunks=4))
    assert plain.bubble / chunks.bubble == pytest.approx(4, rel=0.05)


def test_a_pipeline_without_neighbours_has_no_bubble_and_one_rank_sums_nothing():
    alone = seconds(Layout())
    assert alone.bubble == alone.pipeline == alone.tensor_parallel == alone.data_parallel == 0
    assert alone.products > 0


def test_a_slower_network_is_never_faster():
    fast = DEVICES["h100"]
    slow = replace(fast, network_bandwidth=fast.network_bandwidth / 100)
    layout = Layout(fsdp=64)
    told = [step_time(MODEL, one, layout, 64, parameters=parameters(MODEL).total).total for one in (fast, slow)]
    assert told[1] > 1.5 * told[0]


@pytest.mark.parametrize(
    ("layout", "word"),
    [(Layout(tp=3), "tp=3"), (Layout(pp=5), "stages"), (Layout(fsdp=3), "micro_batch = 3")],
)
def test_a_layout_that_does_not_divide_says_what_would(layout, word):
    with pytest.raises(ConfigError, match=word):
        check_layout(MODEL, layout, 256)


def test_machines_are_read_with_their_number():
    found = parse_machines("8xH100")
    assert (found.n, found.device.name, found.price_an_hour) == (8, "H100", None)
    assert parse_machines("a100-40").n == 1


@pytest.mark.parametrize("text", ["8xH1000", "0xH100", "", "8 x", "x", "-1xH100"])
def test_what_names_no_machines_is_refused(text):
    with pytest.raises(ConfigError):
        parse_machines(text)


def test_a_price_and_a_device_of_ones_own(tmp_path):
    place = tmp_path / "devices.toml"
    place.write_text(
        "[devices.H100]\nprice = 2.5\n[devices.Mine]\nbf16_flops = 1e14\nmemory_bytes = 3.2e10\n"
        "memory_bandwidth = 1e12\nlink_bandwidth = 3e10\n"
    )
    known = read_devices(place)
    assert parse_machines("8xH100", known).price_an_hour == 20.0
    assert parse_machines("2xmine", known).device.memory_bytes == 3.2e10


@pytest.mark.parametrize(
    "text",
    ["[devices.H100]\nprize = 2", "[devices.H100]\nprice = -1", "[devices]\nH100 = 3", "[devices.New]\nprice = 1", "]"],
)
def test_a_file_of_devices_with_a_mistake_is_refused(tmp_path, text):
    place = tmp_path / "devices.toml"
    place.write_text(text)
    with pytest.raises(ConfigError, match=r"devices\.toml"):
        read_devices(place)


def test_a_layout_is_read_and_written_alike():
    assert parse_layout("fsdp=8,tp=2,pp=4") == Layout(fsdp=8, tp=2, pp=4)
    assert parse_layout(Layout(dp=2, fsdp=8).text()) == Layout(dp=2, fsdp=8)


@pytest.mark.parametrize("text", ["", "fsdp", "fsdp=0", "fsdp=2,fsdp=2", "ep=2", "fsdp=2.5", "tp=-1"])
def test_what_is_no_layout_is_refused(text):
    with pytest.raises(ConfigError, match="no layout"):
        parse_layout(text)
