"""The routes: what is new by cursor, runs that come and go, who may ask, under a path, and nothing that writes."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from dashboard.made import add_rows, make_run, train_rows
from dashboard.served import serving, until

from chainrule.run import RunFolder, append_row, cut_after_step

ROUTES = ["/", "/api/runs", "/api/news", "/api/differences", "/api/part", "/health", "/assets/page.js", "/nothing"]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    make_run(folder / "one", steps=60)
    make_run(folder / "two", steps=80, done=40, running=True, seed=1, settings={"optimizer": {"lr": 0.001}})
    return folder


@pytest.fixture
def client(runs: Path) -> Iterator[httpx.Client]:
    with serving(runs) as url, httpx.Client(base_url=url, trust_env=False) as opened:
        yield opened


def news(client: httpx.Client, name: str, cursor: str = "-", kind: str = "whole") -> dict[str, Any]:
    return client.get("/api/news", params={kind: f"{cursor}:{name}"}).json()["runs"][name]


def test_a_run_is_told_whole_and_then_only_what_is_new(client: httpx.Client, runs: Path) -> None:
    first = news(client, "two")
    assert first["reset"] and first["train"]["step"] == list(range(1, 41))
    assert first["head"]["status"] == "running" and first["head"]["ends"]["bits"]["low"] > 0
    assert len(first["samples"]["rows"]) > 3
    # The same again: no rows, no head.
    second = news(client, "two", first["cursor"])
    assert not second["reset"] and "head" not in second
    assert second["train"]["count"] == [] == second["samples"]["rows"]
    append_row(runs / "two" / "metrics.jsonl", {"kind": "train", "step": 41, "tokens": 9, "seconds": 1.0, "loss": 2.0})
    third = news(client, "two", second["cursor"])
    assert third["train"]["step"] == [41] and third["train"]["start"] == 40 and third["last"]["loss"] == 2.0
    assert len(json.dumps(third)) < 1000


def test_what_was_cut_back_by_a_resume_is_told_anew(client: httpx.Client, runs: Path) -> None:
    first = news(client, "two")
    cut_after_step(runs / "two" / "metrics.jsonl", 20)
    add_rows(RunFolder(runs / "two"), train_rows(range(21, 60), 80, seed=7))
    second = news(client, "two", first["cursor"])
    assert second["reset"] and second["train"]["step"] == list(range(1, 60))


@pytest.mark.parametrize("cursor", ["", "-", "0" * 8, "deadbeef_1_5_1.3_1.2_0.1", "../../etc", "x" * 3000, "é"])
def test_a_cursor_of_another_server_or_none_gets_all(client: httpx.Client, cursor: str) -> None:
    assert news(client, "one", cursor)["reset"]


def test_a_run_beside_another_has_its_loss_alone(client: httpx.Client) -> None:
    found = news(client, "one", kind="beside")
    assert "loss" in found["train"] and "lr" not in found["train"] and "samples" not in found


def test_a_part_of_a_long_run_is_told_in_finer_pieces(client: httpx.Client, runs: Path) -> None:
    make_run(runs / "long", steps=5000)
    until(lambda: "long" in {line["id"] for line in client.get("/api/runs").json()["runs"]})
    whole = news(client, "long")["train"]
    assert max(whole["count"]) > 1
    asked = {"run": "long", "after": 1000, "until": 1200}
    part = client.get("/api/part", params=asked).json()["train"]
    assert part["step"] == list(range(1001, 1201)) and set(part["count"]) == {1} and "low" not in part["loss"]
    assert client.get("/api/part", params={**asked, "run": "../long"}).json() == {"train": None}
    assert client.get("/api/part", params={**asked, "until": 1000}).json()["train"]["count"] == []
    assert client.get("/api/part", params={**asked, "until": "soon"}).status_code == 400


def test_what_a_fine_tuning_is_looked_at_for_is_told_as_charts(client: httpx.Client, runs: Path) -> None:
    assert news(client, "two")["head"]["taught"] == []
    rows = [
        {"kind": "answers", "step": 0, "n": 8, "exact": 0.0, "stopped": 0.5, "base_bits_per_byte": 1.5},
        {"kind": "answers", "step": 10, "n": 8, "exact": 0.75, "stopped": 1.0},
        {"kind": "preference", "step": 10, "margin": 0.3, "right": 3, "n": 4, "chosen": -1.5, "rejected": -1.8},
    ]
    for row in rows:
        append_row(runs / "two" / "metrics.jsonl", row)
    answers, base, margin, judged = news(client, "two")["head"]["taught"]
    assert answers["lines"][0] == {"name": "exactly right", "step": [0, 10], "value": [0.0, 0.75]}
    assert [line["step"] for line in base["lines"]] == [[0]] and margin["lines"][0]["value"] == [0.3]
    assert [line["name"] for line in judged["lines"]] == ["chosen", "rejected"]


def test_runs_come_and_go_and_half_ones_are_shown(client: httpx.Client, runs: Path) -> None:
    def names() -> set[str]:
        return {line["id"] for line in client.get("/api/runs").json()["runs"]}

    assert names() == {"one", "two"}
    make_run(runs / "three", steps=10)
    (runs / "four").mkdir()
    (runs / "four" / "config.toml").write_text("no toml at all [")
    (runs / "four" / "metrics.jsonl").write_bytes(b'{"kind": "train"}\nnull\n\xff\xfe{"kind":')
    shutil.rmtree(runs / "one")
    until(lambda: names() == {"two", "three", "four"})
    lines = {line["id"]: line for line in client.get("/api/runs").json()["runs"]}
    assert lines.keys() == {"two", "three", "four"} and lines["four"]["status"] == "unreadable"
    (verdict,) = news(client, "four")["head"]["verdicts"]
    assert "line 2 of metrics.jsonl is damaged" in verdict["said"]
    assert client.get("/api/news", params={"whole": "-:one"}).json()["runs"] == {"one": None}


def test_numbers_beyond_all_sense_and_a_folder_that_cannot_be_read_hide_nothing(
    client: httpx.Client, runs: Path
) -> None:
    with (runs / "two" / "metrics.jsonl").open("a", encoding="utf-8") as stream:
        for step in range(41, 5000):
            stream.write(json.dumps({"kind": "train", "step": step, "tokens": 10**250, "loss": 1.7e308}) + "\n")
        stream.write('{"kind": "train", "step": 5000, "loss": NaN}\n{"kind": "train", "step": 1e400}\n[[[[\n')
        stream.write('{"kind": "train", "step": true}\n{"kind": ["train"], "step": 5001}\n')
    found = news(client, "two")
    assert found["last"]["step"] == 5000 and found["train"]["step"][-1] == 5000
    (runs / "one" / "health.jsonl").unlink()
    (runs / "one" / "health.jsonl").mkdir()
    both = client.get("/api/news", params={"whole": "-:one", "beside": "-:two"}).json()["runs"]
    assert "health.jsonl is no file" in both["one"]["head"]["verdicts"][0]["said"] and both["two"]["reset"]


@pytest.mark.parametrize("name", ["../runs/one", "/etc", "one/..", "", "\x00", "one/config.toml", "."])
def test_what_is_no_run_does_not_exist_whatever_path_it_spells(client: httpx.Client, name: str) -> None:
    assert client.get("/api/news", params={"whole": f"-:{name}"}).json()["runs"][name] is None
    assert client.get("/api/differences", params={"run": name}).json() == {"runs": [], "settings": []}


def test_settings_that_differ_are_told_in_the_order_of_the_runs(client: httpx.Client) -> None:
    found = client.get("/api/differences", params={"run": ["two", "one"]}).json()
    assert found["runs"] == ["two", "one"]
    assert {one["key"]: one["values"][0] for one in found["settings"]} == {"optimizer.lr": 0.001}


@pytest.mark.parametrize("path", ROUTES)
def test_another_host_another_site_and_every_method_that_could_write_are_refused(
    client: httpx.Client, path: str
) -> None:
    assert client.get(path, headers={"Host": "attacker.example"}).status_code == 421
    assert client.get(path, headers={"Origin": "https://attacker.example"}).status_code == 403
    assert client.get(path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = client.request(method, path, content=b"{}")
        assert answer.status_code == 405 and answer.headers["allow"] == "GET, HEAD", method


def test_every_answer_keeps_browsers_from_guessing_and_the_page_from_others(client: httpx.Client) -> None:
    for path in ROUTES:
        assert client.get(path).headers["x-content-type-options"] == "nosniff"
    assert "script-src 'self'" in client.get("/").headers["content-security-policy"]
    assert client.get("/api/runs").headers["cache-control"] == "no-store"


def test_with_a_token_the_page_is_open_and_its_data_is_not(runs: Path) -> None:
    with serving(runs, token="a long secret") as url, httpx.Client(base_url=url, trust_env=False) as client:
        assert [client.get(path).status_code for path in ("/", "/health", "/assets/page.css")] == [200] * 3
        assert [client.get(path).status_code for path in ROUTES[1:4]] == [401] * 3
        told = {"Authorization": "Bearer a long secret"}
        assert len(client.get("/api/runs", headers=told).json()["runs"]) == 2


def test_under_a_path_everything_lies_there_and_nowhere_else(runs: Path) -> None:
    with serving(runs, prefix="/lab/watch") as url, httpx.Client(trust_env=False) as client:
        assert (
            client.get(f"{url}/api/runs").status_code == 200 and client.get(f"{url}/assets/page.js").status_code == 200
        )
        bare = client.get(url)
        assert bare.status_code == 307 and bare.headers["location"] == "watch/"
        assert client.get(url.removesuffix("/lab/watch") + "/api/runs").status_code == 404
        page = client.get(f"{url}/").text
        assert 'src="./assets/page.js"' in page and 'href="/' not in page


def test_one_run_can_be_watched_alone(runs: Path) -> None:
    with serving(runs / "one") as url:
        found = httpx.get(f"{url}/api/runs", trust_env=False).json()["runs"]
        assert [line["id"] for line in found] == ["one"]
